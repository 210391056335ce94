//! IDs recorded from Dagger 0.19.11: each is read, checked and written again to the same bytes.

use serde_json::Value;
use treenail_call::{CallId, Digest, Limits, decode};

const CASES: &str = include_str!("../../../test-fixtures/contract/vectors.json");

/// The IDs of every recorded case whose name begins with `id-`.
pub(crate) fn ids() -> Vec<(String, String)> {
    let cases: Vec<Value> = serde_json::from_str(CASES).expect("the fixture is an array");
    let mut found = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().expect("cases have names");
        if name.starts_with("id-") {
            collect(name, &case["data"], &mut found);
        }
    }
    assert!(found.len() >= 14, "the recorded IDs are gone from the fixture");
    found
}

fn collect(name: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(id) if key == "id" => found.push((name.to_owned(), id.to_owned())),
                    _ => collect(name, value, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(name, element, found)),
        _ => {}
    }
}

/// Decoding recomputes every digest that was not chosen, so success says that all of them are ours too.
#[test]
fn recorded_ids_round_trip_to_the_byte() {
    for (name, id) in ids() {
        let call = decode(&id, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(call.encode(), id, "{name}: {call}");
    }
}

fn recorded(name: &str) -> CallId {
    let ids = ids();
    let (_, id) = ids.iter().find(|(case, _)| case == name).expect("a recorded case");
    decode(id, &Limits::default()).expect("a good ID")
}

#[test]
fn an_unforced_step_names_its_effect() {
    let file = recorded("id-newfile");
    assert_eq!(file.effect_ids().len(), 1);
    assert_eq!(file.digest(), super::vectors::with_new_file().digest());
}

#[test]
fn an_exec_is_shown_under_its_own_key() {
    let exec = recorded("id-exec-scratch");
    assert!(exec.is_custom_digest());
    assert_eq!(exec.digest(), &Digest::new("xxh3:d18bb558ed353b1a"));
    assert_eq!(&**exec.view(), "v0.19.11");
}
