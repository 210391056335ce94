//! Query: where every chain starts.

use std::sync::Arc;

use treenail_call::{Argument, CallId, Literal, NewCall, accessor, hash_strings};
use treenail_engine::{Cause, Resolved, SecretValue};
use treenail_model::{CacheVolume, Container, Directory, File, Object, Platform, Secret, Tree, Value};

use super::container::{IntoResolved, mode, per_call, result_type};
use super::files;
use super::secret::LATER_PROVIDERS;
use crate::binding::{Binding, Call, NoArguments, Outcome, Root, arguments, field};
use crate::sdl::CORE_VERSION;

/// Namespace of the cache volumes of a main client.
const MAIN_CLIENT: &str = "mainClient";

arguments!(NewContainer { platform: Option<Platform> = "platform" });
arguments!(NewFile {
    name: String = "name",
    contents: String = "contents",
    permissions: i64 = "permissions"
});
arguments!(NewCacheVolume { key: String = "key" });
arguments!(SetSecret { name: String = "name", plaintext: Option<Arc<str>> = "plaintext" });
arguments!(ByUri { uri: String = "uri", cache_key: Option<String> = "cacheKey" });

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("version", |_: Root, _: NoArguments, _| async { Ok(Value::text(CORE_VERSION).into()) }),
        field("defaultPlatform", |_: Root, _: NoArguments, call: Call| async move {
            Ok(Value::text(call.engine.default_platform().to_string()).into())
        }),
        field("container", |_: Root, a: NewContainer, call: Call| async move {
            Ok(Container::new(a.platform.unwrap_or_else(|| call.engine.default_platform())).into())
        }),
        field("directory", |_: Root, _: NoArguments, call: Call| async move {
            Ok(Directory::whole(Tree::scratch(), call.engine.default_platform()).into())
        }),
        field("file", |_: Root, a: NewFile, call: Call| async move {
            let platform = call.engine.default_platform();
            let (name, permissions) = (&a.name, mode(a.permissions)?);
            if a.contents.len() > call.engine.host().inline_limit() && !name.contains('/') {
                return Ok(files::new_file(&call.engine, name, &a.contents, permissions).into());
            }
            Ok(File::new(name, &a.contents, permissions, platform).into())
        }),
        field("host", |_: Root, _: NoArguments, _| async { Ok(Object::Host.into_value()) }),
        field("cacheVolume", cache_volume),
        field("setSecret", set_secret).remembered(per_call),
        field("secret", secret).remembered(per_call),
    ]
}

/// A volume of the main client, or of the namespace that an ID names; the ID says which.
async fn cache_volume(_: Root, args: NewCacheVolume, call: Call) -> Outcome {
    if args.key.is_empty() {
        return Err(Cause::invalid("cache volume key cannot be empty"));
    }
    let namespace: Arc<str> = match call.id.arg("namespace") {
        Some(Literal::String(namespace)) => namespace.clone(),
        _ => MAIN_CLIENT.into(),
    };
    let id = NewCall {
        args: vec![
            Argument::new("key", Literal::string(args.key.as_str())),
            Argument::new("namespace", Literal::String(namespace.clone())),
        ],
        view: call.id.view().clone(),
        ..NewCall::new("cacheVolume", result_type(&call)?)
    };
    let volume = CacheVolume { key: args.key.into(), namespace };
    Ok(Resolved { value: volume.into(), id: Some(id.build()) })
}

/// A secret by name: the value stays in memory, the name alone is its identity.
async fn set_secret(_: Root, args: SetSecret, call: Call) -> Outcome {
    let digest = hash_strings(&[args.name.as_str(), &accessor(&args.name, "")]);
    let secret = Secret { id: digest.as_str().into(), name: args.name.into(), uri: "".into() };
    // An ID from elsewhere carries no plaintext: the secret is then known only if this session has set it.
    if let Some(plaintext) = args.plaintext {
        let value = bytes::Bytes::copy_from_slice(plaintext.as_bytes());
        call.engine.keep_secret(&secret, SecretValue::Plaintext(value));
    }
    Ok(Resolved { value: secret.into(), id: Some(custom(&call, digest)) })
}

/// A secret by URI: known by a salted hash of its value, so that equal values share what they were used for.
async fn secret(_: Root, args: ByUri, call: Call) -> Outcome {
    check_uri(&args.uri)?;
    let digest = match &args.cache_key {
        Some(key) => hash_strings(&[key]),
        None => call.engine.secret_digest(&args.uri).await?,
    };
    let secret = Secret { id: digest.as_str().into(), name: "".into(), uri: args.uri.as_str().into() };
    call.engine.keep_secret(&secret, SecretValue::Uri(args.uri));
    Ok(Resolved { value: secret.into(), id: Some(custom(&call, digest)) })
}

fn custom(call: &Call, digest: treenail_call::Digest) -> CallId {
    call.id.with_custom_digest(digest)
}

/// Providers that this release reads.
const PROVIDERS: &[&str] = &["env", "file", "cmd"];

fn check_uri(uri: &str) -> Result<(), Cause> {
    let Some((scheme, _)) = uri.split_once("://") else {
        return Err(Cause::invalid(format!("parse {uri:?}: malformed id")));
    };
    if PROVIDERS.contains(&scheme) || LATER_PROVIDERS.contains(&scheme) {
        Ok(())
    } else {
        Err(Cause::invalid(format!("unsupported secret provider: {scheme:?}")))
    }
}
