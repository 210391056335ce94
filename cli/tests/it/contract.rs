//! The recorded answers of 0.19.11, asked of a real session on a stock daemon.

mod daemon {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use serde_json::{Map, Value, json};
    use treenail_test_fixtures::{Case, Expected, cases};

    use crate::service::{Answer, Service};

    /// How many cases are asked at a time.
    const WIDTH: usize = 6;

    /// Cases that are answered otherwise on purpose, and why.
    const DIFFERENT: &[(&str, &str)] = &[
        ("w-skip", "@skip works as the GraphQL specification says"),
        ("w-inline", "inline fragments work as the GraphQL specification says"),
        ("w-typename", "__typename works as the GraphQL specification says"),
    ];

    /// Cases on fields that this release answers with `UNSUPPORTED`. A case that is answered all the same fails
    /// the test: then it belongs to the others.
    const UNSUPPORTED_FAMILIES: &[&str] = &["svc-", "cs-"];

    /// Single cases of other families on such fields.
    const UNSUPPORTED: &[&str] = &["dir-digest", "dir-empty", "file-digest"];

    /// Single cases of unsupported families on fields that are built.
    const ANSWERED: &[&str] = &["svc-ports-without"];

    /// An ID of ours is another text where the recorded one holds a digest of content or of exec options, or
    /// effect ids.
    fn holds_an_id(case: &Case) -> bool {
        case.name.starts_with("id-")
    }

    fn is_unsupported(case: &Case) -> bool {
        let name = case.name.as_str();
        UNSUPPORTED.contains(&name)
            || UNSUPPORTED_FAMILIES.iter().any(|family| name.starts_with(family)) && !ANSWERED.contains(&name)
    }

    #[test]
    fn recorded_cases_are_answered_as_0_19_11_answered_them() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let workdir = tempfile::tempdir().expect("a working directory");
        let service = Service::start(daemon, workdir.path());
        let different: BTreeSet<&str> = DIFFERENT.iter().map(|(name, _)| *name).collect();
        let asked: Vec<Case> = cases()
            .into_iter()
            .filter(|case| !different.contains(case.name.as_str()) && !holds_an_id(case))
            .collect();
        let count = asked.len();
        let queue = Mutex::new(asked.into_iter());
        let problems = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..WIDTH {
                scope.spawn(|| {
                    while let Some(case) = { queue.lock().expect("no panic holds this").next() } {
                        if let Err(problem) = check(&service, &case) {
                            problems
                                .lock()
                                .expect("no panic holds this")
                                .push(format!("{}: {problem}", case.name));
                        }
                    }
                });
            }
        });
        let mut problems = problems.into_inner().expect("no panic holds this");
        problems.sort();
        assert!(problems.is_empty(), "{} of {count} cases:\n{}", problems.len(), problems.join("\n"));
    }

    fn check(service: &Service, case: &Case) -> Result<(), String> {
        let mut variables = Map::new();
        for binding in &case.lets {
            let answer = ask(service, &binding.query, &variables);
            if is_unsupported(case) && says_unsupported(&answer) {
                return Ok(());
            }
            let json = answer.json();
            let id =
                leaf(&json["data"]).ok_or_else(|| format!("{}: {}", binding.name, short(&answer.body)))?;
            variables.insert(binding.name.clone(), id);
        }
        let answer = ask(service, &case.query, &variables);
        if is_unsupported(case) {
            return if says_unsupported(&answer) {
                Ok(())
            } else {
                compare(case, &answer).and(Err("is answered, so it is no longer unsupported".to_owned()))
            };
        }
        compare(case, &answer)
    }

    fn ask(service: &Service, query: &str, variables: &Map<String, Value>) -> Answer {
        // Only what the document declares: an unused variable is no error, an undeclared one is.
        let used: Map<String, Value> = variables
            .iter()
            .filter(|(name, _)| query.contains(&format!("${name}")))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        service.post(&json!({ "query": query, "variables": used }))
    }

    fn says_unsupported(answer: &Answer) -> bool {
        answer.status == 200 && answer.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED"
    }

    fn compare(case: &Case, answer: &Answer) -> Result<(), String> {
        if answer.status != case.status {
            return Err(format!(
                "status {} instead of {}: {}",
                answer.status,
                case.status,
                short(&answer.body)
            ));
        }
        let json = answer.json();
        match &case.expected {
            Expected::Data(data) if json["data"] == *data && json.get("errors").is_none() => Ok(()),
            Expected::Data(data) => {
                Err(format!("\n  expected {}\n  answered {}", short(&data.to_string()), short(&answer.body)))
            }
            Expected::Error(expected) => {
                let errors = json["errors"].as_array().cloned().unwrap_or_default();
                let first = errors.first().ok_or_else(|| format!("no error: {}", short(&answer.body)))?;
                let message = first["message"].as_str().unwrap_or_default();
                if !message.contains(&expected.message_contains) {
                    return Err(format!(
                        "\n  expected message {:?}\n  answered {}",
                        expected.message_contains,
                        short(&answer.body)
                    ));
                }
                if let Some(extensions) = &expected.extensions
                    && first["extensions"] != Value::Object(extensions.clone())
                {
                    return Err(format!(
                        "\n  expected extensions {}\n  answered {}",
                        short(&Value::Object(extensions.clone()).to_string()),
                        short(&answer.body)
                    ));
                }
                if let Some(path) = &expected.path
                    && first["path"] != Value::Array(path.clone())
                {
                    return Err(format!("\n  expected path {path:?}\n  answered {}", short(&answer.body)));
                }
                if errors.len() != expected.count {
                    return Err(format!("{} errors instead of {}", errors.len(), expected.count));
                }
                Ok(())
            }
        }
    }

    /// The single leaf of an answer.
    fn leaf(mut value: &Value) -> Option<Value> {
        while let Value::Object(members) = value {
            value = members.values().next()?;
        }
        (!value.is_null()).then(|| value.clone())
    }

    fn short(text: &str) -> String {
        text.chars().take(420).collect()
    }
}
