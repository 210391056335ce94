//! JSONValue: the twin of `model/src/json_value.rs`.

use std::sync::Arc;

use treenail_engine::Cause;
use treenail_model::{File, Invalid, JsonValue, Value};

use crate::binding::{Binding, Call, JsonText, NoArguments, Outcome, Root, arguments, field};

type This = Arc<JsonValue>;

arguments!(WithContents { contents: JsonText = "contents" });
arguments!(Contents { pretty: bool = "pretty", indent: String = "indent" });
arguments!(NewString { value: String = "value" });
arguments!(NewInteger { value: i64 = "value" });
arguments!(NewBoolean { value: bool = "value" });
arguments!(Path { path: Vec<String> = "path" });
arguments!(WithField { path: Vec<String> = "path", value: This = "value" });

pub(super) fn bindings() -> Vec<Binding> {
    vec![
        field("json", |_: Root, _: NoArguments, _| async { Ok(JsonValue::null().into()) }),
        field("asJSON", |this: Arc<File>, _: NoArguments, call: Call| async move {
            let bytes = call.engine.read_file(&this).await?;
            let text = std::str::from_utf8(&bytes).map_err(|_| Cause::invalid("invalid JSON: not UTF-8"))?;
            made(JsonValue::parse(text))
        }),
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field(
            "withContents",
            |_: This, a: WithContents, _| async move { made(JsonValue::parse(&a.contents.0)) },
        ),
        field("contents", |this: This, a: Contents, _| async move {
            if !a.pretty {
                return Ok(Value::Text(this.text().clone()).into());
            }
            answer(this.pretty(&a.indent), Value::text)
        }),
        field("newString", |_: This, a: NewString, _| async move { made(JsonValue::string(&a.value)) }),
        field(
            "newInteger",
            |_: This, a: NewInteger, _| async move { Ok(JsonValue::integer(a.value).into()) },
        ),
        field(
            "newBoolean",
            |_: This, a: NewBoolean, _| async move { Ok(JsonValue::boolean(a.value).into()) },
        ),
        field(
            "asString",
            |this: This, _: NoArguments, _| async move { answer(this.as_string(), Value::text) },
        ),
        field(
            "asInteger",
            |this: This, _: NoArguments, _| async move { answer(this.as_integer(), Value::Int) },
        ),
        field(
            "asBoolean",
            |this: This, _: NoArguments, _| async move { answer(this.as_boolean(), Value::Bool) },
        ),
        field("asArray", |this: This, _: NoArguments, _| async move {
            answer(this.as_array(), |items| Value::List(items.into_iter().map(Value::from).collect()))
        }),
        field("fields", |this: This, _: NoArguments, _| async move { answer(this.fields(), Value::texts) }),
        field("field", |this: This, a: Path, _| async move { made(this.field(&a.path)) }),
        field(
            "withField",
            |this: This, a: WithField, _| async move { made(this.with_field(&a.path, &a.value)) },
        ),
    ]
}

fn made(result: Result<JsonValue, Invalid>) -> Outcome {
    Ok(result.map_err(Cause::invalid)?.into())
}

fn answer<T>(result: Result<T, Invalid>, value: impl FnOnce(T) -> Value) -> Outcome {
    Ok(value(result.map_err(Cause::invalid)?).into())
}
