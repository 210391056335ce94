//! Secret: names for values that stay with their provider.

use std::sync::Arc;

use treenail_engine::Cause;
use treenail_model::{Secret, Value};

use crate::binding::{Binding, Call, NoArguments, Outcome, field};

type This = Arc<Secret>;

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field("name", |this: This, _: NoArguments, call: Call| async move {
            known(&this, &call)?;
            Ok(Value::Text(this.name.clone()).into())
        }),
        field("uri", |this: This, _: NoArguments, call: Call| async move {
            known(&this, &call)?;
            Ok(Value::Text(this.uri.clone()).into())
        }),
        field("plaintext", plaintext).never_remembered(),
    ]
}

fn known(this: &Secret, call: &Call) -> Result<(), Cause> {
    if call.engine.knows_secret(&this.id) {
        return Ok(());
    }
    Err(Cause::invalid(format!("secret not found: {}", this.id)))
}

async fn plaintext(this: This, _: NoArguments, call: Call) -> Outcome {
    let value = call.engine.plaintext(&this).await?;
    Ok(Value::text(String::from_utf8_lossy(&value)).into())
}
