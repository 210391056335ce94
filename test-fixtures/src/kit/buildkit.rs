//! The stock daemon and its client, built from the pinned Go module.
//!
//! `go install package@version` refuses the module, because its `go.mod` has replace and exclude
//! lines; a small module of our own with `tool` lines builds it as it is.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Kit, host};

/// The release that the kit builds. A daemon built this way names its version `v0.0.0+unknown`.
pub const VERSION: &str = "v0.32.2";

const MODULE: &str = "github.com/moby/buildkit";

/// Modules that hold the definitions of messages on the wire.
const COMPARED: [&str; 4] = [
    MODULE,
    "github.com/containerd/containerd/api",
    "github.com/tonistiigi/fsutil",
    "google.golang.org/genproto/googleapis/rpc",
];

const FLAGS: &str = "-mod=mod -buildvcs=false";

/// Whether the programs of [`VERSION`] are in place.
#[must_use]
pub fn is_built(kit: &Kit) -> bool {
    kit.buildkitd().is_file()
        && kit.buildctl().is_file()
        && fs::read_to_string(stamp(kit)).is_ok_and(|text| text == VERSION)
}

/// Builds `buildkitd` and `buildctl` unless they are in place; about three minutes on two cores.
///
/// # Errors
/// When Go is missing or the build fails.
pub fn ensure(kit: &Kit) -> Result<()> {
    if is_built(kit) {
        return Ok(());
    }
    let _lock = kit.lock("buildkit")?;
    if is_built(kit) {
        return Ok(());
    }
    if host::find("go").is_none() {
        bail!("Go is needed to build buildkitd {VERSION}, see https://go.dev/dl");
    }
    let folder = folder(kit)?;
    kit.say(&format!("building buildkitd and buildctl {VERSION} from the Go module, minutes the first time"));
    let programs = ["buildkitd", "buildctl"].map(|name| format!("{MODULE}/cmd/{name}"));
    host::run(
        Command::new("go")
            .args(["build", "-o"])
            .arg(kit.root().join("bin/"))
            .args(programs)
            .current_dir(&folder)
            .env("GOFLAGS", FLAGS),
    )
    .context("cannot build buildkitd")?;
    fs::write(stamp(kit), VERSION).context("cannot note the version of buildkitd")
}

/// Sees to it that the sources which our message definitions are compared with are in Go's module cache.
///
/// # Errors
/// When Go is missing or cannot download them.
pub fn download(kit: &Kit) -> Result<()> {
    let folder = folder(kit)?;
    host::run(
        Command::new("go").args(["mod", "download"]).args(COMPARED).current_dir(folder).env("GOFLAGS", FLAGS),
    )
    .context("cannot download the sources of BuildKit's messages")?;
    Ok(())
}

/// The folder of our small module, with its file.
fn folder(kit: &Kit) -> Result<std::path::PathBuf> {
    let folder = kit.root().join("buildkit");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create folder: `{}`", folder.display()))?;
    // Go adds what it finds out; a file that names our version is kept, or a second look would be a slow one.
    let file = folder.join("go.mod");
    if !fs::read_to_string(&file).is_ok_and(|text| text.contains(&format!("{MODULE} {VERSION}\n"))) {
        fs::write(file, module_file()).context("cannot write the module file")?;
    }
    Ok(folder)
}

fn stamp(kit: &Kit) -> std::path::PathBuf {
    kit.root().join("bin/buildkit.version")
}

fn module_file() -> String {
    format!(
        "module treenail.invalid/kit\n\ngo 1.25.0\n\ntool (\n\t{MODULE}/cmd/buildctl\n\t{MODULE}/cmd/buildkitd\n)\n\n\
         require {MODULE} {VERSION}\n"
    )
}
