//! The published SDKs, unmodified, drive the program through both of its doors: a session that `run` names in the
//! environment, and one that the SDK starts itself.
//!
//! Here is the ground, and what the Python SDK alone is asked. [`languages`] asks all four the same, [`pipelines`] runs
//! the programs of `examples/`, [`starting`] has what shows at the start and end of a session, [`releases`] the earlier
//! releases. Programs of the tests are in this folder; each prints what it saw as JSON, and is judged here.

mod languages;
mod pipelines;
mod releases;
mod starting;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use treenail_test_fixtures::TestDaemon;

/// How the SDK finds the service.
#[derive(Clone, Copy, Debug)]
enum Door {
    /// `treenail run -- python …`.
    Run,
    /// `_EXPERIMENTAL_DAGGER_CLI_BIN=…/dagger python …`.
    Binary,
}

/// A daemon, a Python that has the SDK, and a folder.
struct Ground {
    daemon: &'static TestDaemon,
    python: PathBuf,
    folder: TempDir,
}

impl Ground {
    /// Nothing where the run has no daemon or no SDK; the fixtures have said so and counted it.
    fn lay() -> Option<Self> {
        let daemon = treenail_test_fixtures::daemon()?;
        let python = treenail_test_fixtures::python()?;
        Some(Self { daemon, python, folder: tempfile::tempdir().expect("a folder") })
    }

    /// A word that no run before has used, so that commands with it are new to the daemon.
    fn nonce(&self) -> String {
        let name = self.folder.path().file_name().expect("the folder has a name");
        format!("{}-{}", name.to_string_lossy().trim_start_matches('.'), std::process::id())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a Python program of this folder.
    fn run(&self, door: Door, program: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(door, &[self.python.clone().into(), script(program)]);
        self.finish(command.args(arguments))
    }

    /// A program and its first words, to be run through a door.
    fn command(&self, door: Door, program: &[OsString]) -> Command {
        let mut command = match door {
            Door::Run => {
                let mut command = Command::new(TREENAIL);
                command.args(["--progress", "plain", "run", "--"]).args(program);
                command
            }
            Door::Binary => {
                let mut command = Command::new(&program[0]);
                command.args(&program[1..]);
                command
            }
        };
        clean(&mut command, self.daemon);
        if matches!(door, Door::Binary) {
            command.env(BINARY, self.dagger());
        }
        command
    }

    /// Runs a command to its end.
    fn finish(&self, command: &mut Command) -> Ran {
        let summary = self.path("summary.json");
        // What an earlier one has left says nothing of this one.
        drop(fs::remove_file(&summary));
        let output = command.env("TREENAIL_SUMMARY", &summary).output().expect("starts");
        let summary =
            fs::read(&summary).map_or(Value::Null, |text| serde_json::from_slice(&text).expect("JSON"));
        Ran { output, summary }
    }

    /// The program under the name that SDKs and CI files know.
    fn dagger(&self) -> PathBuf {
        let path = self.path("bin/dagger");
        if !path.exists() {
            fs::create_dir_all(self.path("bin")).expect("a folder");
            symlink(TREENAIL, &path).expect("a link");
        }
        path
    }
}

const TREENAIL: &str = env!("CARGO_BIN_EXE_treenail");
/// The variable by which SDKs find the program.
const BINARY: &str = "_EXPERIMENTAL_DAGGER_CLI_BIN";

/// A Python program of this folder.
fn script(name: &str) -> OsString {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sdk").join(name).into()
}

/// Only what a test says is in the environment.
fn clean<'a>(command: &'a mut Command, daemon: &TestDaemon) -> &'a mut Command {
    command
        .env_remove("DAGGER_SESSION_PORT")
        .env_remove("DAGGER_SESSION_TOKEN")
        .env_remove(BINARY)
        .env("BUILDKIT_HOST", daemon.address())
        .env("TREENAIL_SECRET_SALT", "salt of the tests")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
}

/// How a program ended.
struct Ran {
    output: Output,
    summary: Value,
}

impl Ran {
    /// Standard output of a program that has succeeded.
    #[track_caller]
    fn text(&self) -> String {
        let text = String::from_utf8(self.output.stdout.clone()).expect("UTF-8");
        assert!(self.output.status.success(), "{}: {text}\n{}", self.output.status, self.errors());
        text
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text()).expect("the program prints JSON")
    }

    fn errors(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Commands that the daemon has really run.
    fn execs(&self) -> u64 {
        self.summary["execs_started_uncached"].as_u64().expect("a summary is written")
    }
}

