//! The images of the kit, each made when it is first asked for.
//!
//! | Name | What it is |
//! |---|---|
//! | `alpine`, `busybox` | Debian's static busybox with its applets as links, users and groups as Alpine numbers them |
//! | `debian` | a minimal Debian 12 |
//! | `golang`, `python`, `node`, `rust` | this machine's own toolchains; their tags are the versions really found |
//!
//! The names are those of Docker Hub, so that a daemon whose mirror is our registry resolves them;
//! `/etc/os-release` says what is really inside.

mod base;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Kit, host, image, upload};

/// Counts changes of the recipes; a registry that holds an older count gets the images anew.
const REVISION: u32 = 3;

/// The images that [`ensure`] can make.
pub const NAMES: &[&str] =
    &["alpine", "busybox", "debian", "golang", "golang-debian", "python", "node", "rust"];

/// Makes and pushes an image unless the registry has it, and gives the reference to use in `from`.
///
/// # Errors
/// When the name is not one of [`NAMES`], when what it is made of is missing here, or when a step fails.
pub fn ensure(kit: &Kit, registry: &str, name: &str) -> Result<String> {
    let _lock = kit.lock(&format!("image-{name}"))?;
    let recipe = find(name)?;
    let marker = format!("kit-{REVISION}");
    let repository = format!("library/{}", recipe.repository);
    let marker = if recipe.variant.is_empty() { marker } else { format!("{marker}-{}", recipe.variant) };
    let reference = format!("{}:{}", recipe.repository, recipe.tags()[0]);
    if upload::has_manifest(registry, &repository, &marker)? {
        return Ok(reference);
    }
    kit.say(&format!("making the image {reference}"));
    let work = Work::new(kit)?;
    let (layers, config) =
        (recipe.build)(kit, &work).with_context(|| format!("cannot make the image `{reference}`"))?;
    let mut tags = recipe.tags();
    tags.push(marker);
    image::Image { name: &repository, tags, layers, config }.push(registry)?;
    Ok(reference)
}

type Built = (Vec<image::Layer>, serde_json::Value);

struct Recipe {
    repository: &'static str,
    /// Tells two images of one repository apart.
    variant: &'static str,
    tags: Vec<String>,
    build: fn(&Kit, &Work) -> Result<Built>,
}

impl Recipe {
    fn tags(&self) -> Vec<String> {
        self.tags.clone()
    }
}

fn find(name: &str) -> Result<Recipe> {
    let fixed = |tags: &[&str]| tags.iter().map(ToString::to_string).collect();
    let recipe = |repository, variant, tags, build| Ok(Recipe { repository, variant, tags, build });
    match name {
        "alpine" => recipe("alpine", "", fixed(&["3.20", "3.22", "latest"]), base::busybox),
        "busybox" => recipe("busybox", "", fixed(&["latest"]), base::busybox),
        "debian" => recipe("debian", "", fixed(&["12", "bookworm", "bookworm-slim"]), base::debian),
        "golang" => recipe("golang", "alpine", toolchain::go_tags("-alpine")?, toolchain::go_on_busybox),
        "golang-debian" => recipe("golang", "", toolchain::go_tags("")?, toolchain::go_on_debian),
        "python" => recipe("python", "", toolchain::python_tags()?, toolchain::python),
        "node" => recipe("node", "", toolchain::node_tags()?, toolchain::node),
        "rust" => recipe("rust", "", toolchain::rust_tags()?, toolchain::rust),
        _ => bail!("no such image: `{name}`, there are {}", NAMES.join(", ")),
    }
}

/// A folder for one image, removed when the image is pushed.
#[derive(Debug)]
pub(super) struct Work {
    folder: PathBuf,
}

impl Work {
    pub(super) fn new(kit: &Kit) -> Result<Self> {
        Ok(Self { folder: kit.scratch("image-")? })
    }

    /// An empty tree to fill.
    pub(super) fn tree(&self, name: &str) -> Result<PathBuf> {
        let tree = self.folder.join(name);
        fs::create_dir_all(&tree).with_context(|| format!("cannot create folder: `{}`", tree.display()))?;
        Ok(tree)
    }

    pub(super) fn pack(&self, tree: &Path, name: &str, arguments: &[String]) -> Result<image::Layer> {
        image::Layer::pack(tree, &self.folder.join(format!("{name}.tar")), arguments)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What stays is in the kit's own folder under `target` and harms nobody.
        drop(host::run(
            std::process::Command::new("rm").args(["-rf", "--one-file-system"]).arg(&self.folder),
        ));
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write: `{}`", path.display()))
}

pub(super) fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of: `{}`", path.display()))
}

fn link(target: &str, path: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, path).with_context(|| format!("cannot link: `{}`", path.display()))
}
