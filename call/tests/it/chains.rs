//! Chains of any length: the stack does not depend on it, the time is linear.

use std::thread;

use treenail_call::{Argument, CallId, Digest, Limits, Literal, Module, NewCall, PathSegment, Type, decode};

use super::vectors::{container, directory, text};

/// Runs on a stack that one frame per call would overflow.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(test)
        .expect("a thread starts")
        .join()
        .expect("the test passes");
}

fn chain(length: usize) -> CallId {
    (1..length).fold(container(), |call, number| {
        let args = vec![text("name", "N"), text("value", &number.to_string())];
        call.select("withEnvVariable", Type::required("Container"), args)
    })
}

#[test]
fn ten_thousand_calls_are_encoded_decoded_shown_and_dropped() {
    on_a_small_stack(|| {
        let call = chain(10_000);
        let id = call.encode();
        let again = decode(&id, &Limits::default()).expect("made here");
        assert_eq!(again, call);
        assert_eq!(again.encode(), id);
        assert_eq!(again.chain().count(), 10_000);
        assert_eq!(again.path().len(), 10_000);
        assert!(again.to_string().starts_with("container.withEnvVariable(name: \"N\", value: \"1\")."));
        drop(call);
        assert_eq!(again.chain().last(), Some(&container()));
    });
}

/// The cost of a call does not grow with what is before it: shared receivers are not hashed again.
#[test]
fn a_diamond_of_arguments_is_written_once_each() {
    on_a_small_stack(|| {
        let mut call = directory();
        for _ in 0..200 {
            let both = Literal::List(vec![Literal::from(&call), Literal::from(&call)]);
            let args = vec![Argument::new("both", both)];
            call = call.select("join", Type::required("Directory"), args);
        }
        let again = decode(&call.encode(), &Limits::default()).expect("made here");
        assert_eq!(again, call);
    });
}

#[test]
fn a_hundred_thousand_receivers_drop() {
    on_a_small_stack(|| drop(chain(100_000)));
}

#[test]
fn a_hundred_thousand_nested_arguments_drop() {
    on_a_small_stack(|| {
        let deep = (0..100_000).fold(directory(), |inner, _| {
            let inside = Literal::Object(vec![("at".into(), Literal::List(vec![Literal::Id(inner)]))]);
            directory().select(
                "withDirectory",
                Type::required("Directory"),
                vec![Argument::new("source", inside)],
            )
        });
        // Copies share the arguments; the last to go drops them.
        let copy = deep.with_custom_digest(Digest::new("xxh3:00"));
        drop(deep);
        drop(copy);
    });
}

#[test]
fn a_hundred_thousand_modules_drop() {
    on_a_small_stack(|| {
        (0..100_000).fold(directory(), |made, _| {
            let module = Module { call: made, name: "m".into(), reference: "./m".into(), pin: "".into() };
            NewCall { module: Some(module), ..NewCall::new("m", Type::required("M")) }.build()
        });
    });
}

#[test]
fn many_threads_let_go_of_one_chain() {
    let call = chain(20_000);
    thread::scope(|scope| {
        for _ in 0..4 {
            let call = call.clone();
            thread::Builder::new()
                .stack_size(256 << 10)
                .spawn_scoped(scope, move || drop(call))
                .expect("starts");
        }
        drop(call);
    });
}

#[test]
fn the_path_has_fields_and_positions() {
    let name = container()
        .select("envVariables", Type::list(Type::required("EnvVariable")), vec![])
        .element(2, Type::required("EnvVariable"))
        .select("name", Type::required("String"), vec![]);
    let field = |name: &str| PathSegment::Field(name.into());
    assert_eq!(
        name.path(),
        [field("container"), field("envVariables"), PathSegment::Index(2), field("name")]
    );
}
