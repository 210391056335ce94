//! One build: a build file and options become a result, through the evaluator that serves SDKs.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use treenail_bridge::stdio::{Rejection, StdioBridge, Warning};
use treenail_bridge::{Ref, Solved};
use treenail_engine::{Cause, Engine, Failed};
use treenail_graphql::document::Position;
use treenail_graphql::outline::{OperationOutline, outline};
use treenail_graphql::prepare::{Request, prepare};
use treenail_graphql::{Api, Watcher};
use treenail_model::{Container, Directory, Helper, Image, Object, Tree};

use crate::arguments;
use crate::calls::{Calls, Wanted, as_document};
use crate::door::Door;
use crate::file::BuildFile;
use crate::host::BuildHost;
use crate::options::Options;
use crate::rejection;

/// Metadata with the answer of a document that asks for more than an object.
const ANSWER: &str = "frontend.result.json";

/// Runs the operation that the options name, and answers the result to return.
///
/// # Errors
/// What the client is to be told.
pub(crate) async fn build(
    bridge: &Arc<StdioBridge>,
    options: &Arc<Options>,
    file: &BuildFile,
    helper: Helper,
) -> Result<Solved, Rejection> {
    let operations = outline(&file.text).map_err(|error| rejection::of_request(file, &error))?;
    let operation = choose(file, &operations, &options.target)?;
    if options.no_cache.holds_for(&operation.name) {
        bridge.ignore_cache();
    }
    let variables = arguments::variables(file, operation, &options.arguments)?;
    for name in arguments::unused(&operations, &options.arguments) {
        let warning = Warning {
            vertex: file.vertex.clone(),
            short: format!("no operation of the build file has a variable for --build-arg {name}"),
            ..Warning::default()
        };
        // An old daemon has no warnings, and a build does not fail for want of one.
        drop(bridge.warn(warning).await);
    }

    let calls = Arc::new(Calls::new(file.clone()));
    let host =
        BuildHost::new(options.clone(), bridge.clone(), helper, as_document(&calls), file.ignore.clone());
    let engine = Engine::new(bridge.clone(), Arc::new(host), Arc::new(Door::new()), &options.session);
    let failure: Arc<Mutex<Option<Failed>>> = Arc::default();
    let first = failure.clone();
    let watcher: Arc<dyn Watcher> = calls.clone();
    let api = Api::new(engine.clone()).with_watcher(watcher).with_observer(Arc::new(move |failed| {
        first.lock().get_or_insert_with(|| failed.clone());
    }));
    let request = json!({ "query": &*file.text, "operationName": operation.name, "variables": variables });
    let request = Request::from_json(request.to_string().as_bytes())
        .map_err(|error| rejection::of_request(file, &error))?;
    let prepared =
        prepare(api.schema().clone(), &request).map_err(|error| rejection::of_request(file, &error))?;
    let answer = api.run(Arc::new(prepared), None).await;
    let failed = failure.lock().take();
    if let Some(failed) = failed {
        return Err(rejection::of_failed(file, &engine, &calls, &failed));
    }
    let answer: Json = serde_json::from_slice(&answer).map_err(|error| {
        rejection::at(file, [], format!("internal error: the answer is no JSON: {error}"))
    })?;
    if let Some(message) = answer["errors"][0]["message"].as_str() {
        let message = message.rsplit_once("\n\nerror: ").map_or(message, |(_, cause)| cause);
        return Err(rejection::at(file, [place_of(operation)], message));
    }

    let mut solved = match the_result(file, &calls.results())? {
        Some(wanted) => solve(&engine, options, &wanted.object).await.map_err(|cause| {
            let failed = Failed::new(None, cause);
            let told = rejection::of_failed(file, &engine, &calls, &failed);
            if told.excerpts.is_empty() { rejection::at(file, [wanted.place], told.message) } else { told }
        })?,
        None => Solved::default(),
    };
    if calls.has_values() {
        solved.metadata.insert(ANSWER.to_owned(), answer["data"].to_string().into());
    }
    Ok(solved)
}

