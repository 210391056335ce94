//! Address: the twin of `model/src/address.rs`. What an address leads to is the value of the call that would have
//! been made without it, ID included.

use std::sync::Arc;

use treenail_call::{Argument, CallId, Literal, Type};
use treenail_engine::{Cause, Resolved};
use treenail_model::{Address, Value};

use super::container::per_call;
use super::host::unless_no_cache;
use crate::binding::{Binding, Call, NoArguments, Outcome, Root, arguments, field};

type This = Arc<Address>;

arguments!(NewAddress { value: String = "value" });
arguments!(Filtered {
    exclude: Vec<String> = "exclude",
    include: Vec<String> = "include",
    gitignore: bool = "gitignore",
    _no_cache: bool = "noCache",
});

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("address", |_: Root, a: NewAddress, _| async move {
            Ok(Address::new(&a.value).map_err(Cause::invalid)?.into())
        }),
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field(
            "value",
            |this: This, _: NoArguments, _| async move { Ok(Value::Text(this.value.clone()).into()) },
        ),
        field("container", |this: This, _: NoArguments, call: Call| async move {
            let container = CallId::root("container", Type::required("Container"));
            let address = vec![Argument::new("address", Literal::string(&*this.value))];
            led(&call, container.select("from", Type::required("Container"), address)).await
        })
        .remembered(per_call),
        field("directory", directory).remembered(unless_no_cache),
        field("file", file).remembered(unless_no_cache),
        field("secret", |this: This, _: NoArguments, call: Call| async move {
            let address = this.secret();
            let mut args = vec![Argument::new("uri", Literal::string(address.uri.as_str()))];
            args.extend(
                address.cache_key.map(|key| Argument::new("cacheKey", Literal::string(key.as_str()))),
            );
            led(&call, treenail_call::NewCall { args, ..secret_call() }.build()).await
        })
        .remembered(per_call),
        field("service", |this: This, _: NoArguments, _| async move {
            this.check_service().map_err(Cause::invalid)?;
            Err(Cause::unsupported("Address.service", "services are not in this release of Treenail"))
        }),
    ]
}

fn secret_call() -> treenail_call::NewCall {
    treenail_call::NewCall::new("secret", Type::required("Secret"))
}

/// `noCache` decides how this call is remembered; it is not passed on.
async fn directory(this: This, args: Filtered, call: Call) -> Outcome {
    refuse_git(&this, "Address.directory")?;
    let mut arguments = vec![Argument::new("path", Literal::string(this.host_path()))];
    let list =
        |patterns: &[String]| Literal::List(patterns.iter().map(|p| Literal::string(p.as_str())).collect());
    if !args.exclude.is_empty() {
        arguments.push(Argument::new("exclude", list(&args.exclude)));
    }
    if !args.include.is_empty() {
        arguments.push(Argument::new("include", list(&args.include)));
    }
    if args.gitignore {
        arguments.push(Argument::new("gitignore", Literal::Bool(true)));
    }
    led(&call, host().select("directory", Type::required("Directory"), arguments)).await
}

async fn file(this: This, _: Filtered, call: Call) -> Outcome {
    refuse_git(&this, "Address.file")?;
    let path = vec![Argument::new("path", Literal::string(this.host_path()))];
    led(&call, host().select("file", Type::required("File"), path)).await
}

fn host() -> CallId {
    CallId::root("host", Type::required("Host"))
}

fn refuse_git(this: &Address, field: &str) -> Result<(), Cause> {
    if this.is_git() {
        return Err(Cause::unsupported(
            field,
            "git addresses are not in this release of Treenail; use a path",
        ));
    }
    Ok(())
}

/// The value of the call that the address stands for.
async fn led(call: &Call, target: CallId) -> Outcome {
    let evaluated = call.engine.load(&target).await.map_err(|failed| failed.cause().clone())?;
    Ok(Resolved { value: evaluated.value, id: Some(evaluated.id) })
}
