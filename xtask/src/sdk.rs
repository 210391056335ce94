//! The published SDKs, unmodified, and the programs that drive them, in folders of the kit.
//!
//! Python needs an environment only. For the others a folder gets the manifest and the program of `examples/` and the program
//! of the tests beside it, and is built there: nothing is ever built in `examples/`, and nothing of it is part of our
//! workspace.
//!
//! **Invariant:** what is in place is not made again, and files keep their times unless their content changes, so that
//! each language's own tool finds nothing to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use treenail_test_fixtures::kit::sdks::Sdks;
use treenail_test_fixtures::kit::{self, Kit, host};

use crate::steps;

/// The release that drives our tests and the demo.
const VERSION: &str = "0.19.11";

/// The Python SDK's earlier releases that are tried besides.
///
/// # Source
/// `contract/README.md` 1: clients from 0.19.0 on.
const EARLIER: &[&str] = &[
    "0.19.0", "0.19.1", "0.19.2", "0.19.3", "0.19.4", "0.19.5", "0.19.6", "0.19.7", "0.19.8", "0.19.9",
    "0.19.10",
];

/// The module that the examples build, and the command in it.
pub(crate) const MODULE: &str = "github.com/BurntSushi/toml@v1.6.0";
pub(crate) const COMMAND: &str = "tomlv";

/// Where the tests' own programs are.
const PROBES: &str = "cli/tests/it/sdk";

/// Everything that the tests of the SDKs need. Gives the Python that has the SDK, and the folder of the rest.
///
/// # Errors
/// When a language's own tools are missing or fail.
pub(crate) fn prepare(kit: &Kit) -> Result<(PathBuf, Sdks)> {
    let sdks = Sdks::of(kit);
    fs::create_dir_all(sdks.root()).context("cannot create a folder for the SDKs")?;
    let _lock = kit.lock("sdk")?;
    // Each waits for the network, or for one processor, for a good part of its time.
    let python = thread::scope(|scope| {
        let others = [
            scope.spawn(|| go(kit, &sdks)),
            scope.spawn(|| typescript(kit, &sdks)),
            scope.spawn(|| rust(kit, &sdks)),
        ];
        let python = python(kit).and_then(|python| {
            releases(kit, &python, &sdks)?;
            link_source(kit, &sdks)?;
            Ok(python)
        });
        for other in others {
            other.join().map_err(|_| anyhow!("preparing an SDK has panicked"))??;
        }
        python
    })?;
    Ok((python, sdks))
}

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
    host::run(pip(&python).arg(format!("dagger-io=={VERSION}"))).context("cannot install the Python SDK")?;
    fs::write(&stamp, VERSION).context("cannot note the version of the SDK")?;
    Ok(python)
}

/// The earlier releases, each without its dependencies: those of the newest serve them all.
fn releases(kit: &Kit, python: &Path, sdks: &Sdks) -> Result<()> {
    let missing: Vec<&&str> =
        EARLIER.iter().filter(|version| !sdks.python_release(version).is_dir()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    kit.say("fetching earlier releases of the Python SDK");
    for version in missing {
        let folder = sdks.python_release(version);
        let unfinished = folder.with_extension("new");
        host::run(
            pip(python)
                .args(["--no-deps", "--upgrade", "--target"])
                .arg(&unfinished)
                .arg(format!("dagger-io=={version}")),
        )
        .with_context(|| format!("cannot fetch the Python SDK {version}"))?;
        fs::rename(&unfinished, &folder)
            .with_context(|| format!("cannot move: `{}`", unfinished.display()))?;
    }
    Ok(())
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command
}

fn go(kit: &Kit, sdks: &Sdks) -> Result<()> {
    let folder = sdks.go();
    lay(&folder, "examples/go", &[("go.mod", "go.mod"), ("go.sum", "go.sum"), ("main.go", "ci/main.go")])?;
    lay(&folder, PROBES, &[("go/main.go", "probe/main.go")])?;
    if !sdks.go_program("probe").exists() {
        kit.say("building the programs of the Go SDK");
    }
    // Go itself finds what is in place.
    host::run(Command::new("go").args(["build", "-o", "bin/", "./ci", "./probe"]).current_dir(&folder))
        .context("cannot build the programs of the Go SDK")?;
    Ok(())
}

fn typescript(kit: &Kit, sdks: &Sdks) -> Result<()> {
    let folder = sdks.typescript();
    let mut changed = lay(
        &folder,
        "examples/typescript",
        &[
            ("package.json", "package.json"),
            ("package-lock.json", "package-lock.json"),
            ("tsconfig.json", "tsconfig.json"),
            ("ci.ts", "ci.ts"),
        ],
    )?;
    changed |= lay(&folder, PROBES, &[("typescript/probe.ts", "probe.ts")])?;
    let lock = fs::read_to_string(folder.join("package-lock.json")).context("cannot read the lock file")?;
    let stamp = folder.join("node_modules.lock");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&lock) {
        kit.say("installing the TypeScript SDK");
        if host::missing(&[host::Tool { program: "npm", package: "npm" }]).is_empty() {
            host::run(
                Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
                    .current_dir(&folder),
            )
            .context("cannot install the TypeScript SDK")?;
        } else {
            bail!("the TypeScript SDK needs Node 20 or later, with npm");
        }
        fs::write(&stamp, lock).context("cannot note what is installed")?;
        changed = true;
    }
    if changed || !sdks.typescript_program("probe").exists() {
        host::run(Command::new("node").arg("node_modules/typescript/bin/tsc").current_dir(&folder))
            .context("cannot compile the programs of the TypeScript SDK")?;
    }
    Ok(())
}

