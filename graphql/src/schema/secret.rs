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

/// Providers that 0.19.11 reads, and this release does not: such a secret has a name, and no use.
pub(super) const LATER_PROVIDERS: &[&str] = &["op", "vault", "libsecret", "aws+sm", "aws+ps"];

/// Refuses a secret whose value cannot be read, before anything runs with it.
pub(super) fn check_provider(secret: &Secret) -> Result<(), Cause> {
    let scheme = secret.uri.split_once("://").map_or("", |(scheme, _)| scheme);
    if LATER_PROVIDERS.contains(&scheme) {
        return Err(Cause::unsupported(
            format!("Query.secret(uri: {scheme}://)"),
            "this provider is not in this release; read the value in the pipeline and use setSecret, env:// or cmd://",
        ));
    }
    Ok(())
}

fn known(this: &Secret, call: &Call) -> Result<(), Cause> {
    if call.engine.knows_secret(&this.id) {
        return Ok(());
    }
    Err(Cause::invalid(format!("secret not found: {}", this.id)))
}

async fn plaintext(this: This, _: NoArguments, call: Call) -> Outcome {
    check_provider(&this)?;
    let value = call.engine.plaintext(&this).await?;
    Ok(Value::text(String::from_utf8_lossy(&value)).into())
}
