//! EnvFile: the twin of `model/src/envfile.rs`.

use std::sync::Arc;

use treenail_engine::{Cause, Rule};
use treenail_model::{Container, EnvFile, EnvFileError, File, Object, Value};

use super::files;
use crate::binding::{Binding, Call, NoArguments, Outcome, Root, arguments, field};

type This = Arc<EnvFile>;

// Expansion is always on; `expand` says nothing.
arguments!(AlwaysExpanded { _expand: Option<bool> = "expand" });
arguments!(Name { name: String = "name" });
arguments!(NameRaw { name: String = "name", raw: Option<bool> = "raw" });
arguments!(Raw { raw: Option<bool> = "raw" });
arguments!(NameValue { name: String = "name", value: String = "value" });
arguments!(Prefix { prefix: String = "prefix" });
arguments!(Source { source: This = "source" });

/// Permissions of the file that an EnvFile is written to.
const MODE: u32 = 0o644;

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("envFile", |_: Root, _: AlwaysExpanded, _| async { Ok(EnvFile::new().into()) }),
        field("asEnvFile", |this: Arc<File>, _: AlwaysExpanded, call: Call| async move {
            let bytes = call.engine.read_file(&this).await?;
            made(EnvFile::parse(&String::from_utf8_lossy(&bytes), &client(&call)))
        })
        .remembered(per_client),
        field("withEnvFileVariables", |this: Arc<Container>, a: Source, call: Call| async move {
            let variables = a.source.variables(&client(&call)).map_err(Cause::invalid)?;
            let set = |(name, value): (&Arc<str>, &String)| (name.clone(), value.clone());
            let variables: Vec<_> = variables.iter().map(set).collect();
            Ok(this.with_config(|c| variables.iter().for_each(|(name, value)| c.env.set(name, value))).into())
        }),
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field("withVariable", |this: This, a: NameValue, call: Call| async move {
            made(this.with_variable(&a.name, &a.value, &client(&call)))
        })
        .remembered(per_client),
        field("withoutVariable", |this: This, a: Name, _| async move {
            Ok(this.without_variable(&a.name).into())
        }),
        field("exists", |this: This, a: Name, _| async move { Ok(Value::Bool(this.exists(&a.name)).into()) }),
        field("get", |this: This, a: NameRaw, call: Call| async move {
            if a.raw == Some(true) {
                return Ok(this
                    .raw(&a.name)
                    .map_or_else(|| Value::text(""), |v| Value::Text(v.clone()))
                    .into());
            }
            Ok(Value::text(this.get(&a.name, &client(&call)).map_err(Cause::invalid)?).into())
        }),
        field("variables", |this: This, a: Raw, call: Call| async move {
            if a.raw == Some(true) {
                let raw = this.raw_variables().into_iter();
                return Ok(Value::objects(raw.map(|(name, value)| Object::EnvVariable(name, value))).into());
            }
            let variables = this.variables(&client(&call)).map_err(Cause::invalid)?.into_iter();
            Ok(Value::objects(variables.map(|(name, value)| Object::EnvVariable(name, value.into()))).into())
        }),
        field("namespace", |this: This, a: Prefix, call: Call| async move {
            made(this.namespace(&a.prefix, &client(&call)))
        }),
        field("asFile", |this: This, _: NoArguments, call: Call| async move {
            Ok(files::new_file(&call.engine, ".env", this.to_text(), MODE).into())
        }),
    ]
}

/// A client's environment is read once a session.
fn per_client(_: &treenail_call::CallId) -> Rule {
    Rule::PerClient
}

fn client(call: &Call) -> impl Fn(&str) -> Option<String> {
    let host = call.engine.host().clone();
    move |name| host.variable(name)
}

fn made(result: Result<EnvFile, EnvFileError>) -> Outcome {
    Ok(result.map_err(Cause::invalid)?.into())
}
