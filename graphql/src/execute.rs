//! Walks a prepared request: fields become calls, calls become values, values become the answer's bytes.
//!
//! One flat set of running steps serves a root field: a step that ends adds the steps of its children. Siblings
//! run at once at every depth, and neither a chain of 10 000 calls nor an answer as deep uses stack.
//!
//! Invariant: an answer is all data or all errors; below a root field, the first error ends that field's work.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use treenail_call::{Argument, CallId, Limits, NewCall, Type};
use treenail_engine::{Cause, Engine, Evaluated, Failed};
use treenail_model::{Object, Value};

use crate::error::{ErrorEntry, Extension, PathSegment, write_errors};
use crate::fields::{FieldTable, literal};
use crate::http::{Executor, RequestContext, ResponseBody};
use crate::introspect;
use crate::json;
use crate::prepare::{Field, Prepared, SelectionSetId};
use crate::sdl::{CORE_VERSION, SchemaModel, TypeRef};

/// Told of every call that failed, before the client is.
pub type Observer = Arc<dyn Fn(&Failed) + Send + Sync>;

/// Sees how a request runs, for those who need more than its answer.
pub trait Watcher: Send + Sync + 'static {
    /// A field is about to be asked for, by this call.
    fn asked(&self, field: Field<'_>, call: &CallId);

    /// A field of this receiver has been answered.
    fn answered(&self, field: Field<'_>, receiver: &Object);
}

/// The API of one session.
#[derive(Clone)]
pub struct Api {
    engine: Engine,
    schema: Arc<SchemaModel>,
    observer: Option<Observer>,
    watcher: Option<Arc<dyn Watcher>>,
}

/// The meaning of every field, for [`Engine::new`].
pub fn fields() -> Arc<dyn treenail_engine::Fields> {
    Arc::new(FieldTable::new(SchemaModel::core()))
}

impl Api {
    /// The core API on an engine.
    pub fn new(engine: Engine) -> Self {
        Self { engine, schema: SchemaModel::core(), observer: None, watcher: None }
    }

    /// The same, telling `observer` of failures.
    #[must_use]
    pub fn with_observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The same, showing `watcher` every call.
    #[must_use]
    pub fn with_watcher(mut self, watcher: Arc<dyn Watcher>) -> Self {
        self.watcher = Some(watcher);
        self
    }

    /// The schema that it answers.
    pub fn schema(&self) -> &Arc<SchemaModel> {
        &self.schema
    }

    /// Runs a request and writes the body of its answer. `traceparent` is the header of that name.
    pub async fn run(&self, prepared: Arc<Prepared>, traceparent: Option<String>) -> Vec<u8> {
        let ids = match decode_ids(&prepared) {
            Ok(ids) => Arc::new(ids),
            Err(refusal) => return write_errors(refusal.entries()),
        };
        let roots = prepared.fields(prepared.root()).map(|field| {
            let run = Run { api: self, prepared: &prepared, ids: &ids };
            run.root_field(field.index())
        });
        let results = join_all(roots).await;

        let mut errors = Vec::new();
        let mut trees = Vec::new();
        for (field, result) in prepared.fields(prepared.root()).zip(results) {
            match result {
                Ok(tree) => trees.push((field.key(), tree)),
                Err(failure) => {
                    if let (Some(observer), Some(failed)) = (&self.observer, &failure.failed) {
                        observer(failed);
                    }
                    errors.push(entry(&failure, traceparent.as_deref()));
                }
            }
        }
        if !errors.is_empty() {
            return write_errors(&errors);
        }
        let mut out = b"{\"data\":{".to_vec();
        let mut first = true;
        for (key, tree) in trees {
            json::comma(&mut out, &mut first);
            json::key(&mut out, key);
            tree.write(&prepared, &mut out);
        }
        out.extend_from_slice(b"}}");
        out
    }
}

impl Executor for Api {
    fn execute(&self, request: Prepared, context: RequestContext) -> BoxFuture<'static, ResponseBody> {
        let api = self.clone();
        async move { ResponseBody::from_json(api.run(Arc::new(request), context.traceparent).await) }.boxed()
    }
}

/// IDs of a request, decoded and checked, by their text.
type Ids = HashMap<Arc<str>, CallId>;

