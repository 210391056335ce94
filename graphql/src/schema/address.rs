//! Address: the twin of `model/src/address.rs`. What an address leads to is the value of the call that would have
//! been made without it, ID included.

use std::sync::Arc;

use treenail_call::{Argument, CallId, Literal, NewCall, Type};
use treenail_engine::{Cause, Evaluated, Resolved};
use treenail_model::{Address, GitAddress, Value};

use super::container::per_call;
use super::host::{per_client, unless_no_cache};
use crate::binding::{Binding, Call, NoArguments, Outcome, Root, arguments, field};
use crate::sdl::CORE_VERSION;

type This = Arc<Address>;

arguments!(NewAddress { value: String = "value" });
arguments!(Filtered {
    exclude: Vec<String> = "exclude",
    include: Vec<String> = "include",
    gitignore: bool = "gitignore",
    _no_cache: bool = "noCache",
});

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("address", |_: Root, a: NewAddress, _| async move {
            Ok(Address::new(&a.value).map_err(Cause::invalid)?.into())
        }),
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field(
            "value",
            |this: This, _: NoArguments, _| async move { Ok(Value::Text(this.value.clone()).into()) },
        ),
        field("container", |this: This, _: NoArguments, call: Call| async move {
            let container = CallId::root("container", Type::required("Container"));
            let address = vec![Argument::new("address", Literal::string(&*this.value))];
            led(&call, container.select("from", Type::required("Container"), address)).await
        })
        .remembered(per_call),
        field("directory", directory).remembered(unless_no_cache),
        field("file", file).remembered(unless_no_cache),
        field("secret", |this: This, _: NoArguments, call: Call| async move {
            let address = this.secret();
            let mut args = vec![Argument::new("uri", Literal::string(address.uri.as_str()))];
            args.extend(
                address.cache_key.map(|key| Argument::new("cacheKey", Literal::string(key.as_str()))),
            );
            led(&call, NewCall { args, ..secret_call() }.build()).await
        })
        .remembered(per_call),
        field("gitRepository", git_repository).remembered(per_client),
        field("gitRef", git_ref).remembered(per_client),
        field("service", |this: This, _: NoArguments, _| async move {
            this.check_service().map_err(Cause::invalid)?;
            Err(Cause::unsupported("Address.service", "services are not in this release of Treenail"))
        }),
    ]
}

fn secret_call() -> NewCall {
    NewCall::new("secret", Type::required("Secret"))
}

/// `noCache` decides how this call is remembered; it is not passed on.
async fn directory(this: This, args: Filtered, call: Call) -> Outcome {
    if let Some(git) = this.git().map_err(Cause::invalid)? {
        let mut steps = vec![repository(&git), reference(&git.fragment.reference), tree()];
        if !git.fragment.subdir.is_empty() {
            steps.push(step("directory", "Directory", vec![path_of(&git.fragment.subdir)]));
        }
        return follow(&call, steps).await;
    }
    let mut arguments = vec![path_of(this.host_path())];
    let list =
        |patterns: &[String]| Literal::List(patterns.iter().map(|p| Literal::string(p.as_str())).collect());
    if !args.exclude.is_empty() {
        arguments.push(Argument::new("exclude", list(&args.exclude)));
    }
    if !args.include.is_empty() {
        arguments.push(Argument::new("include", list(&args.include)));
    }
    if args.gitignore {
        arguments.push(Argument::new("gitignore", Literal::Bool(true)));
    }
    follow(&call, vec![step("host", "Host", Vec::new()), step("directory", "Directory", arguments)]).await
}

async fn file(this: This, _: Filtered, call: Call) -> Outcome {
    if let Some(git) = this.git().map_err(Cause::invalid)? {
        let path = path_of(git.file_path().map_err(Cause::invalid)?);
        let file = step("file", "File", vec![path]);
        return follow(&call, vec![repository(&git), reference(&git.fragment.reference), tree(), file]).await;
    }
    let path = path_of(this.host_path());
    follow(&call, vec![step("host", "Host", Vec::new()), step("file", "File", vec![path])]).await
}

async fn git_repository(this: This, _: NoArguments, call: Call) -> Outcome {
    let Some(git) = this.git().map_err(Cause::invalid)? else {
        return follow(&call, host_repository(this.host_path())).await;
    };
    git.only_repository().map_err(Cause::invalid)?;
    follow(&call, vec![repository(&git)]).await
}

async fn git_ref(this: This, _: NoArguments, call: Call) -> Outcome {
    let Some(git) = this.git().map_err(Cause::invalid)? else {
        let (path, name) = this.host_repository();
        let mut steps = host_repository(path);
        steps.push(reference(name));
        return follow(&call, steps).await;
    };
    git.only_ref().map_err(Cause::invalid)?;
    follow(&call, vec![repository(&git), reference(&git.fragment.reference)]).await
}

fn path_of(path: &str) -> Argument {
    Argument::new("path", Literal::string(path))
}

/// A call whose receiver is yet to come.
fn step(field: &str, result: &str, args: Vec<Argument>) -> NewCall {
    NewCall { args, ..NewCall::new(field, Type::required(result)) }
}

/// A repository in a directory of the client.
fn host_repository(path: &str) -> Vec<NewCall> {
    vec![
        step("host", "Host", Vec::new()),
        step("directory", "Directory", vec![path_of(path)]),
        step("asGit", "GitRepository", Vec::new()),
    ]
}

fn repository(git: &GitAddress) -> NewCall {
    let url = Argument::new("url", Literal::String(git.repository.clone()));
    NewCall { view: CORE_VERSION.into(), ..step("git", "GitRepository", vec![url]) }
}

fn reference(name: &str) -> NewCall {
    match name {
        "" => step("head", "GitRef", Vec::new()),
        name => step("ref", "GitRef", vec![Argument::new("name", Literal::string(name))]),
    }
}

fn tree() -> NewCall {
    NewCall { view: CORE_VERSION.into(), ..step("tree", "Directory", Vec::new()) }
}

/// Makes calls one on the other: each result's ID, which may be another than the call's own, is the next one's
/// receiver.
async fn follow(call: &Call, steps: Vec<NewCall>) -> Outcome {
    let mut last = None;
    for step in steps {
        let receiver = last.map(|evaluated: Evaluated| evaluated.id);
        let target = NewCall { receiver, ..step }.build();
        last = Some(call.engine.load(&target).await.map_err(|failed| failed.cause().clone())?);
    }
    let evaluated = last.ok_or_else(|| Cause::Bug("an address without a call".to_owned()))?;
    Ok(Resolved { value: evaluated.value, id: Some(evaluated.id) })
}

/// The value of the call that the address stands for.
async fn led(call: &Call, target: CallId) -> Outcome {
    let evaluated = call.engine.load(&target).await.map_err(|failed| failed.cause().clone())?;
    Ok(Resolved { value: evaluated.value, id: Some(evaluated.id) })
}
