//! What is remembered of a running operation: where each call stands in the build file, and which objects the
//! document asks for.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use treenail_call::{CallId, Digest};
use treenail_engine::Document;
use treenail_graphql::Watcher;
use treenail_graphql::document::Position;
use treenail_graphql::prepare::Field;
use treenail_llb as llb;
use treenail_model::Object;

use crate::file::BuildFile;

/// Leaves that make their object a result.
const RESULTS: [&str; 2] = ["id", "sync"];

/// The calls of one operation.
pub(crate) struct Calls {
    file: BuildFile,
    places: Mutex<HashMap<Digest, (Position, Position)>>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    results: Vec<Wanted>,
    has_values: bool,
}

/// An object that the document asks for.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) object: Object,
    pub(crate) place: (Position, Position),
}

impl Calls {
    pub(crate) fn new(file: BuildFile) -> Self {
        Self { file, places: Mutex::default(), found: Mutex::default() }
    }

    /// Where a call stands, or the nearest call before it that stands somewhere.
    pub(crate) fn place(&self, call: &CallId) -> Option<(Position, Position)> {
        let places = self.places.lock();
        std::iter::successors(Some(call), |call| call.receiver())
            .find_map(|call| places.get(call.digest()).copied())
    }

    /// The objects asked for, in the order in which they were answered.
    pub(crate) fn results(&self) -> Vec<Wanted> {
        self.found.lock().results.clone()
    }

    /// Does the document ask for anything besides objects?
    pub(crate) fn has_values(&self) -> bool {
        self.found.lock().has_values
    }
}

impl Document for Calls {
    fn location(&self, call: &Digest) -> Option<llb::SourceLocation> {
        let (start, end) = self.places.lock().get(call).copied()?;
        Some(self.file.location(start, end))
    }
}

impl Watcher for Calls {
    fn asked(&self, field: Field<'_>, call: &CallId) {
        // The same call twice in a document is shown where it stands first.
        self.places.lock().entry(call.digest().clone()).or_insert_with(|| field.extent());
    }

    fn answered(&self, field: Field<'_>, receiver: &Object) {
        if field.children().is_some() {
            return;
        }
        let is_result = matches!(receiver, Object::Container(_) | Object::Directory(_) | Object::File(_));
        let mut found = self.found.lock();
        if is_result && RESULTS.contains(&field.name()) {
            found.results.push(Wanted { object: receiver.clone(), place: field.extent() });
        } else {
            found.has_values = true;
        }
    }
}

/// One document for the engine, which outlives the operation.
pub(crate) fn as_document(calls: &Arc<Calls>) -> Arc<dyn Document> {
    calls.clone()
}
