//! IDs in, values out: the recipe in an ID is followed as far as it is not remembered.
//!
//! Invariant: linear in the number of calls, with a loop. Neither a long chain nor deep arguments use stack, and a
//! value is let go as soon as nothing in the recipe needs it any more.

use std::collections::{HashMap, HashSet};

use treenail_call::{CallId, Digest};
use treenail_model::{Object, Value};

use crate::engine::{ids_in, object_of};
use crate::{Cause, Engine, Evaluated, Failed};

/// Values on the way, and how many calls of the recipe still need each.
#[derive(Default)]
struct Workbench {
    values: HashMap<Digest, Evaluated>,
    uses: HashMap<Digest, usize>,
}

impl Engine {
    /// The value of an ID: what is not remembered of its chain, and of the IDs in its arguments, is evaluated.
    ///
    /// # Errors
    /// [`Failed`] of the first call in the recipe that fails.
    pub async fn load(&self, id: &CallId) -> Result<Evaluated, Failed> {
        if let Some(known) = self.0.calls.get(id.digest()) {
            return Ok(known);
        }
        let recipe = self.missing(id);
        let mut bench = Workbench::default();
        for needed in recipe.iter().flat_map(needs) {
            *bench.uses.entry(needed.digest().clone()).or_default() += 1;
        }
        for call in &recipe {
            let evaluated = self.load_one(call, &bench).await?;
            for needed in needs(call) {
                bench.used(needed.digest());
            }
            bench.values.insert(call.digest().clone(), evaluated);
        }
        let Some(evaluated) = bench.values.remove(id.digest()).or_else(|| self.0.calls.get(id.digest()))
        else {
            return Err(Failed::new(Some(id.clone()), Cause::Bug("an ID without calls".to_owned())));
        };
        // Clients hold on to IDs: the next look at this one is a look into the memo.
        self.0.calls.put(id.digest().clone(), evaluated.clone());
        Ok(evaluated)
    }

    /// Evaluates a call whose receiver and arguments are on the bench or remembered.
    async fn load_one(&self, call: &CallId, bench: &Workbench) -> Result<Evaluated, Failed> {
        let fail = |cause| Failed::new(Some(call.clone()), cause);
        let receiver = match call.receiver() {
            None => Value::Object(Object::Query),
            Some(receiver) => self.at_hand(receiver, bench).map_err(fail)?.value,
        };
        if let Some(index) = call.index() {
            let value = element(&receiver, index).map_err(|message| fail(Cause::Invalid(message)))?;
            return Ok(Evaluated { id: call.clone(), value });
        }
        let Value::Object(receiver) = receiver else {
            let message = format!("load: cannot select {} on a value without fields", call.field());
            return Err(fail(Cause::Invalid(message)));
        };
        let mut objects = HashMap::new();
        for reference in call.args().iter().flat_map(|argument| ids_in(&argument.value)) {
            let value = self.at_hand(&reference, bench).map_err(fail)?.value;
            objects.insert(reference.digest().clone(), object_of(&reference, value).map_err(fail)?);
        }
        self.evaluate_with(receiver, call.clone(), Some(objects)).await
    }

    fn at_hand(&self, id: &CallId, bench: &Workbench) -> Result<Evaluated, Cause> {
        bench
            .values
            .get(id.digest())
            .cloned()
            .or_else(|| self.0.calls.get(id.digest()))
            .ok_or_else(|| Cause::Bug(format!("the value of {} was let go too early", id.field())))
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
            let needed = needs(&call);
            stack.push((call, true));
            stack.extend(needed.into_iter().map(|needed| (needed, false)));
        }
        order
    }
}

impl Workbench {
    /// One call less needs this value; the last one lets it go.
    fn used(&mut self, digest: &Digest) {
        if let Some(left) = self.uses.get_mut(digest) {
            *left -= 1;
            if *left == 0 {
                self.values.remove(digest);
            }
        }
    }
}

/// What a call refers to: its receiver and the IDs in its arguments.
fn needs(call: &CallId) -> Vec<CallId> {
    let arguments = call.args().iter().flat_map(|argument| ids_in(&argument.value));
    arguments.chain(call.receiver().cloned()).collect()
}

/// The element of a list, from 0.
fn element(list: &Value, index: u64) -> Result<Value, String> {
    let Value::List(items) = list else { return Err("load: the value is not a list".to_owned()) };
    match usize::try_from(index).ok().and_then(|index| items.get(index)) {
        None => Err(format!("load: index {} out of bounds", index + 1)),
        Some(Value::Null) => Err(format!("item {} is null from enumerable", index + 1)),
        Some(value) => Ok(value.clone()),
    }
}
