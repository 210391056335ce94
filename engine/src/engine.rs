//! Calls in, values out.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use treenail_bridge::{Bridge, Ref};
use treenail_call::{CallId, Digest, hash_strings};
use treenail_model::{GitRefs, Object, Value};

use crate::flight::Flights;
use crate::keep::Kept;
use crate::lookup::ResolvedImage;
use crate::origins::Origins;
use crate::retry::Retries;
use crate::secrets::Secrets;
use crate::{Cause, Failed, GitFailure, Host};

/// How long, and for whom, the result of a field is remembered.
///
/// # Source
/// `contract/ids.md` 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// By the call's digest.
    Plain,
    /// By the call's digest and the client.
    PerClient,
    /// Always runs; its result is kept so that the ID it answers can be loaded.
    PerCall,
    /// Always runs, and nothing is kept.
    Never,
    /// Always runs: it asks nobody and costs less than the room its result would take.
    Pure,
}

/// A call with its value.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The ID of the result; another than that of the call for fields such as `from`.
    pub id: CallId,
    /// The value.
    pub value: Value,
}

/// One field to be resolved.
pub struct Request {
    /// The engine, for look-ups and further calls.
    pub engine: Engine,
    /// The value that the field is selected on.
    pub receiver: Object,
    /// The call.
    pub id: CallId,
    /// Values of all IDs in the arguments, by digest.
    pub objects: HashMap<Digest, Object>,
}

/// What a field answers.
pub struct Resolved {
    /// The value.
    pub value: Value,
    /// The ID that the value carries instead of the call's own.
    pub id: Option<CallId>,
}

impl<T: Into<Value>> From<T> for Resolved {
    fn from(value: T) -> Self {
        Self { value: value.into(), id: None }
    }
}

/// The meaning of every field. Bound to names and arguments by the schema's owner.
pub trait Fields: Send + Sync + 'static {
    /// The cache rule of a field.
    ///
    /// # Errors
    /// [`Cause::Invalid`] when the type has no such field, [`Cause::Unsupported`] when it is not built.
    fn rule(&self, type_name: &str, call: &CallId) -> Result<Rule, Cause>;

    /// Resolves a field.
    fn resolve(&self, request: Request) -> BoxFuture<'static, Result<Resolved, Cause>>;
}

/// One session's evaluator. Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) bridge: Arc<dyn Bridge>,
    pub(crate) host: Arc<dyn Host>,
    fields: Arc<dyn Fields>,
    client: Arc<str>,
    pub(crate) calls: Flights<Digest, Evaluated, Failed>,
    pub(crate) solves: Flights<treenail_llb::Digest, Ref, Cause>,
    pub(crate) images: Flights<(String, String), Arc<ResolvedImage>, Cause>,
    pub(crate) git_refs: Flights<(String, String), Arc<GitRefs>, GitFailure>,
    pub(crate) secrets: Secrets,
    pub(crate) retries: Retries,
    /// Where operations come from, for clients whose calls stand in a document.
    pub(crate) origins: Option<Origins>,
    pub(crate) kept: Kept,
}

impl Engine {
    /// An evaluator for one main client. `client` names it within its session.
    pub fn new(bridge: Arc<dyn Bridge>, host: Arc<dyn Host>, fields: Arc<dyn Fields>, client: &str) -> Self {
        let origins = host.document().map(Origins::new);
        Self(Arc::new(Shared {
            bridge,
            host,
            fields,
            client: client.into(),
            calls: Flights::new(),
            solves: Flights::new(),
            images: Flights::new(),
            git_refs: Flights::new(),
            secrets: Secrets::default(),
            retries: Retries::default(),
            origins,
            kept: Kept::default(),
        }))
    }

