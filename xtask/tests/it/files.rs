//! No test file is left out of its binary.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace;

/// The modules that a file declares, in the plain form `mod name;`.
fn declared(source: &str) -> Vec<&str> {
    source
        .lines()
        .filter_map(|line| {
            let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            line.strip_prefix("mod ")?.trim_end().strip_suffix(';')
        })
        .collect()
}

/// The files of a folder that `parent` does not declare, and so on down.
fn left_out(folder: &Path, parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let source = fs::read_to_string(parent).unwrap_or_default();
    let declared = declared(&source);
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let modern = folder.join(format!("{stem}.rs"));
            let owner = if modern.exists() { modern } else { path.join("mod.rs") };
            if owner.exists() {
                if !declared.contains(&stem.as_str()) {
                    found.push(path.clone());
                }
                found.extend(left_out(&path, &owner));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path != parent
            && !matches!(stem.as_str(), "main" | "mod")
            && !declared.contains(&stem.as_str())
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_integration_test_file_is_part_of_its_binary() {
    let mut found = Vec::new();
    for entry in fs::read_dir(workspace()).expect("the workspace can be read") {
        let tests = entry.expect("the workspace can be read").path().join("tests");
        found.extend(left_out(&tests.join("it"), &tests.join("it/main.rs")));
    }
    assert!(found.is_empty(), "test files that no `mod` line names: {found:?}");
}

#[test]
fn a_forgotten_file_is_found_at_any_depth() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let it = folder.path().join("it");
    fs::create_dir_all(it.join("daemon")).expect("folders");
    for (name, text) in [
        ("main.rs", "mod daemon;\nmod here;\n"),
        ("here.rs", ""),
        ("forgotten.rs", ""),
        ("daemon.rs", "mod used;\n"),
        ("daemon/used.rs", ""),
        ("daemon/unused.rs", ""),
    ] {
        fs::write(it.join(name), text).expect("a file");
    }
    let mut found = left_out(&it, &it.join("main.rs"));
    found.sort();
    assert_eq!(found, [it.join("daemon/unused.rs"), it.join("forgotten.rs")]);
}
