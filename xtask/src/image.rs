//! `cargo xtask image`: the frontend's image, and images of the kit.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use treenail_test_fixtures::kit::frontend::{self, Build};
use treenail_test_fixtures::kit::{Kit, recipe};

/// Name of the frontend's image among those of the kit.
const FRONTEND: &str = "frontend";

/// Options of `cargo xtask image`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which image: `frontend`, or one of the kit.
    #[arg(default_value = FRONTEND, value_parser = names())]
    name: String,
    /// Write the frontend's image into this folder, as an OCI layout.
    #[arg(long, value_name = "DIR")]
    oci: Option<PathBuf>,
    /// `host:port` of a registry that speaks plain HTTP, such as `cargo xtask daemon` prints.
    #[arg(long, value_name = "HOST:PORT")]
    registry: Option<String>,
    /// Name and tag of the frontend's image in that registry.
    #[arg(long, value_name = "NAME:TAG", default_value = "treenail/frontend:latest")]
    tag: String,
    /// Build the frontend quickly instead of small.
    #[arg(long)]
    dev: bool,
}

fn names() -> clap::builder::PossibleValuesParser {
    std::iter::once(FRONTEND).chain(recipe::NAMES.iter().copied()).collect::<Vec<_>>().into()
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let kit = Kit::open(crate::say())?;
    match (arguments.name.as_str(), &arguments.oci, &arguments.registry) {
        (FRONTEND, None, None) => bail!("where to: --oci DIR or --registry HOST:PORT"),
        (FRONTEND, oci, registry) => make_frontend(&kit, arguments, oci.as_deref(), registry.as_deref()),
        (name, None, Some(registry)) => {
            println!("{}", recipe::ensure(&kit, registry, name)?);
            Ok(())
        }
        (name, ..) => bail!("the image `{name}` goes to a registry: --registry HOST:PORT"),
    }
}

/// Prints what to write behind `# syntax=` or into `--build-context`.
fn make_frontend(kit: &Kit, arguments: &Arguments, oci: Option<&Path>, registry: Option<&str>) -> Result<()> {
    kit.say("building the frontend and its helper");
    let image = frontend::make(kit, if arguments.dev { Build::Development } else { Build::Release })?;
    if let Some(folder) = oci {
        println!("oci-layout://{}@{}", folder.display(), image.write_layout(folder)?);
    }
    if let Some(registry) = registry {
        let (name, tag) = arguments.tag.split_once(':').unwrap_or((&arguments.tag, "latest"));
        println!("{registry}/{name}:{tag}@{}", image.push(registry, name, tag)?);
    }
    Ok(())
}