/// A pipeline sees what it should, and a second run of it starts no command.
fn drive(door: Door) {
    let Some(ground) = Ground::lay() else { return };
    let (input, output) = (ground.path("input"), ground.path("output"));
    fs::create_dir_all(input.join("skip")).expect("a folder");
    for (name, text) in [("words.txt", "pear\napple\n"), ("build.log", "old"), ("skip/this", "unwanted")] {
        fs::write(input.join(name), text).expect("a file");
    }
    let nonce = ground.nonce();
    let arguments = [input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8"), &nonce];

    let first = ground.run(door, "pipeline.py", &arguments);
    let mut seen = first.json();
    let id = seen["id"].as_str().expect("an ID").to_owned();
    let expected = json!({
        "version": "v0.19.11",
        "uploaded": ["words.txt"],
        "built": ["sorted.txt"],
        "sorted": "apple\npear\n",
        "exported": output.join("one.txt"),
        "scrubbed": "got ***\n400\n",
        "plaintext": true,
        "kept": "kept\n",
        "NONCE": nonce,
        "GREETING": "hello",
        "id": id,
        "stdout": "one\n",
        "stderr": "two\n",
        "exit code": 0,
        "synced": true,
        "workdir": "/work",
    });
    assert_eq!(seen, expected);
    assert_eq!(first.execs(), 5);
    for file in ["tree/sorted.txt", "one.txt"] {
        let path = output.join(file);
        assert_eq!(fs::read_to_string(&path).expect(file), "apple\npear\n");
        assert_eq!(fs::metadata(&path).expect(file).permissions().mode() & 0o777, 0o750, "{file}");
    }
    let secret = format!("s3cret-{nonce}");
    assert!(!first.errors().contains(&secret), "the secret is shown: {}", first.errors());
    assert!(!first.summary.to_string().contains(&secret), "the secret is in the summary");

    let again = ground.run(door, "pipeline.py", &arguments);
    seen = again.json();
    assert_eq!(seen, expected, "the second run sees the same, its ID included");
    assert_eq!(again.execs(), 0, "{}", again.summary);

    let later = ground.run(door, "later.py", &[&id]);
    assert_eq!(later.text(), "one\n");
    assert_eq!(later.execs(), 0, "{}", later.summary);
}

#[test]
fn a_pipeline_under_run() {
    drive(Door::Run);
}

#[test]
fn a_pipeline_that_starts_the_service_itself() {
    drive(Door::Binary);
}

#[test]
fn a_failed_command_is_an_error_of_the_sdk_with_all_that_is_known() {
    let Some(ground) = Ground::lay() else { return };
    for door in [Door::Run, Door::Binary] {
        let ran = ground.run(door, "failing.py", &[&format!("{}-{door:?}", ground.nonce())]);
        let seen = ran.json();
        let exec = &seen["exec"];
        assert_eq!(exec["command"], json!(["sh", "-c", "echo out; echo err >&2; exit 42"]), "{door:?}");
        assert_eq!(exec["exit_code"], 42);
        assert_eq!(exec["stdout"], "out");
        assert_eq!(exec["stderr"], "err");
        let message = exec["message"].as_str().expect("a message");
        assert!(message.starts_with("exit code: 42 [traceparent:"), "{message}");
        assert_eq!(
            exec["path"],
            json!([
                "container",
                "from",
                "withEnvVariable",
                "withExec",
                "withNewFile",
                "withWorkdir",
                "withExec",
                "stdout"
            ])
        );
        assert_eq!(seen["sibling"], 42);
        assert_eq!(seen["other"], "fine\n");
        assert_eq!(seen["allowed"], 3);
        let image = seen["image"].as_str().expect("an error that is none of a command");
        assert!(image.contains("no.such.image.invalid/x:1"), "{image}");
        assert_eq!(seen["unsupported"], "UNSUPPORTED");
        if matches!(door, Door::Run) {
            // The person at the terminal sees which call it was, and what it wrote.
            let told = ran.errors();
            for part in ["← failed", ".withWorkdir(path: \"/tmp\")", "    err\n"] {
                assert!(told.contains(part), "without {part:?}: {told}");
            }
        }
    }
}

#[test]
fn the_program_is_found_by_its_name() {
    let Some(ground) = Ground::lay() else { return };
    let dagger = ground.dagger();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = dagger.parent().map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&path));
    let mut command = ground.command(Door::Binary, &[ground.python.clone().into(), script("probe.py")]);
    command
        .arg("connect")
        .env(BINARY, "dagger")
        .env("PATH", std::env::join_paths(folders).expect("folders have no colons"));
    let text = ground.finish(&mut command).text();
    assert!(text.ends_with("{\"version\": \"v0.19.11\"}\n"), "{text}");
}

