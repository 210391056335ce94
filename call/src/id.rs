//! A call and its identity.
//!
//! Invariants: a [`CallId`] never changes; a digest that was not chosen is the hash of the call; an
//! element of a list has the list as its receiver. Chains are walked by loops, never by recursion, so
//! their length costs no stack, in dropping as well.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::successors;
use std::sync::Arc;

use crate::digest::Digest;
use crate::literal::{Argument, Literal};
use crate::preimage;
use crate::types::Type;

/// A field selected on a receiver with arguments: the recipe of a value, and its name.
///
/// Cheap to clone. Equality, order and hash are those of the digest.
#[derive(Clone)]
pub struct CallId(Arc<Call>);

/// What is behind a [`CallId`].
pub(crate) struct Call {
    pub(crate) receiver: Option<CallId>,
    /// Missing only in what others encoded.
    pub(crate) result: Option<Type>,
    pub(crate) field: Arc<str>,
    /// Shared by the copies of a call; `None` when empty.
    pub(crate) args: Option<Arc<Vec<Argument>>>,
    /// From 1; 0 when this is no element. Never above `i64::MAX`.
    pub(crate) nth: u64,
    pub(crate) module: Option<Module>,
    pub(crate) view: Arc<str>,
    pub(crate) digest: Digest,
    pub(crate) is_custom_digest: bool,
    pub(crate) content_digest: Option<Digest>,
    pub(crate) effect_ids: Arc<[Arc<str>]>,
}

/// The module that supplies a field.
#[derive(Clone, Debug)]
pub struct Module {
    /// The call that made the module.
    pub call: CallId,
    /// Its name.
    pub name: Arc<str>,
    /// Where it came from.
    pub reference: Arc<str>,
    /// The exact version of the reference.
    pub pin: Arc<str>,
}

/// A call to be named. `NewCall { receiver, args, ..NewCall::new("withExec", result) }.build()`.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// What the field is selected on; `None` for `Query`.
    pub receiver: Option<CallId>,
    /// The field.
    pub field: Arc<str>,
    /// What it returns, with nullability.
    pub result: Type,
    /// The arguments that were passed (also those equal to a default), in the order of the schema, at
    /// most [`MAX_LITERAL_DEPTH`](crate::MAX_LITERAL_DEPTH) deep.
    pub args: Vec<Argument>,
    /// The module that supplies the field, if it is not the core.
    pub module: Option<Module>,
    /// The client's base version for fields that have view rules, else empty.
    pub view: Arc<str>,
}

impl NewCall {
    /// `field` on `Query`, without arguments.
    pub fn new(field: impl Into<Arc<str>>, result: Type) -> Self {
        Self { receiver: None, field: field.into(), result, args: Vec::new(), module: None, view: "".into() }
    }

    /// Names the call. The cost is that of this call alone: the digests of what it refers to are known.
    pub fn build(self) -> CallId {
        let mut call = Call {
            receiver: self.receiver,
            result: Some(self.result),
            field: self.field,
            args: (!self.args.is_empty()).then(|| Arc::new(self.args)),
            nth: 0,
            module: self.module,
            view: self.view,
            digest: Digest::new(""),
            is_custom_digest: false,
            content_digest: None,
            effect_ids: Arc::default(),
        };
        call.digest = Digest::of_bytes(&preimage::of(&call, CallId::content_digest_or_digest));
        CallId::from_call(call)
    }
}

/// A step of the place in a response that a call answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathSegment {
    /// A field.
    Field(Arc<str>),
    /// A position in a list, from 0.
    Index(u64),
}

impl CallId {
    pub(crate) fn from_call(call: Call) -> Self {
        Self(Arc::new(call))
    }

    pub(crate) fn call(&self) -> &Call {
        &self.0
    }

    /// `field` on `Query`, without arguments.
    pub fn root(field: impl Into<Arc<str>>, result: Type) -> Self {
        NewCall::new(field, result).build()
    }

    /// `field` on this call.
    pub fn select(&self, field: impl Into<Arc<str>>, result: Type, args: Vec<Argument>) -> Self {
        NewCall { receiver: Some(self.clone()), args, ..NewCall::new(field, result) }.build()
    }

    /// The element at `index` (from 0) of the list that this call returns. `element` is its type.
    ///
    /// # Source
    /// Dagger 0.19.11: the call repeated on the list, its digest a hash of list and position.
    pub fn element(&self, index: u32, element: Type) -> Self {
        let nth = u64::from(index) + 1;
        let mut bytes = self.digest().as_str().as_bytes().to_vec();
        bytes.extend_from_slice(&nth.to_le_bytes());
        let mut call = self.copy();
        call.receiver = Some(self.clone());
        call.result = Some(element);
        call.nth = nth;
        call.digest = Digest::of_bytes(&bytes);
        call.is_custom_digest = true;
        call.content_digest = None;
        call.effect_ids = Arc::default();
        Self::from_call(call)
    }

    /// This call under another digest, which it keeps from now on.
    #[must_use]
    pub fn with_custom_digest(&self, digest: Digest) -> Self {
        let mut call = self.copy();
        call.digest = digest;
        call.is_custom_digest = true;
        Self::from_call(call)
    }

    /// This call with the digest of its content, which stands for it wherever it is receiver or argument.
    #[must_use]
    pub fn with_content_digest(&self, content: Digest) -> Self {
        let mut call = self.copy();
        call.content_digest = Some(content);
        Self::from_call(call)
    }

    /// The call whose value this one is selected on; `None` for `Query`.
    pub fn receiver(&self) -> Option<&CallId> {
        self.0.receiver.as_ref()
    }

