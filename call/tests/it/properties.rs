//! For any call: decoding undoes encoding. For any text: an answer, never a panic.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use treenail_call::{Argument, CallId, Digest, Limits, Literal, Module, NewCall, Type, decode};

use super::recorded;

fn types() -> impl Strategy<Value = Type> {
    let name = prop_oneof![Just("Container"), Just("Directory"), Just("")];
    (name, 0..4_usize, any::<bool>()).prop_map(|(name, lists, non_null)| {
        let inner = Type { non_null, ..Type::required(name) };
        (0..lists).fold(inner, |elem, _| Type { non_null, ..Type::list(elem) })
    })
}

/// `known` are the calls made so far, which a value may refer to.
fn literals(known: Vec<CallId>) -> impl Strategy<Value = Literal> {
    let leaf = prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(Literal::Int),
        // A NaN is not equal to itself.
        any::<f64>().prop_filter("a number", |value| !value.is_nan()).prop_map(Literal::Float),
        any::<String>().prop_map(Literal::string),
        any::<String>().prop_map(|member| Literal::Enum(member.into())),
        proptest::sample::select(known).prop_map(Literal::Id),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let field = (any::<String>().prop_map(Arc::from), inner.clone());
        prop_oneof![vec(inner, 0..4).prop_map(Literal::List), vec(field, 0..4).prop_map(Literal::Object)]
    })
}

/// A call on top of any of `known`.
fn calls(known: Vec<CallId>) -> impl Strategy<Value = CallId> {
    let one = proptest::sample::select(known.clone());
    let arg = (any::<String>(), literals(known)).prop_map(|(name, value)| Argument::new(name, value));
    let module = (one.clone(), any::<String>(), any::<String>(), any::<String>()).prop_map(
        |(call, name, reference, pin)| Module {
            call,
            name: name.into(),
            reference: reference.into(),
            pin: pin.into(),
        },
    );
    let parts = (
        proptest::option::of(one),
        any::<String>(),
        types(),
        vec(arg, 0..4),
        proptest::option::weighted(0.2, module),
        any::<String>(),
    );
    (parts, 0..6_u8, any::<u32>(), any::<u64>()).prop_map(|(parts, twist, index, number)| {
        let (receiver, field, result, args, module, view) = parts;
        let element = result.clone();
        let call = NewCall { receiver, field: field.into(), result, args, module, view: view.into() }.build();
        match twist {
            0 => call.element(index, element),
            1 => call.with_custom_digest(Digest::new(format!("custom:{number}"))),
            2 => call.with_content_digest(Digest::new(format!("content:{number}"))),
            _ => call,
        }
    })
}

/// A graph of up to a dozen calls, seen from the last.
fn graphs() -> impl Strategy<Value = CallId> {
    (1..12_usize).prop_flat_map(|size| {
        let root = CallId::root("container", Type::required("Container"));
        (0..size)
            .fold(Just(vec![root]).boxed(), |known, _| {
                known
                    .prop_flat_map(|known| {
                        calls(known.clone()).prop_map(move |call| {
                            let mut known = known.clone();
                            known.push(call);
                            known
                        })
                    })
                    .boxed()
            })
            .prop_map(|known| known[known.len() - 1].clone())
    })
}

/// Every property that is carried over the wire.
fn assert_same(left: &CallId, right: &CallId) {
    assert_eq!(left.chain().count(), right.chain().count());
    for (left, right) in left.chain().zip(right.chain()) {
        assert_eq!(left.digest(), right.digest());
        assert_eq!(left.content_digest(), right.content_digest());
        assert_eq!(left.is_custom_digest(), right.is_custom_digest());
        assert_eq!(left.field(), right.field());
        assert_eq!(left.result_type(), right.result_type());
        assert_eq!(left.args(), right.args());
        assert_eq!(left.index(), right.index());
        assert_eq!(left.view(), right.view());
        assert_eq!(format!("{:?}", left.module()), format!("{:?}", right.module()));
        assert_eq!(left.references(), right.references());
    }
    assert_eq!(left.to_string(), right.to_string());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_undoes_encoding(call in graphs()) {
        let id = call.encode();
        let again = decode(&id, &Limits::default()).expect("made here");
        assert_same(&call, &again);
        prop_assert_eq!(again.encode(), id);
    }

    #[test]
    fn any_text_has_an_answer(text in ".{0,200}") {
        let _ = decode(&text, &Limits::default());
    }

    #[test]
    fn any_bytes_have_an_answer(bytes in vec(any::<u8>(), 0..400)) {
        let _ = decode(&STANDARD.encode(bytes), &Limits::default());
    }

    /// Damaged IDs come much further than noise does.
    #[test]
    fn damaged_ids_have_an_answer(
        which in any::<proptest::sample::Index>(),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let ids = recorded::ids();
        let mut bytes = STANDARD.decode(&which.get(&ids).1).expect("recorded");
        for (place, byte, how) in damage {
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(place)),
                _ => {}
            }
        }
        if let Ok(call) = decode(&STANDARD.encode(&bytes), &Limits::default()) {
            // What is accepted is in order: it can be written and read again.
            prop_assert_eq!(decode(&call.encode(), &Limits::default()), Ok(call));
        }
    }
}
