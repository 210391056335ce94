//! How a session is called in the daemon's build history, which all users of the daemon can read.
//!
//! A list of records shows the end of a long name, so the end says which pipeline it was. Options of a program stay out: they
//! may hold secrets.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Letters of a name that are worth keeping.
const LENGTH: usize = 80;

/// A program run in a session: its name, and the words up to its first option.
pub(crate) fn of_program(command: &[OsString]) -> String {
    let mut words = command.iter().map(|word| word.to_string_lossy());
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let plain = words.take_while(|word| !word.starts_with('-') && !word.contains(['=', ':', '\n']));
    let name = plain.fold(format!("treenail run {program}"), |name, word| format!("{name} {word}"));
    name.chars().take(LENGTH).collect()
}

/// A document.
pub(crate) fn of_document(file: Option<&Path>) -> String {
    match file.and_then(Path::file_name) {
        Some(file) => format!("treenail query {}", file.to_string_lossy()),
        None => "treenail query".to_owned(),
    }
}

/// A session that an SDK has started in a folder: the SDK as it presents itself, and the folder.
pub(crate) fn of_sdk(labels: &[String], workdir: &Path) -> String {
    let sdk = labels.iter().find_map(|label| label.strip_prefix("dagger.io/sdk.name:"));
    let sdk = sdk.map(|sdk| format!(" {sdk}")).unwrap_or_default();
    let folder = workdir.file_name().unwrap_or(OsStr::new("/")).to_string_lossy();
    format!("treenail session{sdk} in {folder}").chars().take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_pipeline_it_is_and_no_secret() {
        let run = |line: &str| of_program(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(run("python ci.py"), "treenail run python ci.py");
        assert_eq!(run("/usr/bin/python3 ci.py --token abc"), "treenail run python3 ci.py");
        assert_eq!(run("env TOKEN=abc ./ci"), "treenail run env");
        assert_eq!(run("go run ./ci"), "treenail run go run ./ci");
        assert_eq!(run("curl https://u:p@h"), "treenail run curl");
        assert_eq!(run(&format!("x {}", "y".repeat(100))).len(), LENGTH);
        assert_eq!(of_document(Some(Path::new("a/q.graphql"))), "treenail query q.graphql");
        assert_eq!(of_document(None), "treenail query");
        let labels = ["a:b", "dagger.io/sdk.name:python"].map(str::to_owned);
        assert_eq!(of_sdk(&labels, Path::new("/src/project")), "treenail session python in project");
        assert_eq!(of_sdk(&[], Path::new("/")), "treenail session in /");
    }
}
