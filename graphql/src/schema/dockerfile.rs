//! Dockerfile builds: the twin of `model/src/dockerfile.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use treenail_call::{Digest, Literal};
use treenail_engine::Cause;
use treenail_model::{Directory, DockerfileBuild, Object, Platform, Secret};
use treenail_patterns::{PatternMatcher, ignore_file};

use super::secret::check_provider;
use crate::binding::{Binding, Call, FromLiteral, Outcome, arguments, field};

arguments!(DockerBuild {
    dockerfile: String = "dockerfile",
    platform: Option<Platform> = "platform",
    arguments: Vec<BuildArgument> = "buildArgs",
    target: String = "target",
    secrets: Vec<Arc<Secret>> = "secrets",
    // The daemon's frontend runs commands its own way, without a helper.
    _no_init: bool = "noInit",
    ssh: Option<SocketId> = "ssh",
});

/// One `ARG`.
struct BuildArgument(Arc<str>, Arc<str>);

impl FromLiteral for BuildArgument {
    const TYPE: &'static str = "BuildArg";

    fn from_literal(literal: &Literal, _: &HashMap<Digest, Object>) -> Result<Self, String> {
        let Literal::Object(fields) = literal else { return Err(format!("{literal:?} is not a BuildArg")) };
        let text = |name: &str| {
            let found = fields.iter().find(|(field, _)| **field == *name).map(|(_, value)| value);
            match found {
                Some(Literal::String(text)) => Ok(text.clone()),
                _ => Err(format!("a BuildArg has no {name}")),
            }
        };
        Ok(Self(text("name")?, text("value")?))
    }
}

/// A socket of the client, which this release has no value for.
struct SocketId;

impl FromLiteral for SocketId {
    const TYPE: &'static str = "SocketID";

    fn from_literal(_: &Literal, _: &HashMap<Digest, Object>) -> Result<Self, String> {
        Ok(Self)
    }
}

pub(super) fn bindings() -> Vec<Binding> {
    vec![field("dockerBuild", docker_build)]
}

/// Reads the Dockerfile now; its commands run when the result is needed.
async fn docker_build(this: Arc<Directory>, args: DockerBuild, call: Call) -> Outcome {
    if args.ssh.is_some() {
        return Err(Cause::unsupported(
            "Directory.dockerBuild(ssh:)",
            "sockets are not in this release; fetch with host.directory or git what the Dockerfile needs",
        ));
    }
    for secret in &args.secrets {
        check_provider(secret)?;
        if secret.name.is_empty() {
            return Err(Cause::invalid(
                "a secret by URI has no name that a Dockerfile could mount it by; use setSecret",
            ));
        }
    }
    let build = DockerfileBuild {
        dockerfile: args.dockerfile,
        platform: args.platform,
        arguments: args.arguments.into_iter().map(|BuildArgument(name, value)| (name, value)).collect(),
        target: args.target,
        secrets: args.secrets.iter().map(|secret| (**secret).clone()).collect(),
    };
    let context = context(&this, &build, &call).await?;
    Ok(call.engine.docker_build(&context, &this, &build).await?.into())
}

/// The directory without what its ignore file names.
///
/// # Source
/// `contract/container.md` 7.
async fn context(this: &Directory, build: &DockerfileBuild, call: &Call) -> Result<Directory, Cause> {
    let mut exclude = Vec::new();
    for path in build.ignore_files() {
        let text = call.engine.read_text_if_any(this, &path).await?.unwrap_or_default();
        if !text.is_empty() {
            exclude = ignore_file(&text);
            PatternMatcher::new(&exclude).map_err(|error| Cause::invalid(format!("{path}: {error}")))?;
            break;
        }
    }
    let (context, is_of_host) = this.build_context(exclude);
    if is_of_host {
        // The machine is read at the call, as by `host.directory`, and not when the result is needed.
        call.engine.solve(&context.tree).await?;
    }
    Ok(context)
}
