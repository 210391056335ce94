//! The image of our `# syntax=` frontend: its program, the helper, and labels that say what it may do.
//!
//! Both programs are static and there is nothing else: no shell, no certificates. The daemon fetches whatever a build
//! needs, so the label that takes the frontend's network away costs nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::recipe::{Work, set_mode};
use super::{Kit, host, image, workspace};

/// Where the program is in the image.
const PROGRAM: &str = "treenail-frontend";
/// Where the helpers are in the image, one for each architecture. The same path stands in the frontend.
const HELPERS: &str = "treenail/init";
/// What a client may ask of it. A daemon refuses a build that asks for more.
///
/// # Source
/// `contract/frontend.md` C.1: `contexts` is asked for by every `--build-context`, `subrequests` by `--call`.
const CAPABILITIES: &str = "moby.buildkit.frontend.contexts,moby.buildkit.frontend.subrequests";

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// As they are released.
    Release,
    /// Quickly, for tests.
    Development,
}

/// The image, not yet anywhere.
#[derive(Debug)]
pub struct FrontendImage {
    layer: image::Layer,
    /// Holds the layer.
    _work: Work,
}

/// Builds the programs, which cargo does only when something has changed, and packs them.
///
/// # Errors
/// When they do not build, or when this machine's architecture has no helper.
pub fn make(kit: &Kit, build: Build) -> Result<FrontendImage> {
    if image::architecture() != "amd64" {
        bail!("the frontend's image is made on x86_64 only: its helper is built for no other architecture");
    }
    let target = "x86_64-unknown-linux-musl";
    let profile = if build == Build::Release { "release" } else { "quick" };
    let program = cargo(target, "treenail-frontend", profile)?;
    let helper = cargo(target, "treenail-init", "helper")?;

    let work = Work::new(kit)?;
    let tree = work.tree("frontend")?;
    place(&program, &tree.join(PROGRAM))?;
    fs::create_dir_all(tree.join(HELPERS)).context("cannot create the folder of the helpers")?;
    place(&helper, &tree.join(HELPERS).join("amd64"))?;
    let layer = work.pack(&tree, "frontend", &["--owner=0".to_owned(), "--group=0".to_owned()])?;
    Ok(FrontendImage { layer, _work: work })
}

impl FrontendImage {
    /// Writes it as an OCI layout with the tag `latest`, and gives the digest of its manifest.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_layout(&self, folder: &Path) -> Result<String> {
        self.image("treenail", "latest").write_layout(folder)
    }

    /// Pushes it to a registry that speaks plain HTTP, and gives the digest of its manifest.
    ///
    /// # Errors
    /// When the registry refuses.
    pub fn push(&self, registry: &str, name: &str, tag: &str) -> Result<String> {
        self.image(name, tag).push(registry)
    }

    fn image<'a>(&self, name: &'a str, tag: &str) -> image::Image<'a> {
        image::Image {
            name,
            tags: vec![tag.to_owned()],
            layers: vec![self.layer.clone()],
            config: json!({
                "Entrypoint": [format!("/{PROGRAM}")],
                "WorkingDir": "/",
                "Labels": {
                    "moby.buildkit.frontend.network.none": "true",
                    "moby.buildkit.frontend.caps": CAPABILITIES,
                    "org.opencontainers.image.title": "treenail",
                    "org.opencontainers.image.licenses": "Apache-2.0",
                },
            }),
        }
    }
}

/// Builds one program for a static target and says where it is.
fn cargo(target: &str, package: &str, profile: &str) -> Result<PathBuf> {
    let folder = workspace().join("target");
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    host::run(
        Command::new(program)
            .current_dir(workspace())
            .args(["build", "--quiet", "--package", package, "--bin", package])
            .args(["--profile", profile, "--target", target, "--target-dir"])
            .arg(&folder),
    )
    .with_context(|| {
        format!("cannot build `{package}` for {target}: `rustup target add {target}` may be missing")
    })?;
    Ok(folder.join(target).join(profile).join(package))
}

/// Puts a program into the image.
fn place(program: &Path, into: &Path) -> Result<()> {
    fs::copy(program, into).with_context(|| format!("cannot copy: `{}`", program.display()))?;
    set_mode(into, 0o555)
}
