//! Programs that run for as long as a value lives, and not a moment longer.
//!
//! `Drop` alone is not enough: a test process that is killed, or whose statics are never dropped,
//! would leave its daemon behind. The keeper script watches a pipe instead; see `keeper.sh`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::host;

const SCRIPT: &str = include_str!("keeper.sh");

/// What happens to the state folder at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Remove,
}

/// A running program and its state folder, which has `log`, `pid` and, after the end, `exit`.
#[derive(Debug)]
pub(crate) struct Kept {
    child: Child,
    state: PathBuf,
}

impl Kept {
    /// Starts `command` in `state`; with `isolated`, in process and mount namespaces of its own.
    pub(crate) fn start(state: &Path, fate: Fate, isolated: bool, command: &[String]) -> Result<Self> {
        for stale in ["pid", "exit"] {
            match fs::remove_file(state.join(stale)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).context("cannot clear the state folder");
                }
                _ => {}
            }
        }
        let mut keeper = if isolated {
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"]);
            unshare
        } else {
            Command::new("sh")
        };
        let child = keeper
            .args(["-c", SCRIPT, "keeper"])
            .arg(state)
            .arg(if fate == Fate::Keep { "keep" } else { "remove" })
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: an interrupt at the terminal is for us, and we end the program in order.
            .process_group(0)
            .spawn()
            .context("cannot start the keeper of a program")?;
        Ok(Self { child, state: state.to_path_buf() })
    }

    /// The program's output so far.
    pub(crate) fn log(&self) -> PathBuf {
        self.state.join("log")
    }

    /// Asks `ready` until it says yes.
    pub(crate) fn wait_until(&self, what: &str, limit: Duration, ready: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        while !ready() {
            let ended = self.state.join("exit").exists();
            if ended || start.elapsed() > limit {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                let how = if ended { "ended at once" } else { "is not ready in time" };
                bail!("{what} {how}; the end of its log:\n{}", host::tail(&log, 15));
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // The keeper ends by itself within seconds; there is nobody to tell if waiting fails.
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(what: &str, ready: impl Fn() -> bool) {
        let start = Instant::now();
        while !ready() {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}");
            std::thread::yield_now();
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_dropped_program_is_ended_and_its_state_removed() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let state = folder.path().join("state");
        fs::create_dir(&state).expect("state folder");
        let kept = Kept::start(&state, Fate::Remove, false, &words(&["sleep", "600"])).expect("starts");
        let pid = || fs::read_to_string(state.join("pid")).unwrap_or_default().trim().to_owned();
        until("pid is written", || !pid().is_empty());
        let process = Path::new("/proc").join(pid());
        assert!(process.exists());
        drop(kept);
        assert!(!state.exists());
        until("program has ended", || !process.exists());
    }

    #[test]
    fn kept_state_holds_the_log() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let kept = Kept::start(folder.path(), Fate::Keep, false, &words(&["echo", "said"])).expect("starts");
        until("program has ended", || folder.path().join("exit").exists());
        drop(kept);
        assert_eq!(fs::read_to_string(folder.path().join("log")).expect("log"), "said\n");
    }

    #[test]
    fn a_program_that_ends_at_once_is_an_error_with_its_log() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let command = words(&["sh", "-c", "echo no such option >&2; exit 1"]);
        let kept = Kept::start(folder.path(), Fate::Keep, false, &command).expect("starts");
        let error = kept.wait_until("it", Duration::from_secs(60), || false).expect_err("never ready");
        assert!(error.to_string().contains("no such option"), "{error}");
    }
}