#[test]
fn tasks_of_a_group_run_at_once() {
    let Some(ground) = Ground::lay() else { return };
    let ran = ground.run(Door::Run, "blocks.py", &[&ground.nonce()]);
    assert_eq!(ran.json(), json!([0, 1, 2, 3]));
    assert_eq!(ran.execs(), 4);
}

#[test]
fn output_that_nobody_reads_holds_nothing_up() {
    let Some(ground) = Ground::lay() else { return };
    // The SDK starts the service with a pipe for standard error and does not read it: the pipeline and its end must not
    // wait for room in it. The SDK itself gives up after five minutes, with an error.
    let ran = ground.run(Door::Binary, "talkative.py", &[&ground.nonce()]);
    assert_eq!(ran.text(), "4001\n");
}

#[test]
fn the_exit_code_of_the_program_is_passed_on() {
    let Some(ground) = Ground::lay() else { return };
    let mut command = Command::new(TREENAIL);
    let status = clean(&mut command, ground.daemon)
        .args(["-s", "run", "--"])
        .arg(&ground.python)
        .args(["-c", "import dagger, sys; sys.exit(7)"])
        .status()
        .expect("starts");
    assert_eq!(status.code(), Some(7));
}

/// What each SDK writes on the command line.
///
/// # Source
/// `contract/session.md` 3.
#[test]
fn every_sdk_may_start_it_as_dagger() {
    let Some(ground) = Ground::lay() else { return };
    let dagger = ground.dagger();
    let folder = ground.folder.path().to_str().expect("UTF-8");
    let label = |sdk: &str| format!("dagger.io/sdk.name:{sdk}");
    let version = "dagger.io/sdk.version:0.19.11";
    for words in [
        vec![
            "session",
            "--workdir",
            folder,
            "--label",
            &label("go"),
            "--label",
            version,
            "--version",
            "v0.19.11",
            "-vvv",
        ],
        vec!["session", "--label", &label("python"), "--label", version, "--workdir", folder],
        vec!["session", "--label", &label("nodejs"), "--label", version],
        vec!["session", "--workdir", "", "--label", &label("php"), "--label", version],
        vec!["--progress", "plain", "session", "--label", &label("elixir"), "--silent"],
    ] {
        // Closed input ends a session; an SDK that has it open reads the line first.
        let mut child = clean(&mut Command::new(&dagger), ground.daemon)
            .args(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().expect("piped"));
        std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
        let parameters: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{words:?}: {error}: {line:?}"));
        let keys: Vec<&String> = parameters.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["port", "session_token"], "{words:?}");
        let ended = child.wait_with_output().expect("ends when its input does");
        assert!(ended.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    // The obsolete flag is none, and says how it is done.
    let refused = clean(&mut Command::new(&dagger), ground.daemon)
        .args(["session", "--project", folder])
        .output()
        .expect("starts");
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Usage"), "{refused:?}");
    // CI files cut the second word out of this.
    let version = clean(&mut Command::new(&dagger), ground.daemon)
        .args(["--silent", "version"])
        .output()
        .expect("starts");
    let version = String::from_utf8(version.stdout).expect("UTF-8");
    assert_eq!(version.split(' ').take(2).collect::<Vec<_>>(), ["dagger", "v0.19.11"]);
}

#[test]
fn without_a_daemon_the_sdk_raises_at_once() {
    let Some(ground) = Ground::lay() else { return };
    let nowhere = format!("unix://{}", ground.path("no.sock").display());
    let program =
        "import anyio, dagger\nasync def main():\n  async with dagger.connection(): pass\nanyio.run(main)\n";
    let mut command = Command::new(&ground.python);
    let ran = clean(&mut command, ground.daemon)
        .args(["-c", program])
        .env("_EXPERIMENTAL_DAGGER_CLI_BIN", ground.dagger())
        .env("BUILDKIT_HOST", &nowhere)
        .output()
        .expect("starts");
    assert!(!ran.status.success());
    // Whether the reason is in it is a race inside the SDK, which asks for the exit code when the output ends.
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(told.contains("SessionError"), "{told}");
    let mut command = Command::new(ground.dagger());
    let mut child = clean(&mut command, ground.daemon)
        .arg("session")
        .env("BUILDKIT_HOST", &nowhere)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    // Its end would end the session before there is one.
    let _held = child.stdin.take();
    let ran = child.wait_with_output().expect("ends");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{told}");
    assert!(ran.stdout.is_empty() && told.contains(&nowhere), "{told}");
}
