use serde_json::{Value as Json, json};

use crate::coerce::ArgValue;
use crate::error::RequestError;
use crate::prepare::{Request, prepare};
use crate::sdl::SchemaModel;

/// The value of the argument `name` of the last field of a chain, or the cause of the refusal.
fn coerced(query: &str, name: &str, variables: &Json) -> Result<Option<ArgValue>, String> {
    let body = json!({"query": query, "variables": variables}).to_string();
    let request = Request::from_json(body.as_bytes()).expect("body");
    match prepare(SchemaModel::core(), &request) {
        Ok(prepared) => {
            let fields = prepared.all_fields().filter(|field| field.def().arg(name).is_some());
            Ok(fields.last().expect(query).argument(name).cloned())
        }
        Err(RequestError::Argument(entry)) => {
            let start = format!("query:\n{query}\n\nerror: parse selections: parse field ");
            Err(entry.message.strip_prefix(&start).expect("the form of 0.19").to_owned())
        }
        Err(other) => panic!("{query}: {other}"),
    }
}

/// The same value as a literal and as a variable of the argument's type.
fn both(
    call: &str,
    name: &str,
    ty: &str,
    literal: &str,
    variable: Json,
) -> [Result<Option<ArgValue>, String>; 2] {
    let written = format!("{{{}}}", call.replace('%', literal));
    let passed = format!("query($v: {ty}) {{{}}}", call.replace('%', "$v"));
    [coerced(&written, name, &json!({})), coerced(&passed, name, &json!({"v": variable}))]
}

fn text(value: &str) -> ArgValue {
    ArgValue::String(value.into())
}

