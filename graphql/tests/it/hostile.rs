//! Whatever a client sends ends in an answer.

use proptest::prelude::*;
use treenail_graphql::prepare::{Request, prepare};
use treenail_graphql::sdl::SchemaModel;

const SEEDS: [&str; 6] = [
    "query Q($a: [String!]! = [\"x\"], $b: Boolean = false) { c: container { withExec(args: $a, expect: \"ANY\") @skip(if: $b) { stdout ...F } } } fragment F on Container { exitCode ... on Container { id } }",
    "{ host { service(ports: [{backend: 80, protocol: UDP}, {frontend: \"0x10\", backend: 1.0}]) { id } } }",
    "{ directory { withNewFile(path: \"a\\u00e9\\n\", contents: \"\"\"block\n  text\"\"\", permissions: 0) { a: entries b: entries } } }",
    "{ __schema { types { name fields(includeDeprecated: true) { name type { ofType { name } } } } } __type(name: \"X\") { kind } __typename }",
    "query A { version } query B { defaultPlatform } # note\n",
    "{ ...A } fragment A on Query { ...B } fragment B on Query { version @include(if: true) }",
];

const PIECES: [&str; 24] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "...",
    "@skip(if: true)",
    "$a",
    ":",
    "=",
    "!",
    "\"",
    "\"\"\"",
    "\\u{1F600}",
    "\\",
    "on",
    "fragment",
    "null",
    "-0",
    "1e9",
    "é",
    "\u{feff}",
    "...A",
];

/// Cuts, copies and inserts at character boundaries.
fn mutate(mut text: String, edits: &[(usize, usize, usize)]) -> String {
    for (at, what, length) in edits {
        let boundary = |mut at: usize, text: &str| {
            at %= text.len() + 1;
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(*at, &text);
        let end = boundary(start + length % 12, &text).max(start);
        match what % 3 {
            0 => text.replace_range(start..end, ""),
            1 => text.insert_str(start, PIECES[length % PIECES.len()]),
            _ => {
                let copy = text[start..end].to_owned();
                text.insert_str(start, &copy);
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_documents_never_panic(seed in 0..SEEDS.len(), edits in prop::collection::vec((0usize..500, 0usize..3, 0usize..100), 1..8)) {
        let document = mutate(SEEDS[seed].to_owned(), &edits);
        if let Err(error) = prepare(SchemaModel::core(), &Request::new(document)) {
            prop_assert!(!error.entries().is_empty());
        }
    }

    #[test]
    fn random_text_never_panics(text in "\\PC{0,80}") {
        let _refused = prepare(SchemaModel::core(), &Request::new(text)).is_err();
    }

    #[test]
    fn random_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Request::from_json(&body).is_err() || !body.is_empty());
    }

    #[test]
    fn strings_survive_both_escapings(text in any::<String>()) {
        let literal = serde_json::to_string(&text).expect("a string");
        let query = format!("{{error(message: {literal}){{id}}}}");
        let body = serde_json::json!({"query": query}).to_string();
        let prepared = prepare(SchemaModel::core(), &Request::from_json(body.as_bytes()).expect("body")).expect("valid");
        let field = prepared.fields(prepared.root()).next().expect("one field");
        prop_assert_eq!(field.argument("message"), Some(&treenail_graphql::coerce::ArgValue::String(text.into())));
    }
}

/// The seeds themselves are valid, or mutations would only show how errors are found.
#[test]
fn seeds_are_valid() {
    for (at, seed) in SEEDS.iter().enumerate() {
        let request = Request {
            operation_name: if at == 4 { "A".into() } else { String::new() },
            ..Request::new(*seed)
        };
        prepare(SchemaModel::core(), &request).expect(seed);
    }
}
