//! Small types: variables, labels, ports, stats, cache volumes.

use std::sync::Arc;

use treenail_model::{CacheVolume, ExposedPort, Stat, Value};

use crate::binding::{Binding, Call, EnvVariable, Label, NoArguments, Outcome, field};

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("id", |_: EnvVariable, _: NoArguments, call: Call| async move { id(&call) }),
        field("name", |this: EnvVariable, _: NoArguments, _| text(this.0)),
        field("value", |this: EnvVariable, _: NoArguments, _| text(this.1)),
        field("id", |_: Label, _: NoArguments, call: Call| async move { id(&call) }),
        field("name", |this: Label, _: NoArguments, _| text(this.0)),
        field("value", |this: Label, _: NoArguments, _| text(this.1)),
        field("id", |_: Arc<CacheVolume>, _: NoArguments, call: Call| async move { id(&call) }),
        field("id", |_: Arc<ExposedPort>, _: NoArguments, call: Call| async move { id(&call) }),
        field("port", |this: Arc<ExposedPort>, _: NoArguments, _| value(Value::Int(this.port))),
        field("protocol", |this: Arc<ExposedPort>, _: NoArguments, _| text(this.protocol.clone())),
        field("description", |this: Arc<ExposedPort>, _: NoArguments, _| {
            value(this.description.clone().map_or(Value::Null, Value::Text))
        }),
        field("experimentalSkipHealthcheck", |this: Arc<ExposedPort>, _: NoArguments, _| {
            value(Value::Bool(this.skip_health_check))
        }),
        field("id", |_: Arc<Stat>, _: NoArguments, call: Call| async move { id(&call) }),
        field("name", |this: Arc<Stat>, _: NoArguments, _| text(this.name.clone())),
        field("size", |this: Arc<Stat>, _: NoArguments, _| value(Value::Int(this.size))),
        field("permissions", |this: Arc<Stat>, _: NoArguments, _| value(Value::Int(this.permissions.into()))),
        field("fileType", |this: Arc<Stat>, _: NoArguments, _| text(this.file_type.as_str())),
    ]
}

fn id(call: &Call) -> Outcome {
    Ok(call.receiver_id()?.into())
}

async fn value(value: Value) -> Outcome {
    Ok(value.into())
}

async fn text(text: impl Into<Arc<str>>) -> Outcome {
    Ok(Value::text(text).into())
}
