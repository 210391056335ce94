//! The table of bound fields, as the engine asks for it.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use treenail_call::{CallId, Literal};
use treenail_engine::{Cause, Fields, Request, Resolved, Rule};

use crate::binding::{Binding, Defaults};
use crate::coerce::ArgValue;
use crate::schema;
use crate::sdl::SchemaModel;

/// Every field of the schema that is built, with its defaults.
pub(crate) struct FieldTable {
    schema: Arc<SchemaModel>,
    bound: HashMap<String, HashMap<&'static str, (Binding, Defaults)>>,
}

impl FieldTable {
    pub(crate) fn new(schema: Arc<SchemaModel>) -> Self {
        let mut bound: HashMap<String, HashMap<&'static str, (Binding, Defaults)>> = HashMap::new();
        for ((parent, name), binding) in schema::bindings() {
            let definition = schema.named(parent).and_then(|parent| schema.field(parent.id, name));
            let defaults = definition
                .iter()
                .flat_map(|definition| &definition.args)
                .filter_map(|argument| {
                    let default = argument.default.as_ref()?;
                    // No argument of an ID type has a default, so nothing here needs decoding.
                    Some((argument.name.clone(), literal(&default.value, &|_, _| None)?))
                })
                .collect();
            debug_assert!(
                definition.is_some_and(|definition| definition.args.len() == binding.arguments.len()),
                "{parent}.{name} is not bound as the schema declares it"
            );
            bound.entry(parent.to_owned()).or_default().insert(name, (binding, defaults));
        }
        Self { schema, bound }
    }

    fn find(&self, type_name: &str, field: &str) -> Option<&(Binding, Defaults)> {
        self.bound.get(type_name)?.get(field)
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = &Binding> {
        self.bound.values().flat_map(HashMap::values).map(|(binding, _)| binding)
    }

    /// Why a field has no binding: the type lacks it, or it is not built.
    fn missing(&self, type_name: &str, field: &str) -> Cause {
        let known =
            self.schema.named(type_name).is_some_and(|parent| self.schema.field(parent.id, field).is_some());
        if known {
            Cause::unsupported(
                format!("{type_name}.{field}"),
                format!(
                    "`{type_name}.{field}` is not in this release of Treenail; `treenail doctor` lists what is"
                ),
            )
        } else {
            Cause::invalid(format!("{type_name} has no such field: {field:?}"))
        }
    }
}

impl Fields for FieldTable {
    fn rule(&self, type_name: &str, call: &CallId) -> Result<Rule, Cause> {
        match self.find(type_name, call.field()) {
            Some((binding, _)) => Ok((binding.rule)(call)),
            None if is_load(type_name, call.field()) => Ok(Rule::Never),
            None => Err(self.missing(type_name, call.field())),
        }
    }

    fn resolve(&self, request: Request) -> BoxFuture<'static, Result<Resolved, Cause>> {
        let (type_name, field) = (request.receiver.type_name(), request.id.field().clone());
        if let Some((binding, defaults)) = self.find(type_name, &field) {
            return (binding.run)(request, defaults);
        }
        if is_load(type_name, &field) {
            return load(request).boxed();
        }
        std::future::ready(Err(self.missing(type_name, &field))).boxed()
    }
}

/// `load<Type>FromID`: one rule for all types.
fn is_load(type_name: &str, field: &str) -> bool {
    type_name == "Query" && field.starts_with("load") && field.ends_with("FromID")
}

async fn load(request: Request) -> Result<Resolved, Cause> {
    let Some(Literal::Id(id)) = request.id.arg("id").cloned() else {
        return Err(Cause::invalid("missing required argument: \"id\""));
    };
    let loaded = request.engine.load(&id).await.map_err(|failed| match failed.cause() {
        Cause::Invalid(message) => Cause::Invalid(format!("load: {message}")),
        other => other.clone(),
    })?;
    Ok(Resolved { value: loaded.value, id: Some(loaded.id) })
}

/// A coerced value in a call's words; IDs are decoded by `decode`. `None` when that fails.
pub(crate) fn literal(value: &ArgValue, decode: &dyn Fn(&str, &str) -> Option<CallId>) -> Option<Literal> {
    Some(match value {
        ArgValue::Null => Literal::Null,
        ArgValue::Bool(value) => Literal::Bool(*value),
        ArgValue::Int(value) => Literal::Int(*value),
        ArgValue::Float(value) => Literal::Float(*value),
        ArgValue::String(text) => Literal::String(text.clone()),
        ArgValue::Enum(member) => Literal::Enum(member.clone()),
        ArgValue::Id { type_name, text } => Literal::Id(decode(type_name, text)?),
        ArgValue::List(items) => {
            Literal::List(items.iter().map(|item| literal(item, decode)).collect::<Option<_>>()?)
        }
        ArgValue::Object(fields) => Literal::Object(
            fields
                .iter()
                .map(|(name, value)| Some((name.clone(), literal(value, decode)?)))
                .collect::<Option<_>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A binding that names a field or an argument that the schema lacks would be an API of our own.
    #[test]
    fn bindings_agree_with_the_schema() {
        let schema = SchemaModel::core();
        let table = FieldTable::new(schema.clone());
        let mut seen = 0;
        for binding in table.all() {
            let parent = schema.named(binding.parent).unwrap_or_else(|| panic!("no type {}", binding.parent));
            let place = format!("{}.{}", binding.parent, binding.field);
            let field = schema.field(parent.id, binding.field).unwrap_or_else(|| panic!("no field {place}"));
            let declared: Vec<(&str, &str)> =
                field.args.iter().map(|argument| (&*argument.name, &**argument.ty.named())).collect();
            let mut bound = binding.arguments.clone();
            bound.sort_unstable();
            let mut sorted = declared.clone();
            sorted.sort_unstable();
            assert_eq!(bound, sorted, "{place}");
            seen += 1;
        }
        assert!(seen > 100, "only {seen} fields are bound");
    }
}
