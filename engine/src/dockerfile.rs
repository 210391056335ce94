//! Dockerfiles, through the daemon's own frontend.
//!
//! The frontend answers a graph, which is taken in as it is: what stands on it is solved like anything else, and its
//! layers are those that other clients of the daemon find.

use std::collections::BTreeMap;
use std::sync::Arc;

use treenail_bridge::{Error as BridgeError, ExecFailure, SolveRequest, Solved, Tail};
use treenail_init as init;
use treenail_llb as llb;
use treenail_model::{Container, Directory, DockerfileBuild, Tree, parse_image};
use treenail_protos::pb;

use crate::solve::clipped;
use crate::{Cause, Engine, ExecError};

/// The frontend that every daemon has.
const FRONTEND: &str = "dockerfile.v0";

/// Where a frontend's answer has the configuration of an image.
const CONFIG: &str = "containerimage.config";

/// Id of a secret that no session has.
const WITHHELD: &str = "treenail-withheld";

impl Engine {
    /// Builds a Dockerfile out of `source`, with `context` as what its instructions copy from. The file is read and
    /// the configurations of its base images are asked for; none of its commands runs.
    ///
    /// # Errors
    /// What evaluating `source` gives; the Dockerfile makes no sense, or has a base that no registry knows.
    pub async fn docker_build(
        &self,
        context: &Directory,
        source: &Directory,
        build: &DockerfileBuild,
    ) -> Result<Container, Cause> {
        for secret in &build.secrets {
            self.offer_by_name(secret)?;
        }
        let (context, source) = (context.rebased().tree, source.rebased().tree);
        // Here its failures have names; inside the frontend they are texts.
        self.solve(&source).await?;
        let request = SolveRequest {
            frontend: FRONTEND.to_owned(),
            frontend_options: build.options(),
            frontend_inputs: BTreeMap::from([
                ("context".to_owned(), self.input(&context)?),
                ("dockerfile".to_owned(), self.input(&source)?),
            ]),
            ..SolveRequest::default()
        };
        let solved = match self.bridge().solve(request).await {
            Ok(solved) => solved,
            // What it says of the file is meant for its author.
            Err(BridgeError::Refused { message, .. }) => return Err(Cause::Invalid(message)),
            Err(BridgeError::Exec(failure)) => return Err(self.explain(&failure).await),
            Err(other) => return Err(other.into()),
        };
        let (definition, config) = single(solved, build)?;
        let image =
            parse_image(&config).map_err(|error| Cause::Bug(format!("a built image has an {error}")))?;
        let tree = self.built_tree(&definition, build)?;
        Ok(build.container(tree, image, &self.default_platform()))
    }

    /// A tree as the input of a frontend, which knows no empty trees.
    fn input(&self, tree: &Tree) -> Result<pb::Definition, Cause> {
        if let Some(definition) = self.definition(tree)? {
            return Ok(definition);
        }
        let mut root = llb::MkdirAction::new("/", 0o755);
        root.make_parents = true;
        let empty = llb::Output::file(None, root, llb::OpOptions::named("empty directory"));
        Ok(self.definition(&Tree::of(Some(empty)))?.unwrap_or_default())
    }

    /// The tree of a frontend's graph, in which commands see no secret but those of the build. One that they cannot do
    /// without is an error when the tree is needed.
    fn built_tree(&self, definition: &pb::Definition, build: &DockerfileBuild) -> Result<Tree, Cause> {
        let mut missing = None;
        let output = llb::Output::from_definition(definition, |op| match &mut op.op {
            Some(pb::op::Op::Exec(exec)) => restrict(exec, build, &mut missing),
            _ => false,
        });
        let output =
            output.map_err(|error| Cause::Bug(format!("buildkitd answered a build oddly: {error}")))?;
        Ok(match missing {
            Some(name) => Tree::poisoned(format!("secret not found: {name}")),
            None => Tree::of(output),
        })
    }
}

