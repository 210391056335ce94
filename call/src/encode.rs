//! From a call to the text of its ID.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use treenail_protos::call as wire;

use crate::digest::Digest;
use crate::id::{CallId, Module};
use crate::literal::{Argument, Literal};
use crate::types::Type;

impl CallId {
    /// The ID as clients hold it: everything needed to load the value again, as padded base64.
    ///
    /// The same chain always gives the same text. Every call reachable is written once, in a time that
    /// is linear in their number and size, on a stack that does not depend on either. Sensitive
    /// arguments are left out.
    ///
    /// # Source
    /// Dagger 0.19.11, `dagql/call`.
    pub fn encode(&self) -> String {
        STANDARD.encode(self.to_wire().encode_to_vec())
    }

    fn to_wire(&self) -> wire::Dag {
        let mut chosen: BTreeMap<&Digest, &CallId> = BTreeMap::new();
        let mut pending = vec![self];
        while let Some(call) = pending.pop() {
            if chosen.contains_key(call.digest()) {
                continue;
            }
            chosen.insert(call.digest(), call);
            pending.extend(call.references().into_iter().rev());
        }
        let calls_by_digest = chosen
            .values()
            .map(|call| (call.digest().to_string(), call_to_wire(call, keeps_its_hash(call, &chosen))))
            .collect();
        wire::Dag { root_digest: self.digest().to_string(), calls_by_digest }
    }
}

/// Whether the decoded call will hash to its digest.
///
/// A digest has one entry, yet the graph may hold two states of that call which differ in their content
/// (a host directory read twice). A call that was hashed over the state that is not written cannot be
/// checked by its reader, so it is marked as one whose digest was chosen.
fn keeps_its_hash(call: &CallId, chosen: &BTreeMap<&Digest, &CallId>) -> bool {
    call.references().into_iter().all(|reference| {
        chosen
            .get(reference.digest())
            .is_some_and(|written| written.content_digest() == reference.content_digest())
    })
}

fn call_to_wire(id: &CallId, keeps_its_hash: bool) -> wire::Call {
    let call = id.call();
    wire::Call {
        receiver_digest: id.receiver().map(|receiver| receiver.digest().to_string()).unwrap_or_default(),
        r#type: call.result.as_ref().map(type_to_wire),
        field: call.field.to_string(),
        args: id.args().iter().filter(|arg| !arg.sensitive).map(argument_to_wire).collect(),
        nth: i64::try_from(call.nth).expect("a position comes from an u32 or from an i64"),
        module: call.module.as_ref().map(module_to_wire),
        digest: call.digest.to_string(),
        view: call.view.to_string(),
        is_custom_digest: call.is_custom_digest || !keeps_its_hash,
        content_digest: call.content_digest.as_ref().map(Digest::to_string).unwrap_or_default(),
        effect_ids: call.effect_ids.iter().map(|effect| effect.to_string()).collect(),
    }
}

fn module_to_wire(module: &Module) -> wire::Module {
    wire::Module {
        call_digest: module.call.digest().to_string(),
        name: module.name.to_string(),
        r#ref: module.reference.to_string(),
        pin: module.pin.to_string(),
    }
}

fn type_to_wire(of: &Type) -> wire::Type {
    wire::Type {
        named_type: of.named.to_string(),
        elem: of.elem.as_deref().map(|elem| Box::new(type_to_wire(elem))),
        non_null: of.non_null,
    }
}

fn argument_to_wire(arg: &Argument) -> wire::Argument {
    wire::Argument { name: arg.name.to_string(), value: Some(literal_to_wire(&arg.value)) }
}

fn literal_to_wire(literal: &Literal) -> wire::Literal {
    use wire::literal::Value;
    let value = match literal {
        Literal::Id(id) => Value::CallDigest(id.digest().to_string()),
        Literal::Null => Value::Null(true),
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Enum(member) => Value::Enum(member.to_string()),
        Literal::Int(value) => Value::Int(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::String(text) => Value::String(text.to_string()),
        Literal::List(elements) => {
            Value::List(wire::List { values: elements.iter().map(literal_to_wire).collect() })
        }
        Literal::Object(fields) => {
            let field = |(name, value): &(_, _)| {
                let name: &std::sync::Arc<str> = name;
                wire::Argument { name: name.to_string(), value: Some(literal_to_wire(value)) }
            };
            Value::Object(wire::Object { values: fields.iter().map(field).collect() })
        }
    };
    wire::Literal { value: Some(value) }
}
