//! Docker's build client, from the pinned Go module, for tests of what people run.
//!
//! Without Docker it drives a daemon of the kit through its `remote` driver:
//! `buildx create --driver remote unix://SOCKET`, with `BUILDX_CONFIG` naming a folder of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Kit, host};

/// The release that the kit builds.
pub const VERSION: &str = "v0.38.2";

const MODULE: &str = "github.com/docker/buildx";
const FLAGS: &str = "-mod=mod -buildvcs=false";

/// Where the program is, or will be. Run as `buildx`, or as `docker buildx` from a folder `cli-plugins` under the
/// name `docker-buildx`.
#[must_use]
pub fn path(kit: &Kit) -> PathBuf {
    kit.root().join("bin/buildx")
}

/// Whether the program of [`VERSION`] is in place.
#[must_use]
pub fn is_built(kit: &Kit) -> bool {
    path(kit).is_file() && fs::read_to_string(stamp(kit)).is_ok_and(|text| text == VERSION)
}

/// Builds the program unless it is in place; about three minutes of two cores.
///
/// # Errors
/// When Go is missing or the build fails.
pub fn ensure(kit: &Kit) -> Result<()> {
    if is_built(kit) {
        return Ok(());
    }
    let _lock = kit.lock("buildx")?;
    if is_built(kit) {
        return Ok(());
    }
    if host::find("go").is_none() {
        bail!("Go is needed to build buildx {VERSION}, see https://go.dev/dl");
    }
    let folder = kit.root().join("buildx");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create folder: `{}`", folder.display()))?;
    let file = folder.join("go.mod");
    if !fs::read_to_string(&file).is_ok_and(|text| text.contains(&format!("{MODULE} {VERSION}\n"))) {
        fs::write(file, module_file()).context("cannot write the module file")?;
    }
    kit.say(&format!("building buildx {VERSION} from the Go module, minutes the first time"));
    host::run(
        Command::new("go")
            .args(["build", "-o"])
            .arg(path(kit))
            // A third of the program is symbols and debug information.
            .arg("-ldflags=-s -w")
            .arg(format!("{MODULE}/cmd/buildx"))
            .current_dir(&folder)
            .env("GOFLAGS", FLAGS),
    )
    .context("cannot build buildx")?;
    fs::write(stamp(kit), VERSION).context("cannot note the version of buildx")
}

fn stamp(kit: &Kit) -> PathBuf {
    kit.root().join("bin/buildx.version")
}

fn module_file() -> String {
    format!(
        "module treenail.invalid/kit\n\ngo 1.25.0\n\ntool {MODULE}/cmd/buildx\n\nrequire {MODULE} {VERSION}\n"
    )
}