impl Engine {
    /// Turns a failed command that is not ours into what its caller is told. Nothing of ours ran inside of it, so what it
    /// wrote is known from the daemon's progress alone.
    pub(crate) async fn explain_foreign(&self, failure: &ExecFailure, exec: &pb::ExecOp) -> Cause {
        let mounted =
            exec.mounts.iter().filter_map(|mount| mount.secret_opt.as_ref()).map(|secret| &secret.id);
        let mut secrets = Vec::new();
        for id in mounted.chain(exec.secretenv.iter().map(|secret| &secret.id)) {
            secrets.extend(self.plaintext_by_name(id).await.map(|value| value.to_vec()));
        }
        let text = |tail: Tail| {
            let mut scrubber = init::Scrubber::new(secrets.iter().cloned());
            let mut clean = Vec::with_capacity(tail.bytes.len());
            scrubber.push(&tail.bytes, &mut clean);
            scrubber.finish(&mut clean);
            clipped(Some((clean.into(), tail.size)))
        };
        let written = self.bridge().written(&failure.vertex).await;
        Cause::Exec(Arc::new(ExecError {
            command: exec.meta.as_ref().map(|meta| meta.args.clone()).unwrap_or_default(),
            exit_code: i64::from(failure.exit_code as i32),
            stdout: text(written.stdout),
            stderr: text(written.stderr),
            reason: Some(failure.message.clone()),
            vertex: failure.vertex.clone(),
        }))
    }
}

/// The graph and the configuration of the one image that was asked for.
fn single(solved: Solved, build: &DockerfileBuild) -> Result<(pb::Definition, bytes::Bytes), Cause> {
    let odd = |what: &str| Cause::Bug(format!("buildkitd answered a build {what}"));
    let Solved { mut definitions, mut metadata, .. } = solved;
    // `BUILDKIT_MULTI_PLATFORM` makes a list of one.
    let name = match definitions.len() {
        0 => String::new(),
        1 => definitions.keys().next().cloned().unwrap_or_default(),
        _ => build.platform.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    let key = if name.is_empty() { CONFIG.to_owned() } else { format!("{CONFIG}/{name}") };
    let config = metadata.remove(&key).ok_or_else(|| odd("without a configuration"))?;
    Ok((definitions.remove(&name).unwrap_or_default(), config))
}

/// Writes the ids that secrets have here into a command. Answers whether anything changed.
fn restrict(exec: &mut pb::ExecOp, build: &DockerfileBuild, missing: &mut Option<String>) -> bool {
    let mounted = exec.mounts.iter_mut().filter_map(|mount| mount.secret_opt.as_mut());
    let mounted = mounted.map(|secret| (&mut secret.id, secret.optional));
    let variables = exec.secretenv.iter_mut().map(|secret| (&mut secret.id, secret.optional));
    let mut changed = false;
    for (id, optional) in mounted.chain(variables) {
        let known = if build.has_secret(id) {
            crate::secrets::id_by_name(id)
        } else if optional {
            WITHHELD.into()
        } else {
            missing.get_or_insert_with(|| id.clone());
            continue;
        };
        if known != *id {
            *id = known.into_owned();
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use treenail_model::Secret;

    #[test]
    fn commands_see_the_secrets_of_their_build_alone() {
        let secret = |name: &str| Secret { id: "digest".into(), name: name.into(), uri: "".into() };
        let build = DockerfileBuild {
            secrets: vec![secret("given"), secret("sha256:given")],
            ..DockerfileBuild::default()
        };
        let run = |ids: &[(&str, bool)]| {
            let secretenv = ids.iter().map(|(id, optional)| pb::SecretEnv {
                id: (*id).to_owned(),
                name: "N".to_owned(),
                optional: *optional,
            });
            let mut exec = pb::ExecOp { secretenv: secretenv.collect(), ..pb::ExecOp::default() };
            let mut missing = None;
            let changed = restrict(&mut exec, &build, &mut missing);
            (changed, exec.secretenv.into_iter().map(|secret| secret.id).collect::<Vec<_>>(), missing)
        };
        assert_eq!(run(&[("given", false)]), (false, vec!["given".to_owned()], None));
        assert_eq!(run(&[("other", true)]), (true, vec![WITHHELD.to_owned()], None));
        let (_, _, missing) = run(&[("given", false), ("other", false), ("more", false)]);
        assert_eq!(missing.as_deref(), Some("other"));
        // A name cannot stand for a secret of another name, nor for the helper.
        let (changed, ids, _) = run(&[("sha256:given", false)]);
        assert!(changed && ids == ["treenail-named-sha256:given"], "{ids:?}");
    }
}
