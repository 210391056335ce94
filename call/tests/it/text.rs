//! How calls read in messages, and what must not be read there.

use treenail_call::{ARGUMENTS_LIMIT, Argument, CallId, Literal, NewCall, Type, WrongType};

use super::vectors::{container, text, with_new_file};

fn check(call: &CallId, expected: &str) {
    assert_eq!(call.to_string(), expected);
}

#[test]
fn chains_read_as_they_are_written() {
    let exec =
        container().select("from", Type::required("Container"), vec![text("address", "alpine")]).select(
            "withExec",
            Type::required("Container"),
            vec![
                Argument::new(
                    "args",
                    Literal::List(vec![Literal::string("sh"), Literal::string("\"\n\u{1b}[2J")]),
                ),
                Argument::new("expect", Literal::Enum("ANY".into())),
                Argument::new("port", Literal::Object(vec![("backend".into(), Literal::Int(80))])),
                Argument::new("none", Literal::Null),
                Argument::new("root", Literal::Bool(true)),
                Argument::new("share", Literal::Float(0.5)),
            ],
        );
    check(
        &exec,
        r#"container.from(address: "alpine").withExec(args: ["sh", "\"\n\u001b[2J"], expect: ANY, port: {backend: 80}, none: null, root: true, share: 0.5)"#,
    );
}

#[test]
fn elements_stand_behind_their_list() {
    let first = container()
        .select("envVariables", Type::list(Type::required("EnvVariable")), vec![])
        .element(0, Type::required("EnvVariable"));
    check(&first, "container.envVariables[0]");
    check(&first.select("name", Type::required("String"), vec![]), "container.envVariables[0].name");
    assert_eq!(first.selection().to_string(), "envVariables[0]");
}

#[test]
fn a_call_as_argument_is_its_type_and_digest() {
    let args = vec![text("path", "/m"), Argument::new("source", Literal::Id(with_new_file()))];
    let mounted = container().select("withMountedDirectory", Type::required("Container"), args);
    assert_eq!(
        mounted.selection().to_string(),
        r#"withMountedDirectory(path: "/m", source: Directory@xxh3:3a878dba772b50b5)"#
    );
}

#[test]
fn long_arguments_are_cut_between_characters() {
    for letter in ["a", "ä", "€"] {
        let args = vec![text("contents", &letter.repeat(1 << 20)), text("more", "x")];
        let shown = container().select("f", Type::required("Container"), args).selection().to_string();
        let inside = shown.strip_prefix("f(").and_then(|rest| rest.strip_suffix("…)")).expect("cut");
        assert_eq!(inside.chars().count(), ARGUMENTS_LIMIT, "{shown}");
    }
    // Exactly as much as fits is not cut: `a: "` and the closing quote take five.
    let whole = vec![text("a", &"x".repeat(ARGUMENTS_LIMIT - 5))];
    assert!(container().select("f", Type::required("Container"), whole).to_string().ends_with("x\")"));
}

#[test]
fn a_secret_is_nowhere() {
    let secret = NewCall {
        args: vec![text("name", "n"), Argument::sensitive("plaintext", Literal::string("hunter2"))],
        ..NewCall::new("setSecret", Type::required("Secret"))
    };
    assert!(!format!("{secret:?}").contains("hunter2"));
    let call = secret.build();
    check(&call, r#"setSecret(name: "n", plaintext: ***)"#);
    assert!(!format!("{call:?} {:?}", call.args()).contains("hunter2"));
    let other = NewCall {
        args: vec![text("name", "n"), Argument::sensitive("plaintext", Literal::string("other"))],
        ..NewCall::new("setSecret", Type::required("Secret"))
    };
    assert_eq!(call.encode(), other.build().encode());
    // Whoever runs the call still has it.
    assert_eq!(call.arg("plaintext"), Some(&Literal::string("hunter2")));
}

#[test]
fn an_id_of_another_type_is_named_with_both() {
    let error = |call: &CallId| call.expect_type("Container").expect_err("another type").to_string();
    assert_eq!(error(&with_new_file()), r#"expected "Container" ID, got Directory! ID"#);
    let list = container().select("list", Type::list(Type::required("Container")), vec![]);
    assert_eq!(error(&list), r#"expected "Container" ID, got [Container!]! ID"#);
    assert_eq!(container().expect_type("Container"), Ok(()));
    let untyped = WrongType { expected: "X".into(), found: None };
    assert_eq!(untyped.to_string(), r#"expected "X" ID, got untyped ID"#);
}
