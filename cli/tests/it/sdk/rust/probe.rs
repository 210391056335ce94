//! What the tests ask of the Rust SDK.
//!
//! ```sh
//! probe failing NONCE | values NONCE | place FOLDER | connect
//! ```
//!
//! Each prints one JSON object of what it saw; the tests judge it. NONCE makes the commands new to the daemon.
//! The texts are such that Rust writes them as JSON does.

use dagger_sdk::core::config::Config;
use dagger_sdk::{
    CacheSharingMode, ContainerWithExecOptsBuilder, ContainerWithMountedCacheOptsBuilder,
    ContainerWithMountedSecretOptsBuilder, Query, ReturnType,
};

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let argument = arguments.next().unwrap_or_default();
    let place = (what == "place").then(|| argument.clone().into());
    // Without a logger: standard output is the tests'.
    dagger_sdk::connect_opts(Config::new(place, None, None, None, None), |client| async move {
        match &*what {
            "failing" => failing(&client, &argument).await,
            "values" => values(&client, &argument).await,
            "place" => {
                let entries = client.host().directory(".").entries().await?;
                println!("{{\"entries\": {entries:?}}}");
                Ok(())
            }
            "connect" => {
                println!("{{\"version\": {:?}}}", client.version().await?);
                Ok(())
            }
            _ => eyre::bail!("unknown: {what}"),
        }
    })
    .await?;
    Ok(())
}

async fn failing(client: &Query, nonce: &str) -> eyre::Result<()> {
    let base = client.container().from("alpine:3.20").with_env_variable("NONCE", nonce);
    let broken = base.with_exec(vec!["sh", "-c", "echo out; echo err >&2; exit 42"]);
    // Nothing runs yet.
    let later = broken.with_new_file("/note", "x").with_workdir("/tmp").with_exec(vec!["true"]);
    let Err(failed) = later.stdout().await else { eyre::bail!("nothing failed") };

    // Siblings of a failure still answer, and the service goes on.
    let good = base.with_exec(vec!["echo", "fine"]);
    let (sibling, other) = tokio::join!(broken.sync(), good.stdout());
    let Err(sibling) = sibling else { eyre::bail!("nothing failed") };

    // Asked for, a failure is an answer.
    let any = ContainerWithExecOptsBuilder::default().expect(ReturnType::Any).build()?;
    let allowed = base.with_exec_opts(vec!["sh", "-c", "exit 3"], any).exit_code().await?;

    let Err(image) = client.container().from("no.such.image.invalid/x:1").sync().await else {
        eyre::bail!("an image that is not there")
    };
    println!(
        "{{\"text\": {:?}, \"sibling\": {:?}, \"other\": {:?}, \"allowed\": {allowed}, \"image\": {:?}}}",
        failed.to_string(),
        sibling.to_string(),
        other?,
        image.to_string()
    );
    Ok(())
}

async fn values(client: &Query, nonce: &str) -> eyre::Result<()> {
    let base = client
        .container()
        .from("alpine:3.20")
        .with_env_variable("NONCE", nonce)
        .with_env_variable("GREETING", "hello")
        .with_workdir("/work");

    // This SDK has no lists of objects that could be used one by one.
    let greeting = base.env_variable("GREETING").await?;
    let told = base.env_variable("NONCE").await?;

    let secret = client.set_secret("password", format!("s3cret-{nonce}"));
    let script =
        r#"echo "got $PASSWORD"; test "$(cat /run/password)" = "$PASSWORD"; stat -c %a /run/password"#;
    let scrubbed = base
        .with_secret_variable("PASSWORD", secret.clone())
        .with_mounted_secret_opts(
            "/run/password",
            secret,
            ContainerWithMountedSecretOptsBuilder::default().mode(0o400_isize).build()?,
        )
        .with_exec(vec!["sh", "-ec", script])
        .stdout()
        .await?;

    let locked = ContainerWithMountedCacheOptsBuilder::default().sharing(CacheSharingMode::Locked).build()?;
    let cached =
        base.with_mounted_cache_opts("/cache", client.cache_volume(format!("volume-{nonce}")), locked);
    cached.with_exec(vec!["sh", "-c", "echo kept > /cache/file"]).sync().await?;
    let kept = cached.with_exec(vec!["cat", "/cache/file"]).stdout().await?;

    let tree = client.directory().with_new_file("a/b", "text");
    let entries = base.with_directory("/work", tree).directory(".").entries().await?;

    let run = base.with_exec(vec!["sh", "-c", "echo one; echo two >&2"]);
    let id = run.id().await?;
    let again = client.load_container_from_id(id.clone()).stdout().await?;
    let synced = client.load_container_from_id(run.sync().await?).workdir().await?;
    println!(
        "{{\"NONCE\": {told:?}, \"GREETING\": {greeting:?}, \"scrubbed\": {scrubbed:?}, \"kept\": {kept:?}, \
         \"entries\": {entries:?}, \"id\": {:?}, \"again\": {again:?}, \"synced\": {synced:?}}}",
        id.0
    );
    Ok(())
}
