//! A container of the simplest kind, and what is left when the helper in it has ended.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use treenail_init::{
    COMBINED_FILE, EXIT_FILE, ExecSpec, ExitRecord, HELPER_PATH, RecordError, STDERR_FILE, STDOUT_FILE,
};

const BUSYBOX: &str = "/bin/busybox";
const APPLETS: [&str; 22] = [
    "sh", "cat", "echo", "id", "sleep", "kill", "ps", "grep", "yes", "ls", "stat", "whoami", "dd", "env",
    "usleep", "setsid", "true", "wc", "printf", "touch", "readlink", "chmod",
];

/// Makes mounts in a namespace of its own and starts the helper in the new root: `$1` is the root, `$2` the
/// size of the output mount, the rest the helper's arguments.
const ENTER: &str = r#"
root=$1; size=$2; shift 2
for folder in /lib /lib64 /usr/lib; do
    [ -d $folder ] && mkdir -p $root$folder && mount --rbind $folder $root$folder
done
mount --bind /dev/null $root/dev/null
mount -t tmpfs -o size=$size,mode=0755 out $root/dev/.treenail/out
mount -t proc proc $root/proc 2>/dev/null || mount --rbind /proc $root/proc
chroot $root "$@"
status=$?
rm -rf $root/result; cp -a $root/dev/.treenail/out $root/result
exit $status
"#;

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Builds containers.
pub(crate) struct Container {
    root: TempDir,
    pub(crate) spec: ExecSpec,
    env: Vec<(String, String)>,
    own_processes: bool,
    output_size: &'static str,
}

/// What a helper left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
    pub(crate) error_log: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Container {
    /// A container that runs a shell script, or `None` where there can be none.
    pub(crate) fn script(script: &str) -> Option<Self> {
        Self::command(&["sh", "-c", script])
    }

    /// A container that runs a command.
    #[expect(clippy::print_stderr, reason = "a skip must be seen")]
    pub(crate) fn command(args: &[&str]) -> Option<Self> {
        if let Some(reason) = missing() {
            let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(std::env::var_os("CI").is_none(), "promised, but not possible: {reason}");
            eprintln!("skipped ({count}): {reason}");
            note_skip(reason);
            return None;
        }
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |path: &str| root.path().join(path.trim_start_matches('/'));
        for folder in ["bin", "etc", "tmp", "proc", "dev/.treenail/out"] {
            fs::create_dir_all(at(folder)).expect("the root is ours");
        }
        fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
        fs::copy(BUSYBOX, at("bin/busybox")).expect("busybox is there");
        for applet in APPLETS {
            symlink("busybox", at("bin").join(applet)).expect("the root is ours");
        }
        fs::copy(helper(), at(HELPER_PATH)).expect("the helper is built");
        fs::write(at("dev/null"), "").expect("the root is ours");
        fs::write(at("etc/passwd"), "root:x:0:0::/root:/bin/sh\ndaemon:x:2:2::/sbin:/bin/sh\n")
            .expect("ours");
        fs::write(at("etc/group"), "root:x:0:root\ndaemon:x:2:\nadm:x:4:root,daemon\nfloppy:x:11:\n")
            .expect("ours");
        let spec = ExecSpec {
            args: args.iter().map(|&argument| argument.to_owned()).collect(),
            ..ExecSpec::default()
        };
        let env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        Some(Self { root, spec, env, own_processes: true, output_size: "200m" })
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut ExecSpec)) -> Self {
        change(&mut self.spec);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(other, _)| other != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        fs::write(self.path(path), content).expect("the root is ours");
        self
    }

    /// The helper is an ordinary process among others, as on daemons without a process sandbox.
    pub(crate) fn without_own_processes(mut self) -> Self {
        self.own_processes = false;
        self
    }

    pub(crate) fn output_size(mut self, size: &'static str) -> Self {
        self.output_size = size;
        self
    }

    /// A path of the container, seen from outside.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    /// Starts the helper with its streams as pipes.
    pub(crate) fn start(&self) -> Child {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if self.own_processes {
            // The shell that enters stays outside: it is to look at what is left.
            command.args([
                "sh",
                "-c",
                &ENTER.replace(
                    "chroot $root",
                    "unshare --pid --fork --kill-child --mount-proc=$root/proc chroot $root",
                ),
            ]);
        } else {
            command.args(["sh", "-c", ENTER]);
        }
        command.arg("enter").arg(self.root.path()).arg(self.output_size);
        command.arg(HELPER_PATH).args(self.spec.to_args());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env(
            "PATH",
            format!(
                "{}:/usr/sbin:/usr/bin:/sbin",
                self.env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value)
            ),
        );
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("util-linux is there")
    }

    /// Runs it to the end.
    pub(crate) fn run(&self) -> Left {
        self.end(self.start())
    }

    /// Waits for the end.
    pub(crate) fn end(&self, child: Child) -> Left {
        let output = child.wait_with_output().expect("the child is ours");
        let entries = fs::read_dir(self.path("result")).expect("the script copies it");
        let files = entries.map(|entry| {
            let entry = entry.expect("the folder is ours");
            let name = entry.file_name().into_string().expect("text");
            (name, fs::read(entry.path()).expect("the file is ours"))
        });
        Left {
            status: output.status,
            log: String::from_utf8_lossy(&output.stdout).into_owned(),
            error_log: String::from_utf8_lossy(&output.stderr).into_owned(),
            files: files.collect(),
        }
    }
}

impl Left {
    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        self.files.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name).to_vec()).expect("text")
    }

    pub(crate) fn stdout(&self) -> String {
        self.text(STDOUT_FILE)
    }

    pub(crate) fn stderr(&self) -> String {
        self.text(STDERR_FILE)
    }

    pub(crate) fn combined(&self) -> String {
        self.text(COMBINED_FILE)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    pub(crate) fn record(&self) -> Result<ExitRecord, RecordError> {
        ExitRecord::decode(self.bytes(EXIT_FILE))
    }

    /// The record and the helper's own status.
    pub(crate) fn ended(&self) -> (ExitRecord, i32) {
        let record = self.record().unwrap_or_else(|error| panic!("{error}: {self:?}"));
        (record, self.status.code().unwrap_or(-1))
    }

    /// What a successful command printed.
    pub(crate) fn printed(&self) -> String {
        assert_eq!(self.ended(), (ExitRecord::Exited(0), 0), "{}", self.error_log);
        self.stdout()
    }

    pub(crate) fn failure(&self) -> String {
        match self.ended() {
            (ExitRecord::Failed(message), 125) => message,
            other => panic!("{other:?}"),
        }
    }
}

/// The helper to test: this build's, or another that `TREENAIL_TEST_HELPER` names (the static one, say).
fn helper() -> PathBuf {
    std::env::var_os("TREENAIL_TEST_HELPER")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_treenail-init")), PathBuf::from)
}

/// Counts a skip where the run of all tests collects them.
fn note_skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    if let Some(path) = std::env::var_os("TREENAIL_TEST_SKIPS")
        && let Ok(mut file) = fs::OpenOptions::new().append(true).create(true).open(path)
    {
        // A lost line costs a count, not a result.
        let _ = file.write_all(format!("{test}: {reason}\n").as_bytes());
    }
}

fn missing() -> Option<&'static str> {
    if !Path::new(BUSYBOX).exists() {
        return Some("no static busybox at /bin/busybox");
    }
    let probe =
        Command::new("unshare").args(["--mount", "--pid", "--fork", "true"]).stderr(Stdio::null()).status();
    if probe.is_ok_and(|status| status.success()) { None } else { Some("making namespaces needs root") }
}
