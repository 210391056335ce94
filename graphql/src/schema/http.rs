//! `http`: a file of a web server.

use std::sync::Arc;

use treenail_engine::{Cause, HttpQuery, Resolved};
use treenail_model::Secret;

use super::container::mode;
use super::git::{ServiceArgument, refuse_service};
use super::host::per_client;
use super::secret::check_provider;
use crate::binding::{Binding, Call, Outcome, Root, arguments, field};

arguments!(Http {
    url: String = "url",
    name: Option<String> = "name",
    permissions: Option<i64> = "permissions",
    header: Option<Arc<Secret>> = "authHeader",
    service: Option<ServiceArgument> = "experimentalServiceHost",
});

pub(super) fn bindings() -> Vec<Binding> {
    vec![field("http", http).remembered(per_client)]
}

/// Asks for the file at once. The ID of the result stands for its content.
async fn http(_: Root, args: Http, call: Call) -> Outcome {
    refuse_service(args.service, "Query.http(experimentalServiceHost:)")?;
    if let Some(secret) = &args.header {
        check_provider(secret)?;
        if !call.engine.knows_secret(&secret.id) {
            return Err(Cause::invalid(format!("secret {}: not found", secret.id)));
        }
    }
    let query = HttpQuery {
        url: args.url,
        name: args.name,
        permissions: args.permissions.map(mode).transpose()?,
        auth_header: args.header,
    };
    let (file, content) = call.engine.http(&query).await?;
    Ok(Resolved { value: file.into(), id: content.map(|digest| call.id.with_custom_digest(digest)) })
}