/// The operation with a name; the first one without.
///
/// # Errors
/// There is none; the text lists those that are there.
pub(crate) fn choose<'a>(
    file: &BuildFile,
    operations: &'a [OperationOutline],
    target: &str,
) -> Result<&'a OperationOutline, Rejection> {
    let found = if target.is_empty() {
        operations.first()
    } else {
        operations.iter().find(|operation| operation.name == target)
    };
    found.ok_or_else(|| {
        if operations.is_empty() {
            return rejection::at(file, [], "the build file has no operation");
        }
        let names: Vec<String> = operations
            .iter()
            .map(|operation| {
                if operation.name.is_empty() {
                    "one without a name".to_owned()
                } else {
                    operation.name.clone()
                }
            })
            .collect();
        let message = format!("no such target: {target:?}, there are: {}", names.join(", "));
        rejection::at(file, operations.iter().map(place_of), message)
    })
}

/// The line that an operation begins on.
fn place_of(operation: &OperationOutline) -> (Position, Position) {
    (operation.position, operation.position)
}

/// The one object that the document asks for.
fn the_result(file: &BuildFile, wanted: &[Wanted]) -> Result<Option<Wanted>, Rejection> {
    match wanted {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => Err(rejection::at(
            file,
            several.iter().map(|wanted| wanted.place),
            "a build has one result, and the operation asks for several: keep one `id` or `sync`, or make an \
             operation of each",
        )),
    }
}

/// Evaluates an object and describes it as a result.
async fn solve(engine: &Engine, options: &Options, object: &Object) -> Result<Solved, Cause> {
    match object {
        Object::Container(container) => image(engine, options, container).await,
        Object::Directory(directory) => files(engine, options, &directory.rebased()).await,
        Object::File(file) => {
            let empty = Directory::whole(Tree::scratch(), file.platform.clone());
            files(engine, options, &empty.with_file(file.name(), file, None, None)).await
        }
        other => Err(Cause::Bug(format!("a {} cannot be a result", other.type_name()))),
    }
}

/// An image: its files, its configuration, and that of the image it stands on.
///
/// # Source
/// BuildKit v0.32.2 `exporter/containerimage/exptypes/types.go`.
async fn image(engine: &Engine, options: &Options, container: &Container) -> Result<Solved, Cause> {
    let labelled = container.with_config(|config| {
        for (name, value) in &options.labels {
            config.labels.insert(name.as_str().into(), value.as_str().into());
        }
    });
    let labelled = Arc::new(labelled);
    let image = Image::new(&labelled, &[]).map_err(Cause::invalid)?;
    let reference = engine.solve(&labelled.root().tree).await?;
    let mut metadata: BTreeMap<_, _> =
        image.metadata().into_iter().map(|(key, value)| (key, value.into())).collect();
    if let Some(base) = &labelled.base_config {
        metadata.insert("containerimage.base.config".to_owned(), bytes::Bytes::copy_from_slice(base));
    }
    let platform = labelled.platform.to_string();
    Ok(placed(options, &platform, reference, metadata))
}

async fn files(engine: &Engine, options: &Options, directory: &Directory) -> Result<Solved, Cause> {
    let reference = engine.solve(&directory.tree).await?;
    Ok(placed(options, &directory.platform.to_string(), reference, BTreeMap::new()))
}

/// A result on its own, or under its platform where that is asked for.
fn placed(
    options: &Options,
    platform: &str,
    reference: Option<Ref>,
    metadata: BTreeMap<String, bytes::Bytes>,
) -> Solved {
    if !options.by_platform {
        return Solved { reference, metadata, ..Solved::default() };
    }
    let mut metadata: BTreeMap<String, bytes::Bytes> =
        metadata.into_iter().map(|(key, value)| (format!("{key}/{platform}"), value)).collect();
    let mut parts = platform.split('/');
    let mut described = json!({ "os": parts.next(), "architecture": parts.next() });
    if let Some(variant) = parts.next() {
        described["variant"] = variant.into();
    }
    let platforms = json!({ "Platforms": [{ "ID": platform, "Platform": described }] });
    metadata.insert("refs.platforms".to_owned(), platforms.to_string().into());
    let reference = reference.unwrap_or_else(|| Ref { id: "".into() });
    Solved { named: BTreeMap::from([(platform.to_owned(), reference)]), metadata, ..Solved::default() }
}
