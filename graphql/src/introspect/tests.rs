use serde_json::{Value, json};

use super::*;
use crate::error::RequestError;
use crate::prepare::{Request, prepare};

fn answer_all(query: &str) -> Result<Vec<u8>, RequestError> {
    let prepared = prepare(SchemaModel::core(), &Request::new(query))?;
    let mut out = b"{".to_vec();
    let mut first = true;
    for field in prepared.fields(prepared.root()) {
        json::comma(&mut out, &mut first);
        json::key(&mut out, field.key());
        answer(&prepared, field, &mut out).map_err(RequestError::Argument)?;
    }
    out.push(b'}');
    Ok(out)
}

fn check(query: &str, expected: Value) {
    let answer = answer_all(query).expect(query);
    assert_eq!(serde_json::from_slice::<Value>(&answer).expect("JSON"), expected, "{query}");
}

#[test]
fn answers_what_is_asked() {
    check("{__typename __schemaVersion}", json!({"__typename": "Query", "__schemaVersion": "v0.19.11"}));
    check(
        "{s: __schema {queryType{name kind} mutationType{name} subscriptionType{name} __typename}}",
        json!({"s": {"queryType": {"name": "Query", "kind": "OBJECT"}, "mutationType": null, "subscriptionType": null, "__typename": "__Schema"}}),
    );
    check("{__type(name: \"Nope\"){name}}", json!({"__type": null}));
    check("{__type(name: \"Socket\")}", json!({"__type": {}}));
    check(
        "{__type(name: \"Socket\"){...T}} fragment T on __Type {kind n: name fields{name type{kind name ofType{name}}}}",
        json!({"__type": {"kind": "OBJECT", "n": "Socket", "fields": [
            {"name": "id", "type": {"kind": "NON_NULL", "name": null, "ofType": {"name": "SocketID"}}}]}}),
    );
}

#[test]
fn wrappers_are_unwrapped_one_by_one() {
    let query = "{__type(name: \"GitRepository\"){fields{name args{name type{kind name ofType{kind name ofType{kind name ofType{kind}}}}}}}}";
    let answer: Value = serde_json::from_slice(&answer_all(query).expect("valid")).expect("JSON");
    let fields = answer["__type"]["fields"].as_array().expect("list").iter();
    let branches = fields.clone().find(|field| field["name"] == "branches").expect("branches");
    assert_eq!(
        branches["args"][0]["type"],
        json!({"kind": "LIST", "name": null, "ofType": {"kind": "NON_NULL", "name": null, "ofType": {"kind": "SCALAR", "name": "String", "ofType": null}}})
    );
}

#[test]
fn deprecated_entries_hide_until_asked_for() {
    let names = |answer: &Value, list: &str| answer["__type"][list].as_array().expect("list").len();
    for (query, list, hidden, all) in [
        ("{__type(name: \"EnumTypeDef\"){fields%{name}}}", "fields", 6, 7),
        ("{__type(name: \"File\"){fields%{name}}}", "fields", 15, 15),
    ] {
        for (arg, expected) in
            [("", hidden), ("(includeDeprecated: true)", all), ("(includeDeprecated: \"true\")", all)]
        {
            let query = query.replace('%', arg);
            let answer: Value = serde_json::from_slice(&answer_all(&query).expect("valid")).expect("JSON");
            assert_eq!(names(&answer, list), expected, "{query}");
        }
    }
    check("{__type(name: \"Query\"){fields{name args{name}}}}", {
        let all: Value = serde_json::from_slice(
            &answer_all("{__type(name: \"Query\"){fields{name args{name}}}}").expect("valid"),
        )
        .expect("JSON");
        let env_file = all["__type"]["fields"]
            .as_array()
            .expect("list")
            .iter()
            .find(|field| field["name"] == "envFile")
            .expect("envFile");
        assert_eq!(env_file["args"], json!([]));
        all
    });
}

#[test]
fn deep_and_wide_selections_end() {
    let deep =
        format!("{{__type(name: \"Socket\"){}{{name}}{}}}", "{ofType".repeat(50_000), "}".repeat(50_000));
    let run = move || answer_all(&deep).expect("valid").len();
    let length = std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(run)
        .expect("spawns")
        .join()
        .expect("no overflow");
    assert!(length > 20);

    let circle = "fields{type{ofType{".repeat(8);
    let bomb = format!("{{__schema{{types{{{circle}name{}}}}}}}", "}}}".repeat(8));
    let refused = answer_all(&bomb).map(|answer| answer.len()).expect_err("too large").to_string();
    assert!(refused.contains("introspection answer is too large"), "{refused}");
}
