//! Builds and tests a Go program in a container, exports the binary and publishes it as an image.
//!
//! ```sh
//! treenail run -- cargo run -- SOURCE OUTPUT [IMAGE]
//! ```
//!
//! SOURCE is the source of github.com/BurntSushi/toml, a Go module without dependencies;
//! OUTPUT is where its command `tomlv`, a validator of TOML files, goes;
//! IMAGE is where an image with nothing but that command is published, such as `localhost:5000/tomlv`.
//! Without it nothing is. What was published is pulled back by its digest, and run.
//! GO_IMAGE names the image to build in.
//!
//! It needs the crate `dagger-sdk`. Without `treenail run` it starts treenail itself, if
//! _EXPERIMENTAL_DAGGER_CLI_BIN names that.

use dagger_sdk::{ContainerWithExecOptsBuilder, File, HostDirectoryOptsBuilder, Query};

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(source), Some(output)) = (arguments.next(), arguments.next()) else {
        eyre::bail!("usage: ci SOURCE OUTPUT [IMAGE]");
    };
    let address = arguments.next();
    dagger_sdk::connect(|client| async move { run(&client, &source, &output, address.as_deref()).await })
        .await?;
    Ok(())
}

async fn run(client: &Query, source: &str, output: &str, address: Option<&str>) -> eyre::Result<()> {
    let exclude = HostDirectoryOptsBuilder::default().exclude(vec![".git"]).build()?;
    let source = client.host().directory_opts(source, exclude);
    let go = client
        .container()
        .from(std::env::var("GO_IMAGE").unwrap_or_else(|_| "golang:1.26-alpine".into()))
        .with_env_variable("CGO_ENABLED", "0")
        .with_env_variable("GOPROXY", "off")
        .with_env_variable("GOFLAGS", "-buildvcs=false")
        .with_env_variable("GOCACHE", "/cache/go-build")
        .with_mounted_cache("/cache/go-build", client.cache_volume("go-build"))
        .with_workdir("/src")
        .with_directory("/src", source);
    let vetted = go.with_exec(vec!["go", "vet", "./..."]);
    let tested = go.with_exec(vec!["go", "test", "./..."]);
    let built = go.with_exec(vec!["go", "build", "-trimpath", "-o", "/out/tomlv", "./cmd/tomlv"]);
    let binary = built.file("/out/tomlv");

    // Nothing has run so far: the two checks and the build start here, side by side.
    let (_, tests, exported) = tokio::try_join!(vetted.sync(), tested.stdout(), binary.export(output))?;
    println!("{}", tests.trim().lines().next().unwrap_or_default());
    println!("exported {exported}");

    if let Some(address) = address {
        publish(client, binary, address).await?;
    }
    Ok(())
}

/// Publishes an image of the binary alone, then runs it as anyone would who pulls it.
async fn publish(client: &Query, binary: File, address: &str) -> eyre::Result<()> {
    let image = client.container().with_file("/tomlv", binary).with_entrypoint(vec!["/tomlv"]);
    let published = image.publish(address).await?;
    println!("published {published}");

    let answer = client
        .container()
        .from(published)
        .with_new_file("/answer.toml", "answer = 42\n")
        .with_exec_opts(
            vec!["-json", "/answer.toml"],
            ContainerWithExecOptsBuilder::default().use_entrypoint(true).build()?,
        )
        .stdout()
        .await?;
    println!("pulled and run: {}", answer.split_whitespace().collect::<Vec<_>>().join(" "));
    Ok(())
}