    /// What the call returns. Only a decoded ID may lack it.
    pub fn result_type(&self) -> Option<&Type> {
        self.0.result.as_ref()
    }

    /// The name of the type of the result; empty for a list.
    pub fn type_name(&self) -> &str {
        self.0.result.as_ref().map_or("", |result| &result.named)
    }

    /// The field selected.
    pub fn field(&self) -> &Arc<str> {
        &self.0.field
    }

    /// The arguments that were passed, in the order of the schema. A decoded ID has no sensitive ones.
    pub fn args(&self) -> &[Argument] {
        self.0.args.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The value of the argument called `name`.
    pub fn arg(&self, name: &str) -> Option<&Literal> {
        self.args().iter().find(|arg| &*arg.name == name).map(|arg| &arg.value)
    }

    /// The position, from 0, in the receiver's list when this is an element of it.
    pub fn index(&self) -> Option<u64> {
        self.0.nth.checked_sub(1)
    }

    /// The module that supplies the field.
    pub fn module(&self) -> Option<&Module> {
        self.0.module.as_ref()
    }

    /// The version of the API the call was made against; empty for fields that do not depend on it.
    pub fn view(&self) -> &Arc<str> {
        &self.0.view
    }

    /// The identity.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// Whether the digest was chosen rather than computed.
    pub fn is_custom_digest(&self) -> bool {
        self.0.is_custom_digest
    }

    /// The digest of the content, when it is known.
    pub fn content_digest(&self) -> Option<&Digest> {
        self.0.content_digest.as_ref()
    }

    /// What stands for this call when others that refer to it are hashed.
    pub fn content_digest_or_digest(&self) -> &Digest {
        self.content_digest().unwrap_or(self.digest())
    }

    /// Build steps that were still to run when the ID was encoded. No part of the identity.
    pub fn effect_ids(&self) -> &[Arc<str>] {
        &self.0.effect_ids
    }

    /// This call, its receiver, and so on to the root.
    pub fn chain(&self) -> impl Iterator<Item = &CallId> {
        successors(Some(self), |call| call.receiver())
    }

    /// The same as [`chain`](Self::chain), root first.
    pub(crate) fn chain_from_root(&self) -> Vec<&CallId> {
        let mut calls: Vec<&CallId> = self.chain().collect();
        calls.reverse();
        calls
    }

    /// Where in a response this call's value stands, root first: what an error's `path` shows.
    pub fn path(&self) -> Vec<PathSegment> {
        let segment = |call: &CallId| match call.index() {
            Some(index) => PathSegment::Index(index),
            None => PathSegment::Field(call.field().clone()),
        };
        self.chain_from_root().into_iter().map(segment).collect()
    }

    /// The calls this one refers to: receiver, module, arguments; sensitive arguments excepted.
    pub fn references(&self) -> Vec<&CallId> {
        let mut found: Vec<&CallId> = Vec::new();
        found.extend(self.receiver());
        found.extend(self.module().map(|module| &module.call));
        for arg in self.args().iter().filter(|arg| !arg.sensitive) {
            arg.value.collect_ids(&mut found);
        }
        found
    }

    /// Checks that the value is a `name`.
    ///
    /// # Errors
    /// [`WrongType`], which names both types as 0.19.11 does.
    pub fn expect_type(&self, name: &str) -> Result<(), WrongType> {
        match self.result_type() {
            Some(result) if !result.is_list() && &*result.named == name => Ok(()),
            result => Err(WrongType { expected: name.into(), found: result.cloned() }),
        }
    }

    fn copy(&self) -> Call {
        let call = self.call();
        Call {
            receiver: call.receiver.clone(),
            result: call.result.clone(),
            field: call.field.clone(),
            args: call.args.clone(),
            nth: call.nth,
            module: call.module.clone(),
            view: call.view.clone(),
            digest: call.digest.clone(),
            is_custom_digest: call.is_custom_digest,
            content_digest: call.content_digest.clone(),
            effect_ids: call.effect_ids.clone(),
        }
    }
}

/// An ID names a value of another type than the one needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongType {
    /// The name of the type needed.
    pub expected: String,
    /// The type that the ID says it has.
    pub found: Option<Type>,
}

impl std::error::Error for WrongType {}

impl fmt::Display for WrongType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(out, "expected {:?} ID, got {found} ID", self.expected),
            None => write!(out, "expected {:?} ID, got untyped ID", self.expected),
        }
    }
}

impl PartialEq for CallId {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for CallId {}

impl PartialOrd for CallId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CallId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.digest().cmp(other.digest())
    }
}

impl Hash for CallId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

impl Call {
    /// Moves out every call that would be dropped with this one.
    fn take_references(&mut self, taken: &mut Vec<CallId>) {
        taken.extend(self.receiver.take());
        taken.extend(self.module.take().map(|module| module.call));
        // `into_inner` and not `get_mut`: of all holders that let go at once, exactly one gets the arguments.
        if let Some(args) = self.args.take().and_then(Arc::into_inner) {
            for mut arg in args {
                arg.value.take_ids(taken);
            }
        }
    }
}

impl Drop for Call {
    /// A chain is as long as a client likes: the calls behind this one are dropped by a loop.
    fn drop(&mut self) {
        let mut pending = Vec::new();
        self.take_references(&mut pending);
        while let Some(CallId(next)) = pending.pop() {
            if let Some(mut call) = Arc::into_inner(next) {
                call.take_references(&mut pending); // it now refers to nothing: its own drop ends at once
            }
        }
    }
}
