//! Builds the helper that runs inside execs and tells the crate where it is, to be embedded:
//! `include_bytes!(env!("TREENAIL_INIT_X86_64"))`.
//!
//! It is another target than the program's own, so a second cargo builds it. That one has a target folder of its
//! own: on the outer one's lock it would wait for ever.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "x86_64-unknown-linux-musl";
const PACKAGE: &str = "treenail-init";
const PROFILE: &str = "helper";

/// What the outer cargo, Clippy or a user's shell says about the outer build only.
const OUTER_VARIABLES: [&str; 9] = [
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
];

fn main() -> ExitCode {
    match build() {
        Ok(helper) => {
            println!("cargo::rustc-env=TREENAIL_INIT_X86_64={}", helper.display());
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "what a build script prints there is what cargo shows when it fails")]
fn build() -> Result<PathBuf, String> {
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = folder.parent().ok_or("the crate is not in a workspace")?;
    for path in ["init/src", "init/Cargo.toml", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let target_folder = PathBuf::from(variable("OUT_DIR")?).join("helper");
    let mut command = Command::new(variable("CARGO")?);
    command.current_dir(root).args(["build", "--quiet", "--package", PACKAGE, "--bin", PACKAGE]);
    command.args(["--profile", PROFILE, "--target", TARGET, "--target-dir"]).arg(&target_folder);
    // The outer cargo has just settled the lock file and fetched all that stands in it.
    command.args(["--locked", "--offline"]);
    for name in OUTER_VARIABLES {
        command.env_remove(name);
    }
    // Settings of the outer profile or target must not make the helper another one.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PROFILE_")
            || text.starts_with("CARGO_FEATURE_")
            || text.starts_with("CARGO_CFG_")
        {
            command.env_remove(&name);
        }
    }
    let output = command.output().map_err(|error| format!("cannot start cargo for the helper: {error}"))?;
    if output.status.success() {
        return Ok(target_folder.join(TARGET).join(PROFILE).join(PACKAGE));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    if !has_target(root) {
        return Err(format!("the helper needs Rust's {TARGET}: run `rustup target add {TARGET}`"));
    }
    // An error is one line to cargo; the rest is shown as the script's output.
    eprintln!("{text}");
    Err("the helper that runs inside execs does not build; cargo's words are above".to_owned())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("cargo did not set {name}: {error}"))
}

/// Whether the compiler has a standard library for the helper's target.
fn has_target(root: &Path) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output =
        Command::new(rustc).current_dir(root).args(["--print", "target-libdir", "--target", TARGET]).output();
    output.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}
