use serde_json::json;

use super::*;

fn run(query: &str, variables: serde_json::Value) -> Result<Prepared, RequestError> {
    let body = json!({"query": query, "variables": variables});
    prepare(SchemaModel::core(), &Request::from_json(body.to_string().as_bytes())?)
}

/// The request as indented lines: `key: Parent.name(arg = value, …)`.
fn shown(prepared: &Prepared) -> String {
    let mut out = String::new();
    let mut waiting = vec![(0, prepared.fields(prepared.root()))];
    while let Some((depth, fields)) = waiting.last_mut() {
        let depth = *depth;
        let Some(field) = fields.next() else {
            waiting.pop();
            continue;
        };
        let arguments: Vec<String> =
            field.arguments().map(|argument| format!("{}={:?}", argument.def.name, argument.value)).collect();
        out.push_str(&format!(
            "{}{}: {}.{}({})\n",
            "  ".repeat(depth),
            field.key(),
            field.parent().name,
            field.name(),
            arguments.join(", ")
        ));
        waiting.extend(field.children().map(|set| (depth + 1, prepared.fields(set))));
    }
    out
}

#[track_caller]
fn check(query: &str, variables: serde_json::Value, expected: &[&str]) {
    let prepared = run(query, variables).expect(query);
    assert_eq!(shown(&prepared).lines().collect::<Vec<_>>(), expected, "{query}");
}

#[test]
fn lays_out_fields_with_arguments_in_schema_order() {
    check(
        "{c: container{withExec(expect: ANY, args: [\"a\"]){stdout exitCode}} version}",
        json!(null),
        &[
            "c: Query.container()",
            "  withExec: Container.withExec(args=List([String(\"a\")]), expect=Enum(\"ANY\"))",
            "    stdout: Container.stdout()",
            "    exitCode: Container.exitCode()",
            "version: Query.version()",
        ],
    );
}

#[test]
fn fragments_conditions_and_typename_work() {
    check(
        "query($no: Boolean = false, $yes: Boolean!) {
           directory { ...F ... on Directory @include(if: $no) {entries} ... @skip(if: $no) {name} __typename }
           a: version @skip(if: true) b: version @include(if: $yes) c: version @skip(if: $no) @include(if: $no)
         } fragment F on Directory {digest ...G} fragment G on Directory {f: file(path: \"x\"){size}}",
        json!({"yes": "true"}),
        &[
            "directory: Query.directory()",
            "  digest: Directory.digest()",
            "  f: Directory.file(path=String(\"x\"))",
            "    size: File.size()",
            "  name: Directory.name()",
            "  __typename: Directory.__typename()",
            "b: Query.version()",
        ],
    );
}

#[test]
fn the_last_selection_of_a_key_is_answered() {
    check(
        "{directory{entries} v: version directory{name}}",
        json!(null),
        &["directory: Query.directory()", "  name: Directory.name()", "v: Query.version()"],
    );
}

#[test]
fn a_set_may_be_left_empty() {
    let prepared = run("{directory{name @skip(if: true)}}", json!({})).expect("valid");
    let directory = prepared.fields(prepared.root()).next().expect("directory");
    assert_eq!(prepared.fields(directory.children().expect("has braces")).len(), 0);
}

#[test]
fn operations_are_chosen_by_name() {
    let request = |name: &str| Request {
        operation_name: name.into(),
        ..Request::new("query A{a: version} query B{b: version}")
    };
    let key = |name| {
        prepare(SchemaModel::core(), &request(name))
            .map(|prepared| prepared.fields(prepared.root()).next().expect("one").key().to_owned())
    };
    assert_eq!(key("A").expect("A"), "a");
    assert_eq!(key("B").expect("B"), "b");
    assert_eq!(key("").expect_err("a choice").to_string(), "operation  not found");
    assert_eq!(key("C").expect_err("unknown").to_string(), "operation C not found");
}

#[test]
fn bodies_are_read() {
    for (body, expected) in [
        ("{\"query\":\"{version}\"}", Some("{version}")),
        (
            "{\"query\":\"{version}\",\"variables\":null,\"operationName\":null,\"extensions\":{\"a\":[1]}}",
            Some("{version}"),
        ),
        ("{\"query\":null}", Some("")),
        ("{}", Some("")),
        ("{\"query\":1}", None),
        ("[]", None),
        ("", None),
        ("{\"query\":\"", None),
        ("{\"query\":\"\",\"variables\":[]}", None),
    ] {
        assert_eq!(
            Request::from_json(body.as_bytes()).ok().map(|request| request.query.to_string()).as_deref(),
            expected,
            "{body}"
        );
    }
    let deep = format!("{{\"variables\":{{\"a\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(Request::from_json(deep.as_bytes()), Err(RequestError::Body(_))));
}

#[test]
fn ids_are_shown_before_anything_runs() {
    let query = "{container{withDirectory(path: \"/\", source: \"AAA\"){asTarball(platformVariants: [\"BBB\"]){id}}}}";
    let prepared = run(query, json!({})).expect("valid");
    let mut shown = Vec::new();
    prepared
        .check_ids(|type_name, text| {
            shown.push(format!("{type_name} {text}"));
            Ok(())
        })
        .expect("all accepted");
    assert_eq!(shown, ["Directory AAA", "Container BBB"]);
    let refused = prepared
        .check_ids(|_, text| if &**text == "BBB" { Err("no ID".into()) } else { Ok(()) })
        .expect_err("refused");
    assert_eq!(
        refused.to_string(),
        format!(
            "query:\n{query}\n\nerror: parse selections: parse field \"asTarball\": init arg \"platformVariants\" value as [ContainerID!]: no ID"
        )
    );
}

/// Chains as long as no recursive walk would survive on this stack.
#[test]
fn long_chains_take_constant_stack() {
    let chain = |links: usize| {
        format!("{{container{}{{user}}{}}}", "{withUser(name:\"a\")".repeat(links), "}".repeat(links))
    };
    for links in [10_000, 50_000, 99_000] {
        let query = chain(links);
        let run = move || {
            let prepared = prepare(SchemaModel::core(), &Request::new(query)).expect("valid");
            let (mut set, mut walked) = (Some(prepared.root()), 0);
            while let Some(field) = set.and_then(|set| prepared.fields(set).next()) {
                walked += 1;
                set = field.children();
            }
            walked
        };
        let walked = std::thread::Builder::new()
            .stack_size(256 << 10)
            .spawn(run)
            .expect("spawns")
            .join()
            .expect("no overflow");
        assert_eq!(walked, links + 2);
    }
}
