//! The bytes, field by field: every number and wire type that the recorded IDs do not reach.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use treenail_call::{Argument, CallId, Digest, Limits, Literal, Module, NewCall, Type, decode};

use super::vectors::{directory, text};

/// A length-delimited field. Bodies here are shorter than 128 bytes or take two bytes of length.
fn field(number: u8, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = vec![number << 3 | 2];
    match body.len() {
        length @ 0..128 => out.push(length as u8),
        length => out.extend([(length & 127) as u8 | 128, (length >> 7) as u8]),
    }
    out.extend(body);
    out
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn entry(call: &CallId, body: &[Vec<u8>]) -> Vec<u8> {
    field(2, [field(1, call.digest().as_str()), field(2, body.concat())].concat())
}

#[test]
fn every_field_has_its_number() {
    let module = directory();
    let made = NewCall {
        receiver: Some(module.clone()),
        args: vec![
            Argument::new("a", Literal::Id(module.clone())),
            Argument::new("b", Literal::Null),
            Argument::new("c", Literal::Bool(false)),
            Argument::new("d", Literal::Enum("E".into())),
            Argument::new("e", Literal::Int(5)),
            Argument::new("f", Literal::Float(1.0)),
            Argument::new("g", Literal::string("")),
            Argument::new("h", Literal::List(vec![Literal::Int(0)])),
            Argument::new("i", Literal::Object(vec![("k".into(), Literal::List(vec![]))])),
        ],
        module: Some(Module {
            call: module.clone(),
            name: "n".into(),
            reference: "r".into(),
            pin: "p".into(),
        }),
        view: "v0.19.11".into(),
        ..NewCall::new("f", Type::list(Type::nullable("T")))
    };
    let call = made.build().with_custom_digest(Digest::new("x:1")).with_content_digest(Digest::new("c:1"));

    let arg = |name: &str, literal: Vec<u8>| field(4, [field(1, name), field(2, literal)].concat());
    let one = [&[6 << 3 | 1][..], &1.0_f64.to_le_bytes()].concat();
    let digest = module.digest().as_str();
    let expected_call = entry(
        &call,
        &[
            field(1, digest),
            field(2, [field(2, field(1, "T")), number(3, 1)].concat()),
            field(3, "f"),
            arg("a", field(1, digest)),
            arg("b", number(2, 1)),
            arg("c", number(3, 0)),
            arg("d", field(4, "E")),
            arg("e", number(5, 5)),
            arg("f", one),
            arg("g", field(7, "")),
            arg("h", field(8, field(1, number(5, 0)))),
            arg("i", field(9, field(1, [field(1, "k"), field(2, field(8, ""))].concat()))),
            field(8, [field(1, digest), field(2, "n"), field(3, "r"), field(4, "p")].concat()),
            field(9, "x:1"),
            field(10, "v0.19.11"),
            number(11, 1),
            field(12, "c:1"),
        ],
    );
    let expected_module = entry(
        &module,
        &[field(2, [field(1, "Directory"), number(3, 1)].concat()), field(3, "directory"), field(9, digest)],
    );
    // Keys are sorted: `x:1` is before `xxh3:`.
    let expected = [field(1, "x:1"), expected_call, expected_module].concat();
    let id = call.encode();
    assert_eq!(STANDARD.decode(&id).expect("base64"), expected);

    let again = decode(&id, &Limits::default()).expect("made here");
    assert_eq!(again.args(), call.args());
    assert_eq!(again.result_type(), call.result_type());
    assert_eq!(again.module().map(|module| &*module.pin), Some("p"));
    assert_eq!(again.content_digest(), call.content_digest());
}

/// One digest, two contents: a host directory that was read twice. The ID has room for one of them, and
/// must load all the same.
#[test]
fn two_states_of_one_call_in_one_id() {
    let before = directory().with_content_digest(Digest::new("xxh3:0000000000000001"));
    let after = directory().with_content_digest(Digest::new("xxh3:0000000000000002"));
    let with = |call: &CallId, source: &CallId| {
        let args = vec![text("path", "/"), Argument::new("source", Literal::from(source))];
        call.select("withDirectory", Type::required("Directory"), args)
    };
    for (first, second) in
        [(&before, &after), (&after, &before), (&directory(), &after), (&after, &directory())]
    {
        let call = with(&with(&directory(), first), second);
        let again = decode(&call.encode(), &Limits::default()).expect("made here");
        assert_eq!(again, call);
        assert_eq!(again.receiver(), call.receiver());
        assert_eq!(again.encode(), call.encode());
    }
}

/// What one client hashed before the content was known is still accepted after.
#[test]
fn a_plain_hash_over_known_content_is_accepted() {
    let file = directory().select("file", Type::required("File"), vec![text("path", "a")]);
    let body = STANDARD.decode(file.encode()).expect("base64");
    let known = field(12, "sha256:00");
    // The directory is the first entry; its content digest goes behind its own.
    let receiver = STANDARD.decode(directory().encode()).expect("base64");
    let old_entry = &receiver[23..];
    let old_call = &old_entry[2 + 23 + 2..];
    let new_entry = entry(&directory(), &[old_call.to_vec(), known]);
    let at =
        body.windows(old_entry.len()).position(|window| window == old_entry).expect("the entry is there");
    let patched = [&body[..at], &new_entry, &body[at + old_entry.len()..]].concat();
    let again = decode(&STANDARD.encode(patched), &Limits::default()).expect("either hash is good");
    assert_eq!(again, file);
    assert_eq!(again.receiver().and_then(CallId::content_digest), Some(&Digest::new("sha256:00")));
}
