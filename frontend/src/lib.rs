//! The `# syntax=` door: a GraphQL document as a build file, under stock buildx and buildkitd.
//!
//! ```text
//! buildx → buildkitd → our image   options     environment → Options, sorted; pure
//!                                  file        the build file through the bridge
//!                                  arguments   build arguments → variables
//!                                  evaluate    the evaluator of graphql and engine, one operation → a result
//!                                  rejection   a failure → the lines of the build file at fault
//! ```
//!
//! Invariants:
//! - The evaluator is that of SDKs: this crate says what the client's machine is ([`host`](crate)), what makes no sense
//!   in a build, and what a result looks like, and nothing else.
//! - What changes a build and is not built is refused, never ignored.
//! - Whatever happens, the build is told: a panic ends as an error of the build.

mod arguments;
mod calls;
mod door;
mod evaluate;
mod file;
pub mod helper;
mod host;
pub mod options;
mod rejection;
mod requests;

use std::sync::Arc;

use treenail_bridge::stdio::{Defaults, Rejection, StdioBridge};
use treenail_bridge::{Error, Solved};
use treenail_protos::pb;

use crate::options::{OptionError, Options};

/// Serves the one build that this process was started for.
///
/// # Errors
/// The standard streams lead to no daemon, or it is gone. Whatever else goes wrong the daemon is told.
pub async fn serve() -> Result<(), Error> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let options = Options::from_environment(variables);
    let known = options.as_ref().ok();
    let defaults =
        Defaults { cache_imports: known.map(|options| options.cache_imports.clone()).unwrap_or_default() };
    let mut bridge = StdioBridge::open(defaults).await?;
    if let Some(platform) = known.and_then(|options| options.platform.as_ref()) {
        bridge = bridge.with_platform(pb::Platform {
            os: platform.os.clone(),
            architecture: platform.architecture.clone(),
            variant: platform.variant.clone(),
            ..pb::Platform::default()
        });
    }
    let bridge = Arc::new(bridge);
    let answer = match tokio::spawn(answer(bridge.clone(), options)).await {
        Ok(answer) => answer,
        Err(panic) => Err(rejection::of_error(&panic)),
    };
    match answer {
        Ok(result) => bridge.finish(result).await,
        Err(rejection) => bridge.reject(&rejection).await,
    }
}

async fn answer(
    bridge: Arc<StdioBridge>,
    options: Result<Options, OptionError>,
) -> Result<Solved, Rejection> {
    let options = Arc::new(options.map_err(|error| rejection::of_error(&error))?);
    let file = file::BuildFile::fetch(bridge.as_ref(), &options.filename, &options.file_source)
        .await
        .map_err(|error| rejection::of_error(&error))?;
    if let Some(request) = &options.request {
        return requests::answer(request, &file, &options);
    }
    let helper = helper::own().map_err(|error| rejection::of_error(&error))?;
    evaluate::build(&bridge, &options, &file, helper).await
}
