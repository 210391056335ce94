//! The published Python SDK, unmodified, in a virtual environment of the kit.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use treenail_test_fixtures::kit::{Kit, host};

/// The release that drives our tests and the demo.
const VERSION: &str = "0.19.11";

/// Gives a Python that has the SDK; makes the environment on first use.
pub(crate) fn python(kit: &Kit) -> Result<PathBuf> {
    let folder = kit.root().join("venv");
    let python = folder.join("bin/python");
    let stamp = folder.join("dagger-io.version");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|text| text == VERSION) {
        return Ok(python);
    }
    kit.say(&format!("installing the Python SDK dagger-io {VERSION} into a virtual environment"));
    let venv = |kit: &Kit| {
        host::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(kit.root().join("venv")))
    };
    if venv(kit).is_err() {
        // Debian's own Python comes without the module that makes environments.
        host::ensure(kit, &[host::Tool { program: "/usr/share/doc/python3-venv", package: "python3-venv" }])?;
        venv(kit).context("cannot make a virtual environment")?;
    }
    host::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .arg(format!("dagger-io=={VERSION}")),
    )
    .context("cannot install the Python SDK")?;
    fs::write(&stamp, VERSION).context("cannot note the version of the SDK")?;
    Ok(python)
}
