//! Host: the client's machine.

use treenail_call::{Argument, CallId, Literal, NewCall, Type, hash_strings};
use treenail_engine::{Cause, Resolved, Rule};
use treenail_model::{CopyFilter, Object, Value, paths};

use crate::binding::{Binding, Call, HostMachine, NoArguments, Outcome, arguments, field};

arguments!(HostDirectory {
    path: String = "path",
    exclude: Vec<String> = "exclude",
    include: Vec<String> = "include",
    no_cache: bool = "noCache",
    gitignore: bool = "gitignore",
});
arguments!(HostFile { path: String = "path", no_cache: bool = "noCache" });
arguments!(FindUp { name: String = "name", _no_cache: bool = "noCache" });

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field(
            "id",
            |_: HostMachine, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) },
        ),
        field("directory", directory).remembered(unless_no_cache),
        field("file", file).remembered(unless_no_cache),
        field("findUp", find_up).remembered(unless_no_cache),
    ]
}

/// Once a client.
pub(super) fn per_client(_: &CallId) -> Rule {
    Rule::PerClient
}

/// Once a client, unless the call asks for a new look each time.
pub(super) fn unless_no_cache(call: &CallId) -> Rule {
    match call.arg("noCache") {
        Some(Literal::Bool(true)) => Rule::PerCall,
        _ => Rule::PerClient,
    }
}

/// What is read anew each time is another object each time: its ID has a digest of its own, or the calls below it
/// would be answered from an earlier look.
async fn directory(_: HostMachine, args: HostDirectory, call: Call) -> Outcome {
    let filter = CopyFilter { include: args.include, exclude: args.exclude };
    let nonce = args.no_cache.then(|| call.engine.nonce());
    let directory = call.engine.host_directory(&args.path, &filter, args.gitignore, nonce.as_deref()).await?;
    let id =
        nonce.map(|nonce| call.id.with_custom_digest(hash_strings(&[call.id.digest().as_str(), &nonce])));
    Ok(Resolved { value: directory.into(), id })
}

/// A file is its directory, filtered to the file's name: the ID says so.
async fn file(_: HostMachine, args: HostFile, call: Call) -> Outcome {
    let (folder, name) = match args.path.trim_end_matches('/').rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", args.path.as_str()),
    };
    if name.is_empty() || name == "." || name == ".." {
        return Err(Cause::invalid(format!("path {} is a directory, not a file", args.path)));
    }
    let mut arguments = vec![
        Argument::new("path", Literal::string(folder)),
        Argument::new("include", Literal::List(vec![Literal::string(name)])),
    ];
    if args.no_cache {
        arguments.push(Argument::new("noCache", Literal::Bool(true)));
    }
    let directory = NewCall {
        receiver: call.id.receiver().cloned(),
        args: arguments,
        ..NewCall::new("directory", Type::required("Directory"))
    };
    let evaluated = call
        .engine
        .evaluate(Object::Host, directory.build())
        .await
        .map_err(|failed| failed.cause().clone())?;
    let Value::Object(Object::Directory(source)) = evaluated.value else {
        return Err(Cause::Bug("host.directory answered no directory".to_owned()));
    };
    let found = call.engine.stat(&source, name).await?;
    match found {
        None => return Err(Cause::invalid(format!("stat {}: no such file or directory", args.path))),
        Some(stat) if stat.file_type == treenail_model::FileType::Directory => {
            return Err(Cause::invalid(format!(
                "path {} is a directory, not a file",
                paths::base_name(&args.path)
            )));
        }
        Some(_) => {}
    }
    let id = evaluated.id.select(
        "file",
        Type::required("File"),
        vec![Argument::new("path", Literal::string(name))],
    );
    Ok(Resolved { value: source.file(name).into(), id: Some(id) })
}

async fn find_up(_: HostMachine, args: FindUp, call: Call) -> Outcome {
    let found = call.engine.host().find_up(&args.name).await.map_err(|error| Cause::Host(error.0))?;
    Ok(found.map_or(Value::Null, Value::text).into())
}