fn decode_ids(prepared: &Prepared) -> Result<Ids, crate::error::RequestError> {
    let mut ids = Ids::new();
    let limits = Limits::default();
    prepared.check_ids(|type_name, text| {
        let id = match ids.get(text) {
            Some(id) => id.clone(),
            None => {
                let id = treenail_call::decode(text, &limits).map_err(|error| error.to_string())?;
                ids.insert(text.clone(), id.clone());
                id
            }
        };
        id.expect_type(type_name).map_err(|error| error.to_string())
    })?;
    Ok(ids)
}

/// A failure with the place in the answer where it belongs.
struct Failure {
    message: String,
    path: Vec<PathSegment>,
    failed: Option<Failed>,
}

fn entry(failure: &Failure, traceparent: Option<&str>) -> ErrorEntry {
    let mut entry = ErrorEntry::new(failure.message.clone());
    entry.path.clone_from(&failure.path);
    let Some(failed) = &failure.failed else { return entry };
    match failed.cause() {
        Cause::Exec(exec) => {
            entry.message = format!("{} {}", entry.message, trace_mark(traceparent));
            entry
                .with_extension("_type", Extension::Text("EXEC_ERROR".to_owned()))
                .with_extension("cmd", Extension::Texts(exec.command.clone()))
                .with_extension("exitCode", Extension::Int(exec.exit_code))
                .with_extension("stdout", Extension::Text(exec.stdout.clone()))
                .with_extension("stderr", Extension::Text(exec.stderr.clone()))
        }
        Cause::Unsupported { field, capability, since, .. } => entry
            .with_extension("code", Extension::Text("UNSUPPORTED".to_owned()))
            .with_extension("field", Extension::Text(field.clone()))
            .with_extension("capability", Extension::Text(capability.clone()))
            .with_extension("since", Extension::Text(since.clone())),
        Cause::Daemon(_) | Cause::Host(_) => {
            entry.message = format!("{} {}", entry.message, trace_mark(traceparent));
            entry
        }
        Cause::Invalid(_) | Cause::Bug(_) => entry,
    }
}

/// The mark that clients cut off again: the trace and span of the request, zeros without one.
///
/// # Source
/// `contract/session.md` 8.
fn trace_mark(traceparent: Option<&str>) -> String {
    let hex = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = traceparent.unwrap_or_default().split('-').collect();
    match parts[..] {
        [_, trace, span, ..] if hex(trace, 32) && hex(span, 16) => format!("[traceparent:{trace}-{span}]"),
        _ => format!("[traceparent:{:032}-{:016}]", 0, 0),
    }
}

/// What one root field needs while it runs.
#[derive(Clone, Copy)]
struct Run<'a> {
    api: &'a Api,
    prepared: &'a Arc<Prepared>,
    ids: &'a Arc<Ids>,
}

/// One node of an answer being built.
enum Node {
    Waiting,
    Json(Vec<u8>),
    /// Field index of each member (for its key) and its node.
    Object(Vec<(usize, usize)>),
    List(Vec<usize>),
}

/// An answer as a flat list of nodes; the first is the root.
struct Answer(Vec<Node>);

/// A field to be asked, and where its answer goes.
struct Step {
    node: usize,
    field: usize,
    receiver: Object,
    receiver_id: Option<CallId>,
}

/// A step that has ended. The receiver is there if somebody watches.
struct Finished {
    node: usize,
    field: usize,
    receiver: Option<Object>,
    result: Result<Evaluated, Failed>,
}

