use super::*;

fn message(source: &str) -> String {
    parse(source.into()).expect_err(source).to_string()
}

#[test]
fn reads_all_of_the_grammar() {
    let source = "query Q($a: [Int!]! = [1], $b: T @d) @e(x: 1) { a: b(c: $a, d: {e: [1.5, \"s\", X, null, true, $b]}) @f { ...F ... on T @g { h } ... { i } } }
                  fragment F on T @j { k } mutation { l } subscription S { m } { n }";
    let document = parse(source.into()).expect("valid");
    assert_eq!(document.operations.len(), 4);
    assert_eq!(document.fragments.len(), 1);
    assert_eq!(document.operations[0].variables.len(), 2);
    assert_eq!(document.type_text(&document.operations[0].variables[0].ty), "[Int!]!");
    assert_eq!(document.directives.len(), 5);
    // b, ...F, ... on T, h, ..., i, k, l, m, n
    let names: Vec<&str> =
        document.selections.iter().map(|selection| document.text(selection.name)).collect();
    assert_eq!(names, ["b", "F", "T", "h", "...", "i", "k", "l", "m", "n"]);
    let depths: Vec<u32> =
        document.selections.iter().map(|selection| document.sets[selection.owner as usize].depth).collect();
    assert_eq!(depths, [0, 1, 1, 2, 1, 2, 0, 0, 0, 0]);
}

#[test]
fn words_of_the_grammar_are_names_too() {
    for source in [
        "{query fragment on: mutation true(null: 1)}",
        "query query {a}",
        "{...onward} fragment onward on on {on}",
        "{a(on: on)}",
    ] {
        parse(source.into()).expect(source);
    }
}

#[test]
fn says_what_was_expected() {
    for (source, expected) in [
        ("{version", "Expected Name, found <EOF>"),
        ("{", "Expected Name, found <EOF>"),
        ("{}", "Expected Name, found }"),
        ("{a{}}", "Expected Name, found }"),
        ("}", "Unexpected }"),
        ("nope", "Unexpected Name \"nope\""),
        ("type T {a: Int}", "Unexpected Name \"type\""),
        ("{a(b)}", "Expected :, found )"),
        ("{a()}", "Expected Name, found )"),
        ("{a(b: )}", "Unexpected )"),
        ("query($a: Int = $b) {a}", "Unexpected $"),
        ("query() {a}", "Expected $, found )"),
        ("query($a: [Int) {a}", "Expected ], found )"),
        ("fragment on on T {a}", "Unexpected Name \"on\""),
        ("fragment F T {a}", "Expected \"on\", found Name \"T\""),
        ("{... on {a}}", "Expected Name, found {"),
        ("{...}", "Expected {, found }"),
        ("{a: }", "Expected Name, found }"),
        ("{a @}", "Expected Name, found }"),
        ("query", "Expected {, found <EOF>"),
        ("{a} {", "Expected Name, found <EOF>"),
    ] {
        assert_eq!(message(source), expected, "{source}");
    }
}

#[test]
fn says_where() {
    let Err(ParseError::Syntax { position, .. }) = parse("{\n  é: ?}".into()) else { panic!("accepted") };
    assert_eq!((position.line, position.column), (2, 3));
    let Err(ParseError::Syntax { position, .. }) = parse("{a(b: \"éé\", c: ?)}".into()) else {
        panic!("accepted")
    };
    assert_eq!((position.line, position.column), (1, 16));
}

#[test]
fn holds_its_limits() {
    let nested = |depth: usize| format!("{{a(b: {}1{})}}", "[".repeat(depth), "]".repeat(depth));
    parse(nested(limits::VALUE_DEPTH).into()).expect("at the limit");
    assert_eq!(
        message(&nested(limits::VALUE_DEPTH + 1)),
        "document has too many nested values: the limit is 64"
    );
    assert_eq!(message(&nested(1_000_000)), "document has too many nested values: the limit is 64");
    let list_type = format!("query($a: {}Int{}) {{a}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(message(&list_type), "document has too many nested list types: the limit is 64");
    assert_eq!(
        message(&"{a".repeat(limits::DEPTH as usize + 1)),
        "document has too many nested selections: the limit is 100000"
    );
    assert_eq!(
        message(&format!("{{{}", "a ".repeat(limits::SELECTIONS + 1))),
        "document has too many selections: the limit is 1000000"
    );
    assert_eq!(
        message(&"{a}".repeat(limits::DEFINITIONS + 1)),
        "document has too many operations and fragments: the limit is 10000"
    );
}

#[test]
fn nested_documents_are_dropped_and_cloned_on_a_small_stack() {
    let source = format!("{}{}", "{a".repeat(99_999), "}".repeat(99_999));
    let run = move || parse(source.into()).expect("valid").clone().selections.len();
    assert_eq!(
        std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(run)
            .expect("spawns")
            .join()
            .expect("no overflow"),
        99_999
    );
}
