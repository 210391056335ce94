//! The pattern language against what `github.com/moby/patternmatcher` answers (`tests/mint`).

use std::collections::BTreeMap;

use treenail_patterns::{MatchInfo, PatternMatcher};

#[derive(serde::Deserialize)]
struct Row {
    patterns: Vec<String>,
    #[serde(default)]
    bad: bool,
    #[serde(default)]
    paths: BTreeMap<String, bool>,
}

#[test]
fn answers_are_those_of_the_go_module() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("../patterns.json")).expect("a table");
    let mut asked = 0;
    let mut wrong = Vec::new();
    for row in &rows {
        let matcher = match (PatternMatcher::new(&row.patterns), row.bad) {
            (Ok(matcher), false) => matcher,
            (Err(_), true) => continue,
            (Ok(_), true) => {
                wrong.push(format!("{:?} is accepted", row.patterns));
                continue;
            }
            (Err(error), false) => {
                wrong.push(format!("{:?} is refused: {error}", row.patterns));
                continue;
            }
        };
        for (path, &expected) in &row.paths {
            asked += 1;
            if matcher.matches_or_parent(path) != expected {
                wrong.push(format!("{:?} on {path:?} is not {expected}", row.patterns));
            }
        }
    }
    assert!(asked > 5_000, "only {asked} pairs");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn walking_down_agrees_with_asking_at_once() {
    for list in [&["**/*.rs"][..], &["a", "!a/b"], &["*", "!*/c/**"], &["a/b/**", "!**/x"]] {
        let matcher = PatternMatcher::new(list).expect("patterns");
        for path in ["a", "a/b", "a/b/x", "a/c/d.rs", "q/c/e", "x.rs"] {
            let mut info = MatchInfo::default();
            let mut matched = false;
            let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
            for end in ends {
                (matched, info) = matcher.matches_below(&path[..end], &info);
            }
            assert_eq!(matched, matcher.matches_or_parent(path), "{list:?} on {path:?}");
        }
    }
}
