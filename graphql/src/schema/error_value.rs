//! Error and ErrorValue: the twin of `model/src/error_value.rs`.

use std::sync::Arc;

use treenail_model::{ErrorValue, ReportedError, Value};

use crate::binding::{Binding, Call, JsonText, NoArguments, Root, arguments, field};

type This = Arc<ReportedError>;

arguments!(Message { message: String = "message" });
arguments!(NameValue { name: String = "name", value: JsonText = "value" });

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("error", |_: Root, a: Message, _| async move { Ok(ReportedError::new(a.message).into()) }),
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field("message", |this: This, _: NoArguments, _| async move {
            Ok(Value::Text(this.message.clone()).into())
        }),
        field("values", |this: This, _: NoArguments, _| async move {
            Ok(Value::List(this.values.iter().cloned().map(Value::from).collect()).into())
        }),
        field("withValue", |this: This, a: NameValue, _| async move {
            Ok(this.with_value(&a.name, &a.value.0).into())
        }),
        field("id", |_: Arc<ErrorValue>, _: NoArguments, call: Call| async move {
            Ok(call.receiver_id()?.into())
        }),
        field("name", |this: Arc<ErrorValue>, _: NoArguments, _| async move {
            Ok(Value::Text(this.name.clone()).into())
        }),
        field("value", |this: Arc<ErrorValue>, _: NoArguments, _| async move {
            Ok(Value::Text(this.value.clone()).into())
        }),
    ]
}