#[test]
fn values_are_taken_as_0_19_takes_them() {
    let permissions =
        ("directory{withFile(path:\"\",source:\"ID\",permissions:%){id}}", "permissions", "Int");
    let description = ("container{withExposedPort(port:1,description:%){id}}", "description", "String");
    let protocol = ("container{withExposedPort(port:1,protocol:%){id}}", "protocol", "NetworkProtocol");
    let media = ("container{asTarball(mediaTypes:%){id}}", "mediaTypes", "ImageMediaTypes");
    let args = ("container{withEntrypoint(args:%){id}}", "args", "[String!]!");
    let expand = ("container{withWorkdir(path:\"\",expand:%){id}}", "expand", "Boolean");
    let platform = ("container(platform:%){id}", "platform", "Platform");
    let strings = |items: &[&str]| ArgValue::List(items.iter().map(|item| text(item)).collect());
    for ((call, name, ty), literal, variable, expected) in [
        (permissions, "420", json!(420), ArgValue::Int(420)),
        (permissions, "420.0", json!(420.0), ArgValue::Int(420)),
        (permissions, "4.2e2", json!(4.2e2), ArgValue::Int(420)),
        (permissions, "\"0644\"", json!("0644"), ArgValue::Int(420)),
        (permissions, "\"0x1a4\"", json!("0x1a4"), ArgValue::Int(420)),
        (
            permissions,
            "9007199254740993",
            json!(9_007_199_254_740_993_i64),
            ArgValue::Int(9_007_199_254_740_993),
        ),
        (permissions, "null", json!(null), ArgValue::Null),
        (description, "\"é\\u0041\"", json!("éA"), text("éA")),
        (description, "null", json!(null), ArgValue::Null),
        (protocol, "UDP", json!("UDP"), ArgValue::Enum("UDP".into())),
        (protocol, "\"UDP\"", json!("UDP"), ArgValue::Enum("UDP".into())),
        (media, "OCI", json!("OCI"), ArgValue::Enum("OCIMediaTypes".into())),
        (media, "DockerMediaTypes", json!("DockerMediaTypes"), ArgValue::Enum("DockerMediaTypes".into())),
        (args, "[\"a\",\"b\"]", json!(["a", "b"]), strings(&["a", "b"])),
        (args, "[]", json!([]), strings(&[])),
        (args, "\"[\\\"a\\\"]\"", json!("[\"a\"]"), strings(&["a"])),
        (expand, "true", json!(true), ArgValue::Bool(true)),
        (expand, "\"false\"", json!("false"), ArgValue::Bool(false)),
        (platform, "\"linux/amd64\"", json!("linux/amd64"), text("linux/amd64")),
    ] {
        for found in both(call, name, ty, literal, variable) {
            assert_eq!(found, Ok(Some(expected.clone())), "{name}: {literal}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let permissions =
        ("directory{withNewFile(path:\"a\",contents:\"\",permissions:%){entries}}", "permissions", "Int");
    let contents = ("directory{withNewFile(path:\"a\",contents:%){entries}}", "contents", "String!");
    let args = ("container{withEntrypoint(args:%){entrypoint}}", "args", "[String!]!");
    let protocol = ("container{withExposedPort(port:1,protocol:%){id}}", "protocol", "NetworkProtocol");
    let ports = ("host{service(ports:%){id}}", "ports", "[PortForward!]!");
    for ((call, name, ty), literal, variable, expected) in [
        (
            permissions,
            "true",
            json!(true),
            "\"withNewFile\": init arg \"permissions\" value as Int: cannot create Int from bool",
        ),
        (
            permissions,
            "420.5",
            json!(420.5),
            "\"withNewFile\": init arg \"permissions\" value as Int: cannot create Int from 420.5",
        ),
        (
            permissions,
            "[1]",
            json!([1]),
            "\"withNewFile\": init arg \"permissions\" value as Int: cannot create Int from []interface {}",
        ),
        (
            permissions,
            "null",
            json!(null),
            "\"withNewFile\": init arg \"permissions\" value as Int: cannot create Int from <nil>",
        ),
        (
            permissions,
            "\"x\"",
            json!("x"),
            "\"withNewFile\": init arg \"permissions\" value as Int: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (
            contents,
            "1",
            json!(1),
            "\"withNewFile\": init arg \"contents\" value as String!: cannot create String from int64",
        ),
        (
            args,
            "\"a\"",
            json!("a"),
            "\"withEntrypoint\": init arg \"args\" value as [String!]!: invalid character 'a' looking for beginning of value",
        ),
        (
            args,
            "\"\"",
            json!(""),
            "\"withEntrypoint\": init arg \"args\" value as [String!]!: unexpected end of JSON input",
        ),
        (
            args,
            "1",
            json!(1),
            "\"withEntrypoint\": init arg \"args\" value as [String!]!: expected array, got int64",
        ),
        (
            args,
            "[1]",
            json!([1]),
            "\"withEntrypoint\": init arg \"args\" value as [String!]!: cannot create String from int64",
        ),
        (
            args,
            "[null]",
            json!([null]),
            "\"withEntrypoint\": init arg \"args\" value as [String!]!: cannot create String from <nil>",
        ),
        (
            protocol,
            "BAD",
            json!("BAD"),
            "\"withExposedPort\": init arg \"protocol\" value as NetworkProtocol: invalid enum member \"BAD\" for NetworkProtocol",
        ),
        (
            protocol,
            "6",
            json!(6),
            "\"withExposedPort\": init arg \"protocol\" value as NetworkProtocol: cannot create NetworkProtocol from int64",
        ),
        (
            ports,
            "[{frontend:1}]",
            json!([{"frontend": 1}]),
            "\"service\": init arg \"ports\" value as [PortForward!]!: missing required input field \"backend\"",
        ),
        (
            ports,
            "[{backend:1,x:2}]",
            json!([{"backend": 1, "x": 2}]),
            "\"service\": init arg \"ports\" value as [PortForward!]!: PortForward has no such field: \"x\"",
        ),
    ] {
        let ty = if name == "contents" || name == "args" || name == "ports" {
            ty
        } else {
            ty.trim_end_matches('!')
        };
        for found in both(call, name, ty, literal, variable) {
            assert_eq!(found, Err(expected.to_owned()), "{name}: {literal}");
        }
    }
    let null = coerced("{directory{withNewFile(path:\"a\",contents:null){entries}}}", "contents", &json!({}));
    assert!(null.expect_err("null").ends_with("cannot create String from <nil>"));
    let null = coerced("{container{withEntrypoint(args:null){entrypoint}}}", "args", &json!({}));
    assert!(null.expect_err("null").ends_with("expected array, got <nil>"));
}

#[test]
fn input_objects_have_every_field_in_order() {
    let call = "host{service(ports:%){id}}";
    for found in both(
        call,
        "ports",
        "[PortForward!]!",
        "[{protocol:UDP,backend:\"80\"},{backend:1}]",
        json!([{"protocol": "UDP", "backend": "80"}, {"backend": 1}]),
    ) {
        let field = |name: &str, value: ArgValue| (name.into(), value);
        let object = |backend, protocol: &str| {
            ArgValue::Object(
                [
                    field("frontend", ArgValue::Null),
                    field("backend", ArgValue::Int(backend)),
                    field("protocol", ArgValue::Enum(protocol.into())),
                ]
                .into(),
            )
        };
        assert_eq!(found, Ok(Some(ArgValue::List([object(80, "UDP"), object(1, "TCP")].into()))));
    }
}

#[test]
fn what_is_absent_is_not_passed() {
    let left_out = Ok(None);
    let query = "query($p: String) {container{withExposedPort(port:1,description:$p){id}}}";
    assert_eq!(coerced(query, "description", &json!({})), left_out);
    assert_eq!(coerced(query, "description", &json!({"p": null})), Ok(Some(ArgValue::Null)));
    assert_eq!(coerced(query, "description", &json!({"p": "x"})), Ok(Some(text("x"))));
    let query = "query($p: Int = 7) {directory{withNewFile(path:\"\",contents:\"\",permissions:$p){id}}}";
    assert_eq!(coerced(query, "permissions", &json!({})), Ok(Some(ArgValue::Int(7))));
    assert_eq!(coerced(query, "permissions", &json!({"p": "0o7"})), Ok(Some(ArgValue::Int(7))));
    let query =
        "{function(name:\"f\",returnType:\"T\"){withArg(name:\"a\",typeDef:\"T\",defaultValue:\"\"){id}}}";
    assert_eq!(coerced(query, "defaultValue", &json!({})), left_out);
    let query = "{error(message:\"m\"){withValue(name:\"n\",value:\"\"){id}}}";
    assert_eq!(
        coerced(query, "value", &json!({})),
        Err("\"withValue\": missing required argument: \"value\"".to_owned())
    );
}

#[test]
fn a_value_used_often_is_shared() {
    let fields: String = (0..1_000).map(|at| format!("f{at}: withDefaultArgs(args: $v){{id}} ")).collect();
    let body = json!({"query": format!("query($v: [String!]!) {{container{{{fields}}}}}"), "variables": {"v": vec!["x"; 1_000]}});
    let prepared =
        prepare(SchemaModel::core(), &Request::from_json(body.to_string().as_bytes()).expect("body"))
            .expect("valid");
    let lists: Vec<_> = prepared.all_fields().filter_map(|field| field.argument("args")).collect();
    assert_eq!(lists.len(), 1_000);
    let address = |value: &ArgValue| match value {
        ArgValue::List(items) => items.as_ptr(),
        other => panic!("{other:?}"),
    };
    assert!(lists.iter().all(|list| address(list) == address(lists[0])));
}
