//! Values that are read from files of the daemon and of this machine: variables, JSON, addresses, replacements.
//!
//! # Source
//! `contract/values.md`, `contract/sources.md` 9, `contract/filesystem.md` 2.

mod daemon {
    use serde_json::{Value, json};

    use crate::notation::{Values, error, text, value};
    use crate::service::Service;

    fn with_service(test: impl FnOnce(&Service)) {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        std::fs::create_dir(workdir.path().join("d")).expect("made");
        std::fs::write(workdir.path().join("d/f"), "text of f").expect("written");
        let service = Service::start_with(daemon, workdir.path(), |command| {
            command.env("MYNAME", "me");
        });
        test(&service);
    }

    /// The answer, or the message of the error.
    fn answer(service: &Service, chain: &str, want: &Result<Value, &str>) {
        match want {
            Ok(expected) => assert_eq!(value(service, chain, &Values::default()), *expected, "{chain}"),
            Err(part) => {
                let message = error(service, chain, &Values::default())["message"].clone();
                assert!(
                    message.as_str().is_some_and(|message| message.contains(part)),
                    "{chain}\n  {message}"
                );
            }
        }
    }

    #[test]
    fn addresses_of_this_machine_and_files_as_values() {
        let rows: &[(&str, Result<Value, &str>)] = &[
            (r#"address(value: "d").directory.entries"#, Ok(json!(["f"]))),
            (r#"address(value: "./d").directory(exclude: ["f"]).entries"#, Ok(json!([]))),
            (r#"address(value: "d/f").file.contents"#, Ok(json!("text of f"))),
            (r#"address(value: "nothing").directory.entries"#, Err("no such file or directory")),
            (r#"address(value: "env://MYNAME").secret.plaintext"#, Ok(json!("me"))),
            (
                r#"D.withNewFile(path: "f", contents: "A=${MYNAME}!\n").file(path: "f").asEnvFile.get(name: "A")"#,
                Ok(json!("me!")),
            ),
            (
                r#"D.withNewFile(path: "f", contents: "{ \"a\":1 }").file(path: "f").asJSON.contents"#,
                Ok(json!("{ \"a\":1 }")),
            ),
            (
                r#"D.withNewFile(path: "f", contents: "{").file(path: "f").asJSON.contents"#,
                Err("invalid JSON"),
            ),
        ];
        with_service(|service| rows.iter().for_each(|(chain, want)| answer(service, chain, want)));
    }

    #[test]
    fn a_replacement_keeps_mode_and_owner() {
        let file = r#"D.withNewFile(path: "d/f", contents: "a b a\n", permissions: 384).file(path: "d/f").chown(owner: "7:8")"#;
        let replaced = |arguments: &str| format!("{file}.withReplaced(search: {arguments})");
        with_service(|service| {
            for (arguments, want) in [
                (r#""b", replacement: "c""#, Ok(json!("a c a\n"))),
                (r#""a", replacement: "c", all: true"#, Ok(json!("c b c\n"))),
                (
                    r#""a", replacement: "c""#,
                    Err("search string found multiple times: line 1 (0-1), line 1 (4-5)"),
                ),
                (r#""z", replacement: "c""#, Err("search string not found")),
            ] {
                answer(service, &format!("{}.contents", replaced(arguments)), &want);
            }
            // That nothing fits is an error of the file, not of the call.
            text(service, &format!("{}.id", replaced(r#""z", replacement: "c""#)), &Values::default());
            // Small contents stand in the definition, large ones travel beside it.
            for replacement in ["c".to_owned(), "c".repeat(100_000)] {
                let chain = format!("{}.id", replaced(&format!(r#""b", replacement: "{replacement}""#)));
                let id = text(service, &chain, &Values::default());
                let values = Values::default().with("file", "File", id);
                let seen = r#"C.withFile(path: "/x", source: $file).withExec(args: ["stat", "-c", "%a %u %g %s", "/x"]).stdout"#;
                let expected = format!("600 7 8 {}\n", replacement.len() + 5);
                assert_eq!(text(service, seen, &values), expected);
            }
        });
    }
}