impl Run<'_> {
    async fn root_field(self, field: usize) -> Result<Answer, Failure> {
        let mut answer = Answer(vec![Node::Waiting]);
        let mut running: FuturesUnordered<BoxFuture<'static, Finished>> = FuturesUnordered::new();
        let first = Step { node: 0, field, receiver: Object::Query, receiver_id: None };
        self.start(first, &mut answer, &mut running)?;
        while let Some(Finished { node, field, receiver, result }) = running.next().await {
            let evaluated = result.map_err(|failed| self.failure(field, failed))?;
            if let (Some(watcher), Some(receiver)) = (&self.api.watcher, receiver) {
                watcher.answered(self.field(field), &receiver);
            }
            let children = self.attach(node, field, evaluated, &mut answer);
            for step in children {
                self.start(step, &mut answer, &mut running)?;
            }
        }
        Ok(answer)
    }

    fn field(&self, index: usize) -> Field<'_> {
        self.prepared.at(index)
    }

    /// Starts a step, or answers it at once where no call is needed.
    fn start(
        &self,
        step: Step,
        answer: &mut Answer,
        running: &mut FuturesUnordered<BoxFuture<'static, Finished>>,
    ) -> Result<(), Failure> {
        let field = self.field(step.field);
        if field.def().meta.is_some() {
            let mut out = Vec::new();
            introspect::answer(self.prepared, field, &mut out).map_err(|entry| Failure {
                message: entry.message,
                path: vec![field.key().into()],
                failed: None,
            })?;
            answer.0[step.node] = Node::Json(out);
            return Ok(());
        }
        let id = self.call(&step, field).ok_or_else(|| Failure {
            message: format!("internal error: an argument of {} was not decoded", field.name()),
            path: vec![field.key().into()],
            failed: None,
        })?;
        let engine = self.api.engine.clone();
        let Step { node, field: index, receiver, .. } = step;
        let watched = self.api.watcher.as_ref().map(|watcher| {
            watcher.asked(field, &id);
            receiver.clone()
        });
        let run = async move {
            let result = engine.evaluate(receiver, id).await;
            Finished { node, field: index, receiver: watched, result }
        };
        running.push(run.boxed());
        Ok(())
    }

    /// The call that a field stands for.
    fn call(&self, step: &Step, field: Field<'_>) -> Option<CallId> {
        let decode = |_: &str, text: &str| self.ids.get(text).cloned();
        let args = field
            .arguments()
            .map(|argument| {
                let value = literal(argument.value, &decode)?;
                Some(if is_sensitive(field, &argument.def.name) {
                    Argument::sensitive(argument.def.name.clone(), value)
                } else {
                    Argument::new(argument.def.name.clone(), value)
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(
            NewCall {
                receiver: step.receiver_id.clone(),
                args,
                view: if has_view(&field.parent().name, field.name()) {
                    CORE_VERSION.into()
                } else {
                    "".into()
                },
                ..NewCall::new(field.def().name.clone(), call_type(&field.def().ty))
            }
            .build(),
        )
    }

    /// Puts a value into the answer; answers the steps of what is selected on it.
    fn attach(&self, node: usize, field: usize, evaluated: Evaluated, answer: &mut Answer) -> Vec<Step> {
        let selected = self.field(field).children();
        let mut steps = Vec::new();
        let element = self.field(field).def().ty.element().map(call_type);
        self.place(node, selected, evaluated, element, answer, &mut steps);
        steps
    }

    fn place(
        &self,
        node: usize,
        selected: Option<SelectionSetId>,
        evaluated: Evaluated,
        element: Option<Type>,
        answer: &mut Answer,
        steps: &mut Vec<Step>,
    ) {
        let mut out = Vec::new();
        match &evaluated.value {
            Value::Null => json::null(&mut out),
            Value::Bool(value) => json::bool(&mut out, *value),
            Value::Int(value) => json::int(&mut out, *value),
            Value::Float(value) => json::float(&mut out, *value),
            Value::Text(text) => json::string(&mut out, text),
            Value::List(items) => {
                let mut nodes = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let at = answer.0.len();
                    answer.0.push(Node::Waiting);
                    nodes.push(at);
                    let id = match (item, &element, u32::try_from(index)) {
                        (Value::Object(_), Some(element), Ok(index)) => {
                            evaluated.id.element(index, element.clone())
                        }
                        _ => evaluated.id.clone(),
                    };
                    let item = Evaluated { id, value: item.clone() };
                    if matches!(item.value, Value::Object(_)) {
                        self.api.engine.remember(&item);
                    }
                    self.place(at, selected, item, None, answer, steps);
                }
                answer.0[node] = Node::List(nodes);
                return;
            }
            Value::Object(object) => match selected {
                // An object without braces has no value of its own; its ID says what it is.
                None => json::string(&mut out, &evaluated.id.encode()),
                Some(set) => {
                    let mut members = Vec::new();
                    for child in self.prepared.fields(set) {
                        let at = answer.0.len();
                        answer.0.push(Node::Waiting);
                        members.push((child.index(), at));
                        steps.push(Step {
                            node: at,
                            field: child.index(),
                            receiver: object.clone(),
                            receiver_id: (!matches!(object, Object::Query)).then(|| evaluated.id.clone()),
                        });
                    }
                    answer.0[node] = Node::Object(members);
                    return;
                }
            },
        }
        answer.0[node] = Node::Json(out);
    }

    /// Where a failure belongs: the chain of its receiver, and the key that was asked for.
    fn failure(&self, field: usize, failed: Failed) -> Failure {
        let key = self.field(field).key();
        let mut path: Vec<PathSegment> = failed
            .call()
            .and_then(CallId::receiver)
            .map(|receiver| receiver.path().into_iter().map(segment).collect())
            .unwrap_or_default();
        path.push(key.into());
        Failure { message: failed.to_string(), path, failed: Some(failed) }
    }
}

fn segment(segment: treenail_call::PathSegment) -> PathSegment {
    match segment {
        treenail_call::PathSegment::Field(name) => PathSegment::Key(name.to_string()),
        treenail_call::PathSegment::Index(index) => {
            PathSegment::Index(usize::try_from(index).unwrap_or(usize::MAX))
        }
    }
}

impl Answer {
    /// Writes the whole tree, with a stack of its own.
    fn write(&self, prepared: &Prepared, out: &mut Vec<u8>) {
        enum Todo<'a> {
            Node(usize),
            Bytes(&'a [u8]),
            Key(usize),
        }
        let mut todo = vec![Todo::Node(0)];
        while let Some(next) = todo.pop() {
            match next {
                Todo::Bytes(bytes) => out.extend_from_slice(bytes),
                Todo::Key(field) => json::key(out, prepared.at(field).key()),
                Todo::Node(at) => match &self.0[at] {
                    Node::Waiting => json::null(out),
                    Node::Json(bytes) => out.extend_from_slice(bytes),
                    Node::Object(members) => {
                        out.push(b'{');
                        todo.push(Todo::Bytes(b"}"));
                        for (position, (field, node)) in members.iter().enumerate().rev() {
                            todo.push(Todo::Node(*node));
                            todo.push(Todo::Key(*field));
                            if position > 0 {
                                todo.push(Todo::Bytes(b","));
                            }
                        }
                    }
                    Node::List(items) => {
                        out.push(b'[');
                        todo.push(Todo::Bytes(b"]"));
                        for (position, node) in items.iter().enumerate().rev() {
                            todo.push(Todo::Node(*node));
                            if position > 0 {
                                todo.push(Todo::Bytes(b","));
                            }
                        }
                    }
                },
            }
        }
    }
}

/// A schema type in a call's words.
fn call_type(ty: &TypeRef) -> Type {
    let built = match ty {
        TypeRef::Named { name, .. } => Type::required(name.clone()),
        TypeRef::List { of, .. } => Type::list(call_type(of)),
    };
    if ty.non_null() { built } else { built.or_null() }
}

/// Arguments whose value is in no digest and no ID.
fn is_sensitive(field: Field<'_>, argument: &str) -> bool {
    field.name() == "setSecret" && argument == "plaintext"
}

/// Fields whose calls name the view of the API.
///
/// # Source
/// `contract/ids.md` 2.
fn has_view(parent: &str, field: &str) -> bool {
    match parent {
        "Container" => matches!(
            field,
            "withNewFile"
                | "withDirectory"
                | "withExec"
                | "stdout"
                | "stderr"
                | "export"
                | "asService"
                | "up"
                | "terminal"
        ),
        "Directory" => matches!(field, "name" | "entries" | "glob" | "withDirectory" | "export" | "terminal"),
        "File" => field == "export",
        "Query" => field == "git",
        "GitRepository" => matches!(field, "branch" | "tag" | "commit"),
        "GitRef" => field == "tree",
        "Changeset" => field == "withChangesets",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_carries_the_trace_of_the_request() {
        assert_eq!(
            trace_mark(Some("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")),
            "[traceparent:0123456789abcdef0123456789abcdef-0123456789abcdef]"
        );
        let zeros = "[traceparent:00000000000000000000000000000000-0000000000000000]";
        assert_eq!(trace_mark(None), zeros);
        assert_eq!(trace_mark(Some("00-xyz-1")), zeros);
    }
}
