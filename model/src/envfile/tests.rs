use super::*;

/// The client has `HOME` and an empty `EMPTY`.
fn client(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/me".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn file(entries: &[(&str, &str)]) -> Result<EnvFile, EnvFileError> {
    entries.iter().try_fold(EnvFile::new(), |file, (name, value)| file.with_variable(name, value, &client))
}

fn parsed(text: &str) -> EnvFile {
    EnvFile::parse(text, &client).expect(text)
}

fn pairs(file: &EnvFile) -> Vec<(String, String)> {
    let variables = file.variables(&client).expect("all have a value");
    variables.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

/// One value, alone.
#[track_caller]
fn check(value: &str, expected: &str) {
    let file = file(&[("A", "dog"), ("NONE", ""), ("M", value)]).expect(value);
    assert_eq!(file.get("M", &client).expect(value), expected, "{value}");
}

#[track_caller]
fn refused(value: &str, expected: &str) {
    let file = file(&[("A", "dog"), ("NONE", ""), ("M", value)]);
    let problem = file.and_then(|file| file.get("M", &client)).expect_err(value);
    assert_eq!(problem.to_string(), expected);
}

#[test]
fn plain_values_are_taken_as_they_are() {
    for value in ["a b # c", " a", "", "a;b|c&(d)", "5$", "$1", "$$", "a=b", "[1, 2]", "~/x", "a\nb", "100%"]
    {
        check(value, value);
    }
}

#[test]
fn other_values_are_read_as_the_shell_reads_them() {
    for (value, expected) in [
        ("nice ${A}", "nice dog"),
        ("nice $A", "nice dog"),
        ("\"nice '$A'\"", "nice 'dog'"),
        ("'nice $A'", "nice $A"),
        ("[\"a\",1]", "[a,1]"),
        ("'[\"a\",1]'", "[\"a\",1]"),
        ("a   'b  c'   d", "a b  c d"),
        ("'x y' # z", "x y"),
        ("'x'#z", "x#z"),
        ("\"\"", ""),
        (" 'a'", "a"),
        ("$A;", "dog"),
        ("$A\n", "dog"),
        (r"a\ b", "a b"),
        (r"a\$A", "a$A"),
        (r#""a\$A\x\"""#, r#"a$A\x""#),
        ("'a'\\\n b", "a b"),
        ("\"a\nb\"", "a\nb"),
        ("a\\", "a\\"),
        ("\"5$\"", "5$"),
        ("${HOME}/x", "/home/me/x"),
        ("${NOPE:-dd}", "dd"),
        ("${NOPE-d d}", "d d"),
        ("${NOPE:=d}", "d"),
        ("${NOPE:-$A}", "dog"),
        ("${NOPE:-${EMPTY:-x}}", "x"),
        ("\"${NOPE:-it's}\"", "it's"),
        ("${NOPE:-'a}b'}", "a}b"),
        ("${NONE:-x}", "x"),
        ("${NONE-x}", ""),
        ("x$NONE", "x"),
        ("${A:+y}", "y"),
        ("'q'${NOPE:+y}", "q"),
        ("${A:?gone}", "dog"),
        ("${#A}", "3"),
        ("${A:-$(id)}", "dog"),
    ] {
        check(value, expected);
    }
}

#[test]
fn what_is_no_assignment_is_refused() {
    for (value, expected) in [
        ("$NOPE", "M: NOPE: unbound variable"),
        ("$EMPTY", "M: EMPTY: unbound variable"),
        ("\"$1\"", "M: 1: unbound variable"),
        ("$(id)", "M: unexpected command substitution at 1:3"),
        ("\"a $(echo ')')\"", "M: unexpected command substitution at 1:6"),
        ("`id`", "M: unexpected command substitution at 1:3"),
        ("'\n'$(id)", "M: unexpected command substitution at 2:2"),
        ("${NOPE:-$(id)}", "M: unexpected command substitution at 1:11"),
        ("${NOPE:?is gone}", "M: NOPE: is gone"),
        ("${NOPE?}", "M: NOPE: parameter null or not set"),
        ("$A B=2", "can't assign multiple variables: \"M=$A B=2\""),
        ("$A; x", "parse error: \"M=$A; x\": not a bare assignment"),
        ("$A | x", "parse error: \"M=$A | x\": not a bare assignment"),
        ("($A)", "parse error: \"M=($A)\": not a bare assignment"),
        ("$A > f", "parse error: \"M=$A > f\": not a bare assignment"),
        ("'x", "parse error: \"M='x\": reached EOF without closing quote '"),
        ("\"x", "parse error: \"M=\\\"x\": reached EOF without closing quote \""),
        ("`x", "parse error: \"M=`x\": reached EOF without closing quote `"),
        ("$(x", "parse error: \"M=$(x\": reached EOF without matching ( with )"),
        ("${A", "parse error: \"M=${A\": reached EOF without matching ${ with }"),
        ("${A%x}", "parse error: \"M=${A%x}\": unsupported parameter expansion"),
        ("${}", "parse error: \"M=${}\": unsupported parameter expansion"),
        ("${A:}", "parse error: \"M=${A:}\": unsupported parameter expansion"),
        ("$((1+1))", "parse error: \"M=$((1+1))\": arithmetic is not supported"),
    ] {
        refused(value, expected);
    }
    let problem = EnvFile::parse("export X=1\n", &client).unwrap_err();
    assert_eq!(problem.to_string(), "parse error: \"export X=1\": not a bare assignment");
    assert!(EnvFile::parse("my-app=1\n", &client).is_err());
}

#[test]
fn only_unset_references_wait_until_they_are_read() {
    let unset = file(&[("M", "$NOPE")]).expect("not read yet");
    assert_eq!(unset.raw("M").map(|value| &**value), Some("$NOPE"));
    assert!(unset.variables(&client).is_err());
    assert!(file(&[("M", "$(id)")]).is_err());
    assert!(EnvFile::parse("A=1\nM=$(id)\n", &client).is_err());
}

#[test]
fn references_see_other_entries_in_any_order_then_the_client() {
    let later = file(&[("M", "${A}"), ("A", "later")]).unwrap();
    assert_eq!(later.get("M", &client).unwrap(), "later");
    let own = file(&[("HOME", "$HOME/sub")]).unwrap();
    assert_eq!(own.get("HOME", &client).unwrap(), "/home/me/sub");
    let cycle = file(&[("A", "$B"), ("B", "$A")]).unwrap();
    assert_eq!(cycle.get("A", &client).unwrap_err().to_string(), "A: B: unbound variable");
    assert_eq!(cycle.get("B", &client).unwrap_err().to_string(), "B: A: unbound variable");
    let own_cycle = file(&[("A", "$A")]).unwrap();
    assert_eq!(own_cycle.get("A", &client).unwrap_err().to_string(), "A: A: unbound variable");
}

#[test]
fn entries_keep_their_places_and_their_text() {
    let file = parsed("# c\nB=1\n\nA='x y'\nB=2\n");
    assert_eq!(file.to_text(), "# c=\nB=2\nA='x y'\n");
    assert_eq!(pairs(&file), [("A".to_owned(), "x y".to_owned()), ("B".to_owned(), "2".to_owned())]);
    let raw: Vec<String> =
        file.raw_variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(raw, ["A='x y'", "B=2"]);
    assert!(file.exists("# c") && file.exists("A") && !file.exists("C"));
    assert_eq!(file.get("# c", &client).unwrap(), "");
    assert_eq!(file.get("C", &client).unwrap(), "");
    assert_eq!(parsed("B=1\nA='x y' # z\nC\n").to_text(), "B=1\nA='x y' # z\nC=\n");
    assert_eq!(parsed("A=1\nB=2\nA=3\n").without_variable("A").to_text(), "B=2\n");
    let replaced = file.with_variable("B", "3", &client).unwrap();
    assert_eq!(replaced.to_text(), "# c=\nB=3\nA='x y'\n");
    assert_eq!(EnvFile::new().to_text(), "");
    let text = "A=1\nB='x' # y\nC=a=b\n";
    assert_eq!(parsed(text).to_text(), text);
}

#[test]
fn namespaces_take_a_prefix_in_any_case() {
    let file = parsed("my_app_T=1\nmyApp_N=2\nMY_aPp_URL=3\nfoo=4\nmyapp=5\nmy_app_=6\n");
    let expected = [("N", "2"), ("T", "1"), ("URL", "3")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    for prefix in ["my-app", "my_app_", "myApp", "MyApp", "my app"] {
        assert_eq!(pairs(&file.namespace(prefix, &client).unwrap()), expected, "{prefix}");
    }
    assert!(pairs(&file.namespace("other", &client).unwrap()).is_empty());
    // A value is evaluated once: what it gives means itself from then on.
    let quoted = parsed("p_A=\"it's \\$HOME\"\n").namespace("p", &client).unwrap();
    assert_eq!(quoted.get("A", &client).unwrap(), "it's $HOME");
}

#[test]
fn hostile_texts_end_at_the_limits() {
    let limit = |result: Result<String, EnvFileError>| {
        assert!(matches!(result, Err(EnvFileError::Limit { .. })), "{result:?}");
    };
    // References that double: each entry names the next one twice.
    let doubling: String =
        (0..40).map(|n| format!("A{n}=$A{}$A{}\n", n + 1, n + 1)).collect::<String>() + "A40=x\n";
    limit(EnvFile::parse(&doubling, &client).and_then(|file| file.get("A0", &client)));
    // The same with few references to a long text.
    let long = format!("L={}\nA={}\n", "x".repeat(1 << 20), "$L".repeat(17));
    limit(EnvFile::parse(&long, &client).map(|file| file.to_text()));
    // A long chain of references.
    let chain: String = (0..1000).map(|n| format!("A{n}=$A{}\n", n + 1)).collect::<String>() + "A1000=x\n";
    limit(EnvFile::parse(&chain, &client).map(|file| file.to_text()));
    // A ring of a thousand.
    let ring: String = (0..1000).map(|n| format!("A{n}=$A{}\n", (n + 1) % 1000)).collect();
    limit(EnvFile::parse(&ring, &client).map(|file| file.to_text()));
    limit(EnvFile::parse(&"x".repeat(ENVFILE_TEXT_LIMIT + 1), &client).map(|file| file.to_text()));
    limit(
        EnvFile::new()
            .with_variable("A", &"x".repeat(ENVFILE_TEXT_LIMIT + 1), &client)
            .map(|file| file.to_text()),
    );

    for deep in
        ["${A:-".repeat(100_000), "\"${A:-".repeat(100_000), "$(".repeat(100_000), "'".repeat(100_001)]
    {
        assert!(matches!(file(&[("M", &deep)]), Err(EnvFileError::Syntax { .. })));
    }
    let nested = format!("{}x{}", "${N:-".repeat(ENVFILE_DEPTH_LIMIT), "}".repeat(ENVFILE_DEPTH_LIMIT));
    assert_eq!(file(&[("M", &nested)]).unwrap().get("M", &client).unwrap(), "x");
}

#[test]
fn a_long_chain_of_additions_is_cheap() {
    let mut file = EnvFile::new();
    for n in 0..10_000 {
        file = file.with_variable(&format!("A{n}"), "'x'", &client).expect("a plain value");
    }
    assert_eq!(pairs(&file).len(), 10_000);
}
