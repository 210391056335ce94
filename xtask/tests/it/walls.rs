//! Dependencies between our crates go down only, and each crate stays ignorant of what its duty excludes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::workspace;

/// What a crate of ours may name in `[dependencies]`, of ours and of others.
struct Wall {
    name: &'static str,
    /// Crates of ours, without their prefix.
    may: &'static [&'static str],
    /// Crates of others that would mean it does what is not its duty.
    never: &'static [&'static str],
}

/// Async, network and terminal: what no pure crate touches.
const EFFECTS: &[&str] = &[
    "tokio",
    "tokio-util",
    "futures",
    "async-trait",
    "tonic",
    "hyper",
    "hyper-util",
    "axum",
    "tower",
    "rand",
    "console",
];

/// The daemon's wire.
const WIRE: &[&str] = &["tonic", "prost", "prost-types"];

const WALLS: &[Wall] = &[
    Wall { name: "protos", may: &[], never: &["tokio", "axum"] },
    Wall { name: "patterns", may: &[], never: EFFECTS },
    Wall { name: "llb", may: &["protos"], never: EFFECTS },
    Wall { name: "call", may: &["protos"], never: EFFECTS },
    // The contract of `init` is constants and types: the helper's command line and files.
    Wall { name: "model", may: &["llb", "call", "init", "patterns"], never: EFFECTS },
    Wall { name: "bridge", may: &["protos"], never: &["axum", "console", "async-graphql"] },
    Wall { name: "session", may: &["protos", "patterns"], never: &["axum", "console", "async-graphql"] },
    Wall {
        name: "engine",
        // The bridge's questions and answers are wire messages, which only `protos` names.
        may: &["model", "call", "llb", "bridge", "init", "patterns", "protos"],
        never: &["tonic", "axum", "hyper", "console", "async-graphql"],
    },
    // Patterns are checked as arguments are.
    Wall {
        name: "graphql",
        may: &["engine", "model", "call", "patterns"],
        never: &["tonic", "prost", "prost-types", "console"],
    },
    // It reads its own file from the client and says where its lines are, so it makes graphs itself.
    Wall {
        name: "frontend",
        may: &["graphql", "engine", "model", "call", "llb", "bridge", "patterns", "protos"],
        never: &["tonic", "hyper", "axum", "console", "async-graphql"],
    },
    Wall {
        name: "cli",
        may: &[
            "graphql", "engine", "model", "call", "llb", "bridge", "session", "init", "frontend", "patterns",
        ],
        never: WIRE,
    },
    Wall { name: "init", may: &[], never: EFFECTS },
    Wall { name: "test-fixtures", may: &[], never: &["tonic"] },
];

/// A crate's normal dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"].as_array().expect("dependencies").iter();
            let names = normal
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().expect("a name").to_owned());
            (package["name"].as_str().expect("a name").to_owned(), names.collect())
        })
        .collect()
}

/// Every forbidden arrow, as a line a person can act on.
fn violations(dependencies: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut found = Vec::new();
    for (package, names) in dependencies {
        if package == "xtask" {
            continue;
        }
        let short = package.strip_prefix("treenail-").unwrap_or(package);
        let Some(wall) = WALLS.iter().find(|wall| wall.name == short) else {
            found.push(format!("`{package}` has no line in the table of walls"));
            continue;
        };
        for name in names {
            let ours = name.strip_prefix("treenail-");
            if ours.is_some_and(|ours| !wall.may.contains(&ours)) || wall.never.contains(&name.as_str()) {
                found.push(format!("`{package}` must not depend on `{name}`"));
            }
        }
    }
    found
}

#[test]
fn every_arrow_goes_down() {
    let found = violations(&dependencies());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_table_itself_has_no_way_up() {
    for (index, wall) in WALLS.iter().enumerate() {
        for below in wall.may {
            let target = WALLS.iter().position(|other| other.name == *below);
            let target = target.unwrap_or_else(|| panic!("`{below}` has no line in the table of walls"));
            // `init` is another target and stands apart from the floors; all may read its contract.
            assert!(target < index || *below == "init", "`{}` would depend on `{below}` above it", wall.name);
        }
    }
}

#[test]
fn a_forbidden_arrow_is_found() {
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let arrows = BTreeMap::from([
        ("treenail-model".to_owned(), set(&["treenail-llb", "tokio"])),
        ("treenail-engine".to_owned(), set(&["treenail-session"])),
        ("treenail-unknown".to_owned(), set(&[])),
    ]);
    assert_eq!(
        violations(&arrows),
        [
            "`treenail-engine` must not depend on `treenail-session`",
            "`treenail-model` must not depend on `tokio`",
            "`treenail-unknown` has no line in the table of walls",
        ]
    );
}
