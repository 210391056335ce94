//! IDs that nobody honest made: each is refused with its reason.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use treenail_call::{Argument, CallId, DecodeError, Digest, Limits, Literal, Type, decode};
use treenail_protos::call as wire;

use super::vectors::{container, directory, with_new_file};

fn to_wire(call: &CallId) -> wire::Dag {
    let bytes = STANDARD.decode(call.encode()).expect("base64");
    wire::Dag::decode(&*bytes).expect("made here")
}

fn read(dag: &wire::Dag) -> Result<CallId, DecodeError> {
    decode(&STANDARD.encode(dag.encode_to_vec()), &Limits::default())
}

fn message(result: Result<CallId, DecodeError>) -> String {
    result.expect_err("not a good ID").to_string()
}

#[test]
fn texts_that_clients_compare() {
    assert_eq!(message(decode("", &Limits::default())), "cannot decode empty string as ID");
    for text in ["?", "ChV4", "AAA", "ChV4=", "abcd abcd"] {
        let text = message(decode(text, &Limits::default()));
        assert!(
            text.starts_with("failed to decode base64: ") || text.starts_with("failed to unmarshal proto: "),
            "{text}"
        );
    }
    assert_eq!(message(read(&dag_of([]))), r#"call digest "a" not found"#);
    let mut missing = to_wire(&with_new_file());
    missing.calls_by_digest.remove(directory().digest().as_str());
    assert_eq!(message(read(&missing)), r#"call digest "xxh3:6387acae235958f5" not found"#);
}

#[test]
fn a_call_under_a_strange_key() {
    let mut dag = to_wire(&directory());
    let call = dag.calls_by_digest.pop_first().expect("one call").1;
    dag.calls_by_digest.insert("k".into(), call);
    dag.root_digest = "k".into();
    assert_eq!(message(read(&dag)), r#"call digest mismatch "k" != "xxh3:6387acae235958f5""#);
}

#[test]
fn a_forged_digest() {
    let mut dag = to_wire(&with_new_file());
    let call = dag.calls_by_digest.get_mut("xxh3:3a878dba772b50b5").expect("the root");
    call.field = "withoutFile".into();
    let error = read(&dag).expect_err("forged");
    let DecodeError::Forged { claimed, computed } = &error else { panic!("{error:?}") };
    assert_eq!(claimed.as_str(), "xxh3:3a878dba772b50b5");
    assert_eq!(error.to_string(), format!("call digest mismatch \"{claimed}\" != \"{computed}\""));
}

fn custom(digest: &str) -> wire::Call {
    wire::Call { digest: digest.into(), is_custom_digest: true, field: "f".into(), ..Default::default() }
}

fn dag_of(calls: impl IntoIterator<Item = wire::Call>) -> wire::Dag {
    let calls_by_digest = calls.into_iter().map(|call| (call.digest.clone(), call)).collect();
    wire::Dag { root_digest: "a".into(), calls_by_digest }
}

fn refers_to(digest: &str) -> wire::Argument {
    let value = wire::literal::Value::CallDigest(digest.into());
    wire::Argument { name: "x".into(), value: Some(wire::Literal { value: Some(value) }) }
}

#[test]
fn circles() {
    let by_receiver =
        |digest: &str, receiver: &str| wire::Call { receiver_digest: receiver.into(), ..custom(digest) };
    let by_argument =
        |digest: &str, argument: &str| wire::Call { args: vec![refers_to(argument)], ..custom(digest) };
    let by_module = |digest: &str, made_by: &str| wire::Call {
        module: Some(wire::Module { call_digest: made_by.into(), ..Default::default() }),
        ..custom(digest)
    };
    for dag in [
        dag_of([by_receiver("a", "a")]),
        dag_of([by_argument("a", "a")]),
        dag_of([by_module("a", "a")]),
        dag_of([by_receiver("a", "b"), by_argument("b", "c"), by_module("c", "a")]),
        dag_of([by_receiver("a", "b"), by_argument("b", "c"), by_receiver("c", "b")]),
    ] {
        assert!(matches!(read(&dag), Err(DecodeError::Cycle { .. })), "{dag:?}");
    }
    // Two ways to one call are no circle.
    let mut both = by_receiver("a", "b");
    both.args = vec![refers_to("c"), refers_to("b"), refers_to("c")];
    let call = read(&dag_of([both, by_argument("b", "c"), custom("c")])).expect("a diamond");
    assert_eq!(call.references().len(), 4);
}

#[test]
fn a_call_without_a_type_loads_and_fits_nothing() {
    let call = read(&dag_of([custom("a")])).expect("0.19.11 loads it too");
    let error = call.expect_type("X").expect_err("no type");
    assert_eq!(error.to_string(), r#"expected "X" ID, got untyped ID"#);
}

#[test]
fn values_left_open() {
    let literal = |value| Some(wire::Literal { value });
    let list = wire::literal::Value::List(wire::List { values: vec![wire::Literal { value: None }] });
    for value in [None, literal(None), literal(Some(list))] {
        let call = wire::Call { args: vec![wire::Argument { name: "x".into(), value }], ..custom("a") };
        assert_eq!(read(&dag_of([call])), Err(DecodeError::NoValue { digest: Digest::new("a") }));
    }
}

#[test]
fn elements_of_nothing() {
    for nth in [1, -1, i64::MIN] {
        let call = wire::Call { nth, ..custom("a") };
        assert_eq!(read(&dag_of([call])), Err(DecodeError::NoList { digest: Digest::new("a") }));
    }
    let last = wire::Call { nth: i64::MAX, receiver_digest: "b".into(), ..custom("a") };
    let call = read(&dag_of([last, custom("b")])).expect("a position is a position");
    assert_eq!(decode(&call.encode(), &Limits::default()), Ok(call));
}

#[test]
fn every_prefix_is_refused() {
    let bytes = STANDARD.decode(with_new_file().encode()).expect("base64");
    for length in 0..bytes.len() {
        let text = STANDARD.encode(&bytes[..length]);
        assert!(decode(&text, &Limits::default()).is_err(), "{length}");
    }
}

#[test]
fn limits_hold() {
    let id = with_new_file().encode();
    let all = Limits::default();
    for (limits, what) in [
        (Limits { max_bytes: id.len() - 1, ..all }, "bytes"),
        (Limits { max_calls: 1, ..all }, "calls"),
        (Limits { max_fields: 10, ..all }, "fields"),
    ] {
        let error = decode(&id, &limits).expect_err("too large");
        assert!(matches!(error, DecodeError::TooLarge { what: found, .. } if found == what), "{error}");
    }
    let tight = Limits { max_bytes: id.len(), max_calls: 2, max_depth: 0, ..all };
    assert_eq!(decode(&id, &tight), Ok(with_new_file()));
}

#[test]
fn nesting_is_bounded() {
    let lists = |depth: usize| (0..depth).fold(Literal::Int(1), |inner, _| Literal::List(vec![inner]));
    let objects = |depth: usize| {
        (0..depth).fold(Literal::Int(1), |inner, _| Literal::Object(vec![("k".into(), inner)]))
    };
    let types = |depth: usize| (0..depth).fold(Type::required("T"), |inner, _| Type::list(inner));
    let limit = Limits { max_depth: 5, ..Limits::default() };
    let call = |value, result| directory().select("f", result, vec![Argument::new("x", value)]);
    for most in [5, treenail_call::MAX_LITERAL_DEPTH] {
        let limits = Limits { max_depth: most, ..limit };
        for (value, result) in
            [(lists(most), types(0)), (objects(most), types(0)), (Literal::Null, types(most))]
        {
            let call = call(value, result);
            assert_eq!(decode(&call.encode(), &limits), Ok(call));
        }
        for (value, result) in
            [(lists(most + 1), types(0)), (objects(most + 1), types(0)), (Literal::Null, types(most + 1))]
        {
            let error = decode(&call(value, result).encode(), &limits).expect_err("too deep");
            assert!(matches!(error, DecodeError::TooLarge { what: "levels", .. }), "{error}");
        }
    }
}

/// Two bytes each on the wire and dozens in memory: they are counted before they are allocated.
#[test]
fn a_bomb_of_empty_values_is_counted_first() {
    let values = vec![wire::Literal { value: None }; 3_000_000];
    let list = wire::Literal { value: Some(wire::literal::Value::List(wire::List { values })) };
    let args = vec![wire::Argument { name: "x".into(), value: Some(list) }];
    let error = read(&dag_of([wire::Call { args, ..custom("a") }])).expect_err("too many");
    assert!(matches!(error, DecodeError::TooLarge { what: "fields", .. }), "{error}");
}

#[test]
fn calls_that_nobody_needs_are_ignored() {
    let mut dag = to_wire(&container());
    dag.calls_by_digest.insert("z".into(), custom("y"));
    assert_eq!(read(&dag), Ok(container()));
}