    /// The client's machine.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.0.host
    }

    /// The daemon.
    pub fn bridge(&self) -> &Arc<dyn Bridge> {
        &self.0.bridge
    }

    /// The value of a call whose receiver is at hand.
    ///
    /// # Errors
    /// [`Failed`], with this call as its chain.
    pub async fn evaluate(&self, receiver: Object, id: CallId) -> Result<Evaluated, Failed> {
        self.evaluate_with(receiver, id, None).await
    }

    /// [`Engine::evaluate`] with the values of the IDs in the arguments, where they are at hand.
    pub(crate) async fn evaluate_with(
        &self,
        receiver: Object,
        id: CallId,
        objects: Option<HashMap<Digest, Object>>,
    ) -> Result<Evaluated, Failed> {
        let rule = self
            .0
            .fields
            .rule(receiver.type_name(), &id)
            .map_err(|cause| Failed::new(Some(id.clone()), cause))?;
        let key = match rule {
            Rule::Plain => id.digest().clone(),
            Rule::PerClient => hash_strings(&[id.digest().as_str(), &self.0.client]),
            Rule::Never | Rule::Pure => return self.run(receiver, id, objects).await,
            Rule::PerCall => {
                let evaluated = self.run(receiver, id, objects).await?;
                self.0.calls.put(evaluated.id.digest().clone(), evaluated.clone());
                return Ok(evaluated);
            }
        };
        let own = id.digest().clone();
        let engine = self.clone();
        let evaluated = self.0.calls.run(key.clone(), || engine.run(receiver, id, objects)).await?;
        if key != own {
            self.0.calls.put(own, evaluated.clone());
        }
        Ok(evaluated)
    }

    /// Resolves a call now; the caller has looked into the memo.
    fn run(
        &self,
        receiver: Object,
        id: CallId,
        objects: Option<HashMap<Digest, Object>>,
    ) -> BoxFuture<'static, Result<Evaluated, Failed>> {
        let engine = self.clone();
        async move { engine.run_now(receiver, id, objects).await }.boxed()
    }

    async fn run_now(
        &self,
        receiver: Object,
        id: CallId,
        objects: Option<HashMap<Digest, Object>>,
    ) -> Result<Evaluated, Failed> {
        let fail = |cause| Failed::new(Some(id.clone()), cause);
        let objects = match objects {
            Some(objects) => objects,
            None => self.load_arguments(&id).await.map_err(fail)?,
        };
        let request = Request { engine: self.clone(), receiver, id: id.clone(), objects };
        let Resolved { value, id: replaced } = self.0.fields.resolve(request).await.map_err(fail)?;
        if let Some(origins) = &self.0.origins {
            origins.note(&id, &value);
        }
        let evaluated = Evaluated { id: replaced.unwrap_or_else(|| id.clone()), value };
        if evaluated.id.digest() != id.digest() {
            self.0.calls.put(evaluated.id.digest().clone(), evaluated.clone());
        }
        Ok(evaluated)
    }

    /// Values of all IDs in the arguments of a call.
    async fn load_arguments(&self, id: &CallId) -> Result<HashMap<Digest, Object>, Cause> {
        let mut objects = HashMap::new();
        for reference in id.args().iter().flat_map(|argument| ids_in(&argument.value)) {
            let loaded = self.load(&reference).await.map_err(|failed| failed.cause().clone())?;
            objects.insert(reference.digest().clone(), object_of(&reference, loaded.value)?);
        }
        Ok(objects)
    }

    /// Remembers the value of an ID that was made outside a field: an element of a list.
    pub fn remember(&self, evaluated: &Evaluated) {
        self.0.calls.put(evaluated.id.digest().clone(), evaluated.clone());
    }
}

/// The object that an ID stands for.
pub(crate) fn object_of(id: &CallId, value: Value) -> Result<Object, Cause> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Cause::invalid(format!("{} is not an object", id.field()))),
    }
}

/// All IDs in an argument's value.
pub(crate) fn ids_in(literal: &treenail_call::Literal) -> Vec<CallId> {
    use treenail_call::Literal;
    let mut found = Vec::new();
    let mut stack = vec![literal];
    while let Some(literal) = stack.pop() {
        match literal {
            Literal::Id(id) => found.push(id.clone()),
            Literal::List(items) => stack.extend(items),
            Literal::Object(fields) => stack.extend(fields.iter().map(|argument| &argument.1)),
            _ => {}
        }
    }
    found
}
