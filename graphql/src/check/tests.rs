use crate::error::{ErrorEntry, RequestError};
use crate::prepare::{Request, prepare};
use crate::sdl::SchemaModel;

fn refused(query: &str) -> Vec<ErrorEntry> {
    match prepare(SchemaModel::core(), &Request::new(query)) {
        Err(RequestError::Invalid(entries)) => entries,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn each_rule_says_what_is_wrong() {
    for (query, expected) in [
        ("", "no operation provided"),
        ("fragment F on Query {version}", "no operation provided"),
        ("mutation{version}", "Schema does not support operation type \"mutation\""),
        ("subscription{version}", "Schema does not support operation type \"subscription\""),
        ("{version} {version}", "This anonymous operation must be the only defined operation."),
        ("query A{version} query A{version}", "There can be only one operation named \"A\"."),
        ("{nope}", "Cannot query field \"nope\" on type \"Query\"."),
        ("{directory{nope}}", "Cannot query field \"nope\" on type \"Directory\"."),
        ("{version{x}}", "Cannot query field \"x\" on type \"String\"."),
        ("{directory{entries(foo:1)}}", "Unknown argument \"foo\" on field \"Directory.entries\"."),
        (
            "{directory{file{id}}}",
            "Field \"file\" argument \"path\" of type \"String!\" is required, but it was not provided.",
        ),
        ("{directory{file(path:\"a\",path:\"a\"){id}}}", "There can be only one argument named \"path\"."),
        ("query($p:String){version}", "Variable \"$p\" is never used."),
        ("query Q($p:String){version}", "Variable \"$p\" is never used in operation \"Q\"."),
        ("{directory{entries(path:$p)}}", "Variable \"$p\" is not defined."),
        ("query Q{directory{entries(path:$p)}}", "Variable \"$p\" is not defined by operation \"Q\"."),
        (
            "query($p:String,$p:String){directory{entries(path:$p)}}",
            "There can be only one variable named \"$p\".",
        ),
        ("query($p:Nope){directory{entries(path:$p)}}", "Unknown type \"Nope\"."),
        (
            "query($p:Directory){directory{entries(path:$p)}}",
            "Variable \"$p\" cannot be non-input type \"Directory\".",
        ),
        (
            "query($p:String!){container{withExposedPort(port:$p){id}}}",
            "Variable \"$p\" of type \"String!\" used in position expecting type \"Int!\".",
        ),
        (
            "query($p:Int){container{withExposedPort(port:$p){id}}}",
            "Variable \"$p\" of type \"Int\" used in position expecting type \"Int!\".",
        ),
        (
            "query($p:String!){container{withEntrypoint(args:[$p]){id} withDefaultArgs(args:$p){id}}}",
            "Variable \"$p\" of type \"String!\" used in position expecting type \"[String!]!\".",
        ),
        (
            "query($p:String!){host{service(ports:[{backend:$p}]){id}}}",
            "Variable \"$p\" of type \"String!\" used in position expecting type \"Int!\".",
        ),
        (
            "query($p:String!){...F} fragment F on Query{http(url:\"u\",permissions:$p){id}}",
            "Variable \"$p\" of type \"String!\" used in position expecting type \"Int\".",
        ),
        ("{version @nope}", "Unknown directive \"@nope\"."),
        ("{version @deprecated}", "Directive \"@deprecated\" may not be used on FIELD."),
        ("query @skip(if:true) {version}", "Directive \"@skip\" may not be used on QUERY."),
        (
            "{version @skip}",
            "Directive \"@skip\" argument \"if\" of type \"Boolean!\" is required, but it was not provided.",
        ),
        ("{version @skip(if:true,x:1)}", "Unknown argument \"x\" on directive \"@skip\"."),
        (
            "{version @skip(if:true) @skip(if:false)}",
            "The directive \"@skip\" can only be used once at this location.",
        ),
        ("{...F}", "Unknown fragment \"F\"."),
        ("{version} fragment F on Query{version}", "Fragment \"F\" is never used."),
        (
            "{...F} fragment F on Query{version} fragment F on Query{version}",
            "There can be only one fragment named \"F\".",
        ),
        ("{...F} fragment F on Nope{version}", "Unknown type \"Nope\"."),
        (
            "{...F} fragment F on String{version}",
            "Fragment \"F\" cannot condition on non composite type \"String\".",
        ),
        ("{... on PortForward{backend}}", "Fragment cannot condition on non composite type \"PortForward\"."),
        (
            "{...F} fragment F on File{name}",
            "Fragment \"F\" cannot be spread here as objects of type \"Query\" can never be of type \"File\".",
        ),
        (
            "{... on File{name}}",
            "Fragment cannot be spread here as objects of type \"Query\" can never be of type \"File\".",
        ),
        ("{...F} fragment F on Query{...F}", "Cannot spread fragment \"F\" within itself."),
        (
            "{...A} fragment A on Query{...B} fragment B on Query{...C} fragment C on Query{...A}",
            "Cannot spread fragment \"A\" within itself via B, C.",
        ),
        (
            "{directory{a:file(path:\"a\"){id} a:file(path:\"b\"){id}}}",
            "Fields \"a\" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.",
        ),
        (
            "{directory{a:name a:digest}}",
            "Fields \"a\" conflict because name and digest are different fields. Use different aliases on the fields to fetch both if this was intentional.",
        ),
        (
            "{directory{a:name} ...F} fragment F on Query{directory{... on Directory{a:digest}}}",
            "Fields \"a\" conflict because name and digest are different fields. Use different aliases on the fields to fetch both if this was intentional.",
        ),
    ] {
        let entries = refused(query);
        assert_eq!(entries[0].message, expected, "{query}");
        let code = crate::error::Extension::Text("GRAPHQL_VALIDATION_FAILED".into());
        assert_eq!(entries[0].extensions, [("code".to_owned(), code)], "{query}");
        assert_eq!(entries[0].locations.is_empty(), expected == "no operation provided", "{query}");
    }
}

#[test]
fn valid_documents_pass() {
    for query in [
        "{version}",
        "query Q{version} query R{version}",
        "{directory}",
        "{directory{__typename}}",
        "{directory{withNewFile(path:\"a\",contents:\"\"){id} b:withNewFile(contents:\"\",path:\"a\"){id} withNewFile(contents:\"\",path:\"a\"){name}}}",
        "query($p:Int=1){container{withExposedPort(port:$p){id}}}",
        "query($p:Int!){container{withNewFile(path:\"\",contents:\"\",permissions:$p){id}}}",
        "query($p:[String!]!){directory{filter(exclude:$p){id}}}",
        "query($p:Int!){host{service(ports:[{backend:$p}]){id}}}",
        "query($a:Boolean!){...F} fragment F on Query{version @include(if:$a)}",
        "{...A ...B} fragment A on Query{...B version} fragment B on Query{version}",
    ] {
        match prepare(SchemaModel::core(), &Request::new(query)) {
            Ok(_) => {}
            Err(RequestError::Invalid(entries))
                if matches!(&*entries[0].message, "must be defined" | "operation  not found") => {}
            Err(other) => panic!("{query}: {other}"),
        }
    }
}

#[test]
fn errors_have_places_and_a_cap() {
    let entries = refused("{\n  version\n  nope\n}");
    assert_eq!((entries[0].locations[0].line, entries[0].locations[0].column), (3, 3));
    let many = format!("{{{}}}", "nope ".repeat(10_000));
    assert_eq!(refused(&many).len(), crate::document::limits::ERRORS);
}

#[test]
fn missing_variables_are_named_in_the_path() {
    for (query, variables, message) in [
        ("query($p:String!){directory{file(path:$p){id}}}", serde_json::json!({}), "must be defined"),
        ("query($p:String!){directory{file(path:$p){id}}}", serde_json::json!({"p": null}), "cannot be null"),
    ] {
        let body = serde_json::json!({"query": query, "variables": variables}).to_string();
        let Err(RequestError::Invalid(entries)) =
            prepare(SchemaModel::core(), &Request::from_json(body.as_bytes()).expect("body"))
        else {
            panic!("accepted: {query}");
        };
        assert_eq!(entries[0].message, message);
        assert_eq!(entries[0].path, ["variable".into(), "p".into()]);
    }
}

#[test]
fn what_fragments_multiply_is_limited() {
    let mut bomb = String::from("{...F0}");
    for at in 0..40 {
        bomb.push_str(&format!(
            " fragment F{at} on Query {{a: directory{{f: name}} ...F{next} ...F{next}}}",
            next = at + 1
        ));
    }
    bomb.push_str(" fragment F40 on Query {version}");
    assert!(refused(&bomb)[0].message.contains("too many fields after expanding fragments"));

    // Nested through fragments, twice as deep as one document may nest by itself.
    let level = |name: &str, inner: &str| {
        let depth = 60_000;
        format!(
            " fragment {name} on Directory {{{}{inner}{}}}",
            "withoutFile(path:\"a\"){".repeat(depth),
            "}".repeat(depth)
        )
    };
    let deep = format!("{{directory{{...A}}}}{}{}", level("A", "...B"), level("B", "name"));
    assert!(refused(&deep)[0].message.contains("too many nested selections"));

    let operations: String =
        (0..5_000).map(|at| format!("query Q{at}($v:Boolean!){{...F @include(if:$v)}} ")).collect();
    let uses = format!("{operations} fragment F on Query{{{}}}", "a:version @include(if:$v) ".repeat(5_000));
    assert!(refused(&uses)[0].message.contains("too many uses of variables"));
}
