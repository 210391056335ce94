//! The programs of `examples/`: one pipeline in four languages.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use treenail_test_fixtures::kit::sdks::Sdks;

use super::languages::{LANGUAGES, Language};
use super::{Door, Ground, Ran};
use crate::registry::manifest;

/// One at a time: the binary is the same in all of them, so that a daemon makes one step of two sessions' steps that use
/// it, and would tell each what the other has run.
static TURN: Mutex<()> = Mutex::new(());

/// What a pipeline gets and gives.
struct Place {
    _turn: MutexGuard<'static, ()>,
    source: PathBuf,
    output: PathBuf,
    image: String,
    builder: String,
}

impl Place {
    /// A copy of the source that no run before has seen.
    fn new(ground: &Ground, sdks: &Sdks, repository: &str) -> Self {
        // A test that has failed leaves nothing half done that would harm the next.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let source = ground.path("source");
        copy(&sdks.source(), &source);
        fs::write(source.join("nonce"), ground.nonce()).expect("a file");
        let registry = ground.daemon.registry().expect("the daemon has a mirror of ours");
        Self {
            _turn: turn,
            source,
            output: ground.path("out/tomlv"),
            image: format!("{registry}/{repository}:1"),
            builder: ground.daemon.image("golang"),
        }
    }

    fn run(&self, ground: &Ground, door: Door, program: &[OsString]) -> Ran {
        let mut command = ground.command(door, program);
        command.arg(&self.source).arg(&self.output).arg(&self.image).env("GO_IMAGE", &self.builder);
        // What an earlier run has exported proves nothing.
        drop(fs::remove_file(&self.output));
        ground.finish(&mut command)
    }

    /// Looks at what a run said, and at what it left.
    #[track_caller]
    fn check(&self, ran: &Ran, repository: &str) {
        let text = ran.text();
        let lines: Vec<&str> = text.lines().collect();
        let [tests, exported, published, ran] = lines[..] else { panic!("four lines: {text}") };
        assert!(tests.starts_with("ok") && tests.contains("github.com/BurntSushi/toml"), "{tests}");
        assert_eq!(exported, format!("exported {}", self.output.display()));
        let reference = published.strip_prefix("published ").expect(published);
        let (name, digest) = reference.split_once('@').expect("a digest");
        assert_eq!(name, self.image);
        assert_eq!(ran, "pulled and run: { \"answer\": 42 }");

        let registry = self.image.split('/').next().expect("a registry");
        let by_digest = manifest(registry, repository, digest);
        assert_eq!(by_digest, manifest(registry, repository, "1"), "the tag is what the digest says");
        assert_eq!(by_digest["layers"].as_array().map(Vec::len), Some(1), "{by_digest}");

        // The same binary, here: it runs, and says the same.
        let input = self.output.with_file_name("answer.toml");
        fs::write(&input, "answer = 42\n").expect("a file");
        let output = Command::new(&self.output).arg("-json").arg(&input).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("JSON"), json!({"answer": 42}));
        let wrong = Command::new(&self.output).arg("/dev/null/x").output().expect("it starts");
        assert!(!wrong.status.success(), "what cannot be read is an error: {wrong:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

/// Commands that did run, by the word behind the name of the program.
fn ran(ran: &Ran) -> Vec<String> {
    let steps = ran.summary["steps"].as_array().expect("steps");
    let mut names: Vec<String> = steps
        .iter()
        .filter(|step| step["cached"] == false)
        .filter_map(|step| step["name"].as_str()?.strip_prefix("withExec go ")?.split(' ').next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn drive(language: Language, first: Door, second: Door) {
    let Some(ground) = Ground::lay() else { return };
    let Some(sdks) = treenail_test_fixtures::shared::sdks() else { return };
    let program = language.program(&ground, &sdks, "ci");
    let repository = format!("examples/{language:?}").to_lowercase();
    let place = Place::new(&ground, &sdks, &repository);

    let once = place.run(&ground, first, &program);
    place.check(&once, &repository);
    assert_eq!(ran(&once), ["build", "test", "vet"], "{}", once.summary);

    let again = place.run(&ground, second, &program);
    place.check(&again, &repository);
    assert_eq!(again.execs(), 0, "{}", again.summary);
}

#[test]
fn python_under_run_and_then_by_itself() {
    drive(Language::Python, Door::Run, Door::Binary);
}

#[test]
fn go_by_itself_and_then_under_run() {
    drive(Language::Go, Door::Binary, Door::Run);
}

#[test]
fn typescript_under_run_and_then_by_itself() {
    drive(Language::TypeScript, Door::Run, Door::Binary);
}

#[test]
fn rust_by_itself_and_then_under_run() {
    drive(Language::Rust, Door::Binary, Door::Run);
}

#[test]
fn what_one_language_has_built_the_others_find() {
    let Some(ground) = Ground::lay() else { return };
    let Some(sdks) = treenail_test_fixtures::shared::sdks() else { return };
    let place = Place::new(&ground, &sdks, "examples/all");
    let mut published = Vec::new();
    for (number, language) in LANGUAGES.into_iter().enumerate() {
        let once = place.run(&ground, Door::Run, &language.program(&ground, &sdks, "ci"));
        place.check(&once, "examples/all");
        if number > 0 {
            assert_eq!(once.execs(), 0, "{language:?}: {}", once.summary);
        }
        published.push(once.text());
    }
    published.dedup();
    assert_eq!(published.len(), 1, "all say the same, the digest included: {published:?}");
}
