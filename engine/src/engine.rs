//! Calls in, values out.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use treenail_bridge::{Bridge, Ref};
use treenail_call::{CallId, Digest, hash_strings};
use treenail_model::{Object, Value};

use crate::flight::Flights;
use crate::lookup::ResolvedImage;
use crate::retry::Retries;
use crate::secrets::Secrets;
use crate::{Cause, Failed, Host};

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
    calls: Flights<Digest, Evaluated, Failed>,
    pub(crate) solves: Flights<treenail_llb::Digest, Ref, Cause>,
    pub(crate) images: Flights<(String, String), Arc<ResolvedImage>, Cause>,
    pub(crate) secrets: Secrets,
    pub(crate) retries: Retries,
}

impl Engine {
    /// An evaluator for one main client. `client` names it within its session.
    pub fn new(bridge: Arc<dyn Bridge>, host: Arc<dyn Host>, fields: Arc<dyn Fields>, client: &str) -> Self {
        Self(Arc::new(Shared {
            bridge,
            host,
            fields,
            client: client.into(),
            calls: Flights::new(),
            solves: Flights::new(),
            images: Flights::new(),
            secrets: Secrets::default(),
            retries: Retries::default(),
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
        let rule = self
            .0
            .fields
            .rule(receiver.type_name(), &id)
            .map_err(|cause| Failed::new(Some(id.clone()), cause))?;
        let key = match rule {
            Rule::Plain => id.digest().clone(),
            Rule::PerClient => hash_strings(&[id.digest().as_str(), &self.0.client]),
            Rule::Never => return self.run(receiver, id).await,
            Rule::PerCall => {
                let evaluated = self.run(receiver, id).await?;
                self.0.calls.put(evaluated.id.digest().clone(), evaluated.clone());
                return Ok(evaluated);
            }
        };
        let own = id.digest().clone();
        let engine = self.clone();
        let evaluated = self.0.calls.run(key.clone(), || engine.run(receiver, id)).await?;
        if key != own {
            self.0.calls.put(own, evaluated.clone());
        }
        Ok(evaluated)
    }

    /// Resolves a call now; the caller has looked into the memo.
    fn run(&self, receiver: Object, id: CallId) -> BoxFuture<'static, Result<Evaluated, Failed>> {
        let engine = self.clone();
        async move { engine.run_now(receiver, id).await }.boxed()
    }

    async fn run_now(&self, receiver: Object, id: CallId) -> Result<Evaluated, Failed> {
        let fail = |cause| Failed::new(Some(id.clone()), cause);
        let mut objects = HashMap::new();
        for reference in id.args().iter().flat_map(|argument| ids_in(&argument.value)) {
            let loaded = self.load(&reference).await.map_err(|failed| fail(failed.cause().clone()))?;
            let Value::Object(object) = loaded.value else {
                return Err(fail(Cause::invalid(format!("{} is not an object", reference.field()))));
            };
            objects.insert(reference.digest().clone(), object);
        }
        let request = Request { engine: self.clone(), receiver, id: id.clone(), objects };
        let Resolved { value, id: replaced } = self.0.fields.resolve(request).await.map_err(fail)?;
        let evaluated = Evaluated { id: replaced.unwrap_or_else(|| id.clone()), value };
        if evaluated.id.digest() != id.digest() {
            self.0.calls.put(evaluated.id.digest().clone(), evaluated.clone());
        }
        Ok(evaluated)
    }

    /// The value of an ID: what is not remembered of its chain, and of the IDs in its arguments, is evaluated.
    ///
    /// Linear in the number of calls, with a loop: neither a long chain nor deep arguments use stack.
    ///
    /// # Errors
    /// [`Failed`] of the first call in the chain that fails.
    pub async fn load(&self, id: &CallId) -> Result<Evaluated, Failed> {
        if let Some(known) = self.0.calls.get(id.digest()) {
            return Ok(known);
        }
        let mut last = None;
        for call in self.missing(id) {
            last = Some(self.load_one(call).await?);
        }
        last.ok_or_else(|| Failed::new(Some(id.clone()), Cause::Bug("an ID without calls".to_owned())))
    }

    /// Evaluates a call whose receiver and arguments are remembered.
    async fn load_one(&self, call: CallId) -> Result<Evaluated, Failed> {
        let fail = |message: String| Failed::new(Some(call.clone()), Cause::Invalid(message));
        let receiver = match call.receiver() {
            None => Value::Object(Object::Query),
            Some(receiver) => match self.0.calls.get(receiver.digest()) {
                Some(known) => known.value,
                None => return Err(fail(format!("load: {} is not at hand any more", receiver.field()))),
            },
        };
        if let Some(index) = call.index() {
            let Value::List(items) = receiver else {
                return Err(fail(format!("load: {} is not a list", call.field())));
            };
            let value = usize::try_from(index).ok().and_then(|index| items.get(index)).cloned();
            let evaluated = match value {
                None => return Err(fail(format!("load: index {} out of bounds", index + 1))),
                Some(Value::Null) => return Err(fail(format!("item {} is null from enumerable", index + 1))),
                Some(value) => Evaluated { id: call.clone(), value },
            };
            self.0.calls.put(call.digest().clone(), evaluated.clone());
            return Ok(evaluated);
        }
        match receiver {
            Value::Object(receiver) => {
                let evaluated = self.evaluate(receiver, call.clone()).await?;
                // A pinned or custom digest in an ID stands for the call that was written with it.
                self.0.calls.put(call.digest().clone(), evaluated.clone());
                Ok(evaluated)
            }
            _ => Err(fail(format!("load: cannot select {} on a value without fields", call.field()))),
        }
    }

    /// The calls that an ID needs and that are not remembered, each after everything it refers to.
    fn missing(&self, id: &CallId) -> Vec<CallId> {
        let mut order = Vec::new();
        let mut seen: HashSet<Digest> = HashSet::new();
        let mut stack: Vec<(CallId, bool)> = vec![(id.clone(), false)];
        while let Some((call, expanded)) = stack.pop() {
            if expanded {
                order.push(call);
                continue;
            }
            if self.0.calls.get(call.digest()).is_some() || !seen.insert(call.digest().clone()) {
                continue;
            }
            stack.push((call.clone(), true));
            for reference in call.args().iter().flat_map(|argument| ids_in(&argument.value)) {
                stack.push((reference, false));
            }
            if let Some(receiver) = call.receiver() {
                stack.push((receiver.clone(), false));
            }
        }
        order
    }

    /// Remembers the value of an ID that was made outside a field: an element of a list.
    pub fn remember(&self, evaluated: &Evaluated) {
        self.0.calls.put(evaluated.id.digest().clone(), evaluated.clone());
    }
}

/// All IDs in an argument's value.
fn ids_in(literal: &treenail_call::Literal) -> Vec<CallId> {
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
