//! The recorded answers of 0.19.11 that need no engine: introspection, refusals.

use serde_json::Value;
use treenail_graphql::error::RequestError;
use treenail_graphql::prepare::{Request, prepare};
use treenail_graphql::sdl::SchemaModel;
use treenail_graphql::{introspect, json};

const RECORDED: &str = include_str!("../../../test-fixtures/contract/introspection-0.19.11.json");
const RECORDED_CODEGEN: &str =
    include_str!("../../../test-fixtures/contract/codegen-introspection-0.19.11.json");
const VECTORS: &str = include_str!("../../../test-fixtures/contract/vectors.json");

/// Answered by the GraphQL specification here, refused by 0.19.11: see DESIGN.md D2.
const BETTER_HERE: [&str; 3] = ["w-skip", "w-inline", "w-typename"];
/// Fails when it runs, not before.
const NEEDS_ENGINE: [&str; 1] = ["w-siblings"];

fn introspection(query: &str) -> Value {
    let prepared = prepare(SchemaModel::core(), &Request::new(query)).expect("valid");
    let mut out = b"{".to_vec();
    let mut first = true;
    for field in prepared.fields(prepared.root()) {
        json::comma(&mut out, &mut first);
        json::key(&mut out, field.key());
        introspect::answer(&prepared, field, &mut out).expect("small enough");
    }
    out.push(b'}');
    serde_json::from_slice(&out).expect("JSON")
}

/// Blanks what is in our own words: descriptions, and the reasons of deprecations and experiments.
fn without_words(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_words),
        Value::Object(fields) => {
            fields.remove("description");
            if let Some(reason @ Value::String(_)) = fields.get_mut("deprecationReason") {
                *reason = "words".into();
            }
            // The one argument of an applied `@deprecated` or `@experimental`.
            if fields.get("name").is_some_and(|name| name == "reason") && fields.contains_key("value") {
                fields.insert("value".into(), "words".into());
            }
            fields.values_mut().for_each(without_words);
        }
        _ => {}
    }
}

/// Compares type by type, so that a difference is readable.
fn check_same(mut ours: Value, recorded: &str) {
    let mut recorded: Value = serde_json::from_str(recorded).expect("JSON");
    let mut recorded = recorded["data"].take();
    without_words(&mut ours);
    without_words(&mut recorded);
    let list = |answer: &mut Value, name: &str| match answer["__schema"][name].take() {
        Value::Array(items) => items,
        other => panic!("{name}: {other}"),
    };
    for name in ["types", "directives"] {
        let (ours, recorded) = (list(&mut ours, name), list(&mut recorded, name));
        let names = |items: &[Value]| items.iter().map(|item| item["name"].to_string()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&recorded));
        for (ours, recorded) in ours.into_iter().zip(recorded) {
            assert_eq!(ours, recorded, "{}", recorded["name"]);
        }
    }
    assert_eq!(ours, recorded);
}

#[test]
fn the_standard_introspection_is_that_of_0_19() {
    check_same(introspection(include_str!("../fixtures/introspection.graphql")), RECORDED);
}

#[test]
fn the_introspection_of_code_generators_is_that_of_0_19() {
    check_same(introspection(include_str!("../fixtures/codegen.graphql")), RECORDED_CODEGEN);
}

#[test]
fn reasons_and_descriptions_are_given() {
    let model = SchemaModel::core();
    let described = ["Query", "Container", "Directory", "File", "Host", "Secret", "CacheVolume"];
    for ty in model.types() {
        assert!(!ty.description.is_empty(), "{} has no description", ty.name);
        for field in ty.fields.iter().filter(|field| !field.hidden) {
            let name = format!("{}.{}", ty.name, field.name);
            assert!(
                !described.contains(&&*ty.name) || !field.description.is_empty(),
                "{name} has no description"
            );
            let args = field.args.iter().flat_map(|arg| &arg.directives);
            for applied in field.directives.iter().chain(args) {
                assert!(
                    applied.args.iter().any(|(arg, value)| &**arg == "reason" && value.len() > 2),
                    "{name}: @{}",
                    applied.name
                );
            }
        }
    }
}

#[test]
fn refusals_are_those_of_0_19() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("JSON");
    let mut refused = 0;
    for case in vectors.iter().filter(|case| case["name"].as_str().is_some_and(|name| name.starts_with("w-")))
    {
        let name = case["name"].as_str().expect("name");
        let result = prepare(SchemaModel::core(), &Request::new(case["query"].as_str().expect("query")));
        if case["error"].is_null() || NEEDS_ENGINE.contains(&name) || BETTER_HERE.contains(&name) {
            assert!(result.is_ok(), "{name}: {result:?}");
            continue;
        }
        let error = result.expect_err(name);
        let entry = &error.entries()[0];
        let contained = case["error"]["message_contains"].as_str().expect("message");
        assert!(entry.message.contains(contained), "{name}: {}", entry.message);
        let written: Value = {
            let mut out = Vec::new();
            entry.write(&mut out);
            serde_json::from_slice(&out).expect("JSON")
        };
        for key in ["extensions", "path"] {
            assert!(case["error"][key].is_null() || written[key] == case["error"][key], "{name}: {written}");
        }
        assert_eq!(matches!(error, RequestError::Argument(_)), case["status"].is_null(), "{name}");
        refused += 1;
    }
    assert!(refused >= 20, "only {refused} cases were found");
}

/// Every document among the recorded cases is valid here, unless its refusal was recorded.
#[test]
fn recorded_documents_are_valid() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("JSON");
    for case in vectors.iter().filter(|case| case["status"].is_null() && case["let"].is_null()) {
        match prepare(SchemaModel::core(), &Request::new(case["query"].as_str().expect("query"))) {
            Ok(_) | Err(RequestError::Argument(_)) => {}
            Err(error) => panic!("{}: {error}", case["name"]),
        }
    }
}
