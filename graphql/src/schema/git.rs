//! GitRepository and GitRef: the twin of `model/src/git.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use treenail_call::{Argument, CallId, Digest, Literal, NewCall};
use treenail_engine::{Cause, GitFailure, GitQuery, Resolved};
use treenail_model::{
    Directory, GitRef, GitRepository, Invalid, NamedCommit, Object, Secret, Value, git_commit,
};

use super::container::result_type;
use super::host::per_client;
use super::secret::check_provider;
use crate::binding::{Binding, Call, FromLiteral, NoArguments, Outcome, Root, arguments, field};

type Repository = Arc<GitRepository>;
type Ref = Arc<GitRef>;

/// A socket that is given as an argument.
struct SocketArgument;
/// A service that is given as an argument.
pub(super) struct ServiceArgument;

macro_rules! given {
    ($type:ident, $name:literal) => {
        impl FromLiteral for $type {
            const TYPE: &'static str = $name;

            fn from_literal(literal: &Literal, _: &HashMap<Digest, Object>) -> Result<Self, String> {
                match literal {
                    Literal::Id(_) => Ok(Self),
                    other => Err(format!("{other:?} is not an ID")),
                }
            }
        }
    };
}
given!(SocketArgument, "SocketID");
given!(ServiceArgument, "ServiceID");

arguments!(Git {
    url: String = "url",
    keep_git_dir: bool = "keepGitDir",
    known_hosts: String = "sshKnownHosts",
    socket: Option<SocketArgument> = "sshAuthSocket",
    username: String = "httpAuthUsername",
    token: Option<Arc<Secret>> = "httpAuthToken",
    header: Option<Arc<Secret>> = "httpAuthHeader",
    service: Option<ServiceArgument> = "experimentalServiceHost",
});
arguments!(Name { name: String = "name" });
arguments!(CommitId { id: String = "id" });
arguments!(Patterns { patterns: Option<Vec<String>> = "patterns" });
arguments!(TreeOptions { discard: bool = "discardGitDir", depth: i64 = "depth" });

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("git", git).remembered(per_client),
        field(
            "id",
            |_: Repository, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) },
        ),
        field("url", |this: Repository, _: NoArguments, _| async move {
            Ok(Value::Text(this.url.clone()).into())
        }),
        field("head", |this: Repository, _: NoArguments, call: Call| async move {
            at(&this, &call, this.refs.head())
        }),
        field("ref", |this: Repository, a: Name, call: Call| async move {
            at(&this, &call, this.refs.lookup(&a.name))
        }),
        field("branch", |this: Repository, a: Name, call: Call| async move {
            at(&this, &call, this.refs.branch(&a.name))
        }),
        field("tag", |this: Repository, a: Name, call: Call| async move {
            at(&this, &call, this.refs.tag(&a.name))
        }),
        field("commit", |this: Repository, a: CommitId, call: Call| async move {
            at(&this, &call, git_commit(&a.id))
        }),
        field("latestVersion", |this: Repository, _: NoArguments, call: Call| async move {
            at(&this, &call, this.refs.latest_version())
        }),
        field("tags", |this: Repository, a: Patterns, _| async move {
            Ok(Value::texts(this.refs.tags(&a.patterns.unwrap_or_default())).into())
        }),
        field("branches", |this: Repository, a: Patterns, _| async move {
            Ok(Value::texts(this.refs.branches(&a.patterns.unwrap_or_default())).into())
        }),
        field("id", |_: Ref, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field("commit", |this: Ref, _: NoArguments, _| async move {
            Ok(Value::Text(this.named.commit.clone()).into())
        }),
        field("ref", |this: Ref, _: NoArguments, _| async move {
            Ok(Value::Text(this.named.name.clone()).into())
        }),
        field("tree", tree),
        field("asGit", as_git),
    ]
}

/// Asks the repository for its names at once. The ID has the address as it turned out to be.
async fn git(_: Root, args: Git, call: Call) -> Outcome {
    refuse_service(args.service, "Query.git(experimentalServiceHost:)")?;
    if args.socket.is_some() {
        return Err(Cause::unsupported(
            "Query.git(sshAuthSocket:)",
            "sockets are not in this release of Treenail; start the session with the agent's socket in SSH_AUTH_SOCK",
        ));
    }
    for secret in [&args.token, &args.header].into_iter().flatten() {
        check_provider(secret)?;
    }
    let repository = call
        .engine
        .git(&GitQuery {
            url: args.url,
            keep_git_dir: args.keep_git_dir,
            known_hosts: args.known_hosts,
            username: args.username,
            token: args.token,
            header: args.header,
        })
        .await?;
    let resolved = Literal::String(repository.url.clone());
    let arguments = call.id.args().iter().map(|argument| match &*argument.name {
        "url" => Argument::new("url", resolved.clone()),
        _ => argument.clone(),
    });
    let id = NewCall {
        args: arguments.collect(),
        view: call.id.view().clone(),
        ..NewCall::new("git", result_type(&call)?)
    };
    let id = id.build().with_content_digest(repository.content());
    Ok(Resolved { value: repository.into(), id: Some(id) })
}

/// Services cannot be started yet, so nothing can be fetched from one.
pub(super) fn refuse_service(service: Option<ServiceArgument>, field: &str) -> Result<(), Cause> {
    match service {
        None => Ok(()),
        Some(_) => Err(Cause::unsupported(field, "services are not in this release of Treenail")),
    }
}

/// A commit, whose ID says by name and hash what it stands for.
fn at(repository: &Repository, call: &Call, named: Result<NamedCommit, Invalid>) -> Outcome {
    let reference = repository.at(named.map_err(Cause::invalid)?);
    let id: CallId = call.id.with_content_digest(reference.content());
    Ok(Resolved { value: reference.into(), id: Some(id) })
}

/// Tells what is no repository at once; one cannot be read yet.
async fn as_git(this: Arc<Directory>, _: NoArguments, call: Call) -> Outcome {
    // A work tree, a `.git` directory, a bare repository.
    for path in [".git", "HEAD"] {
        if call.engine.stat(&this, path).await?.is_some() {
            return Err(Cause::unsupported(
                "Directory.asGit",
                "repositories in directories are not in this release of Treenail; use git with a URL",
            ));
        }
    }
    Err(GitFailure::NotARepository.into())
}

/// Nothing is fetched before the files are needed.
async fn tree(this: Ref, args: TreeOptions, call: Call) -> Outcome {
    if args.depth != 1 && !args.discard {
        return Err(Cause::unsupported(
            "GitRef.tree(depth:)",
            "buildkitd fetches one commit of history; leave depth out, or run git in a container",
        ));
    }
    Ok(call.engine.git_tree(&this, args.discard).into())
}