fn rust(kit: &Kit, sdks: &Sdks) -> Result<()> {
    let folder = sdks.rust();
    lay(
        &folder,
        "examples/rust",
        &[("Cargo.toml", "Cargo.toml"), ("Cargo.lock", "Cargo.lock"), ("src/main.rs", "src/main.rs")],
    )?;
    lay(&folder, PROBES, &[("rust/probe.rs", "src/bin/probe.rs")])?;
    if !sdks.rust_program("probe").exists() {
        kit.say("building the programs of the Rust SDK");
    }
    let mut command = steps::cargo(&["build", "--locked", "--quiet"]);
    // A target folder of its own: the workspace's lock is not touched.
    command.current_dir(&folder).arg("--target-dir").arg(folder.join("target"));
    host::run(&mut command).context("cannot build the programs of the Rust SDK")?;
    Ok(())
}

/// Copies files of this workspace into a folder where they differ from what is there, and says whether any did.
fn lay(folder: &Path, from: &str, files: &[(&str, &str)]) -> Result<bool> {
    let mut changed = false;
    for (source, target) in files {
        let source = kit::workspace().join(from).join(source);
        let target = folder.join(target);
        let content = fs::read(&source).with_context(|| format!("cannot read: `{}`", source.display()))?;
        if fs::read(&target).is_ok_and(|there| there == content) {
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create folder: `{}`", parent.display()))?;
        }
        fs::write(&target, content).with_context(|| format!("cannot write: `{}`", target.display()))?;
        changed = true;
    }
    Ok(changed)
}

/// Fetches the source that the examples build, verified by Go's checksum database, and gives its folder.
pub(crate) fn source(kit: &Kit) -> Result<PathBuf> {
    let answer = host::run(
        Command::new("go")
            .args(["mod", "download", "-json", MODULE])
            .current_dir(kit.root())
            .env("GOFLAGS", "-mod=mod"),
    )
    .with_context(|| format!("cannot fetch the source of {MODULE}"))?;
    let answer: Value = serde_json::from_str(&answer).context("cannot read what go said")?;
    answer["Dir"].as_str().map(PathBuf::from).context("go did not say where the source is")
}

fn link_source(kit: &Kit, sdks: &Sdks) -> Result<()> {
    let (source, link) = (source(kit)?, sdks.source());
    if fs::read_link(&link).is_ok_and(|there| there == source) {
        return Ok(());
    }
    match fs::remove_file(&link) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("cannot remove an old link");
        }
        _ => std::os::unix::fs::symlink(&source, &link).context("cannot link to the source")?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_only_where_they_differ() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [("Cargo.toml", "a/manifest"), ("src/sdk.rs", "here.rs")];
        assert!(lay(folder.path(), "xtask", &files).expect("copies"));
        let written = fs::metadata(folder.path().join("a/manifest")).and_then(|meta| meta.modified());
        assert!(!lay(folder.path(), "xtask", &files).expect("looks"));
        fs::write(folder.path().join("here.rs"), "changed").expect("written");
        assert!(lay(folder.path(), "xtask", &files).expect("copies"));
        let now = fs::metadata(folder.path().join("a/manifest")).and_then(|meta| meta.modified());
        assert_eq!(now.expect("there"), written.expect("there"), "an equal file keeps its time");
        assert!(lay(folder.path(), "xtask", &[("no/such", "x")]).is_err());
    }
}
