//! What all four SDKs are asked alike, by one program in each language.

use std::ffi::OsString;

use serde_json::{Value, json};
use treenail_test_fixtures::kit::sdks::Sdks;

use super::{Door, Ground, script};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Go,
    TypeScript,
    Rust,
}

pub(super) const LANGUAGES: [Language; 4] =
    [Language::Python, Language::Go, Language::TypeScript, Language::Rust];

impl Language {
    /// The words that start a program: `ci` of `examples/`, or `probe` of the tests.
    pub(super) fn program(self, ground: &Ground, sdks: &Sdks, name: &str) -> Vec<OsString> {
        match self {
            Self::Python => {
                let file = match name {
                    "ci" => format!("{}/../examples/python/ci.py", env!("CARGO_MANIFEST_DIR")).into(),
                    _ => script(&format!("{name}.py")),
                };
                vec![ground.python.clone().into(), file]
            }
            Self::Go => vec![sdks.go_program(name).into()],
            Self::TypeScript => vec!["node".into(), sdks.typescript_program(name).into()],
            Self::Rust => vec![sdks.rust_program(name).into()],
        }
    }
}

/// Asks each language through both doors; `judge` gets what its program has printed.
pub(super) fn each(what: &str, argument: impl Fn(&Ground) -> String, judge: impl Fn(Language, Door, &Value)) {
    let Some(ground) = Ground::lay() else { return };
    let Some(sdks) = treenail_test_fixtures::shared::sdks() else { return };
    for language in LANGUAGES {
        for door in [Door::Run, Door::Binary] {
            let mut command = ground.command(door, &language.program(&ground, &sdks, "probe"));
            command.args([what, &argument(&ground)]);
            judge(language, door, &ground.finish(&mut command).json());
        }
    }
}

#[test]
fn values_of_all_kinds_arrive() {
    let nonce = |ground: &Ground| ground.nonce();
    let ids = std::cell::RefCell::new(Vec::new());
    each("values", nonce, |language, door, seen| {
        let (id, nonce) = (&seen["id"], &seen["NONCE"]);
        assert!(nonce.as_str().is_some_and(|nonce| !nonce.is_empty()), "{language:?}: {seen}");
        assert_eq!(
            seen,
            &json!({
                "NONCE": nonce,
                "GREETING": "hello",
                "scrubbed": "got ***\n400\n",
                "kept": "kept\n",
                "entries": ["a/"],
                "id": id,
                "again": "one\n",
                "synced": "/work",
            }),
            "{language:?}, {door:?}"
        );
        ids.borrow_mut().push(id.clone());
    });
    let mut ids = ids.into_inner();
    ids.dedup();
    assert!(ids.len() <= 1, "equal chains have equal IDs in all languages: {ids:?}");
}

/// In Python it is `failing.py`, beside more of the kind.
#[test]
fn a_failed_command_is_an_error_of_each_sdk() {
    let Some(ground) = Ground::lay() else { return };
    let Some(sdks) = treenail_test_fixtures::shared::sdks() else { return };
    let command = json!(["sh", "-c", "echo out; echo err >&2; exit 42"]);
    for language in [Language::Go, Language::TypeScript, Language::Rust] {
        for door in [Door::Run, Door::Binary] {
            let mut program = ground.command(door, &language.program(&ground, &sdks, "probe"));
            program.args(["failing", &format!("{}-{language:?}-{door:?}", ground.nonce())]);
            let seen = ground.finish(&mut program).json();
            let place = format!("{language:?}, {door:?}: {seen}");
            if language == Language::Rust {
                // It knows no such errors: the text is what the service has answered.
                for text in [&seen["text"], &seen["sibling"]] {
                    let text = text.as_str().expect("a text");
                    for part in [
                        &format!("\"cmd\":{command}"),
                        "\"exitCode\":42",
                        "\"stdout\":\"out\"",
                        "\"stderr\":\"err\"",
                        "exit code: 42",
                    ] {
                        assert!(text.contains(part), "without {part}: {place}");
                    }
                }
            } else {
                assert_eq!(seen["command"], command, "{place}");
                assert_eq!(seen["exit_code"], 42, "{place}");
                assert_eq!(seen["stdout"], "out", "{place}");
                assert_eq!(seen["stderr"], "err", "{place}");
                assert!(
                    seen["message"].as_str().is_some_and(|text| text.contains("exit code: 42")),
                    "{place}"
                );
                assert_eq!(seen["sibling"], 42, "{place}");
            }
            assert_eq!(seen["other"], "fine\n", "{place}");
            assert_eq!(seen["allowed"], 3, "{place}");
            let image = seen["image"].as_str().expect("an error that is none of a command");
            assert!(image.contains("no.such.image.invalid/x:1"), "{place}");
        }
    }
}
