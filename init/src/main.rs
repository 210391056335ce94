//! The helper: runs one command as the engine asked and writes down how it went. The library of this crate is the
//! contract with those who ask.
//!
//! It runs as root, in `/`, with the command's environment, usually as process 1. One thread, fixed buffers.
//!
//! Invariant: whatever happens, the exit status is 0 only if the command's code is one that was expected.

mod account;
mod errno;
mod launch;
mod output;
mod salt;
mod secrets;
mod supervise;
mod sys;

use std::env;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::fchown;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use treenail_init::{
    COMBINED_FILE, ExecSpec, ExitRecord, FAILED_STATUS, HIDDEN_ENV_PREFIX, SALT_OPTION, STDERR_FILE,
    STDOUT_FILE, Scrubber, Stdin,
};

use crate::account::{Accounts, Identity};
use crate::launch::{Launch, StartError};
use crate::output::{Record, Stream, complain, log_of};
use crate::supervise::Supervisor;
use crate::sys::{Ended, Signals};

fn main() -> ExitCode {
    let args: Vec<String> =
        env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let log = log_of(io::stderr());
    if let [only] = &args[..]
        && let Some(path) = only.strip_prefix(SALT_OPTION)
    {
        return match salt::provide(Path::new(path)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(log.as_ref(), &format!("provide salt: {}", errno::text(&error)));
                FAILED_STATUS.into()
            }
        };
    }
    let (spec, mut record) = match (ExecSpec::from_args(args), Record::create()) {
        (Ok(spec), Ok(record)) => (spec, record),
        (Err(error), record) => {
            let error = error.to_string();
            complain(log.as_ref(), &error);
            if let Ok(mut record) = record {
                // The status says it as well.
                let _ = record.write(&ExitRecord::Failed(error));
            }
            return FAILED_STATUS.into();
        }
        (Ok(_), Err(error)) => {
            complain(log.as_ref(), &format!("create exit record: {}", errno::text(&error)));
            return FAILED_STATUS.into();
        }
    };
    let outcome = run(&spec).unwrap_or_else(ExitRecord::Failed);
    let written = record.write(&outcome);
    if let ExitRecord::Failed(message) = &outcome {
        complain(log.as_ref(), message);
    }
    if let Err(error) = written {
        complain(log.as_ref(), &format!("write exit record: {}", errno::text(&error)));
        return FAILED_STATUS.into();
    }
    let status = outcome.status(spec.expect);
    if status != 0 && !spec.no_init {
        for name in [STDOUT_FILE, STDERR_FILE] {
            // The whole file is there all the same, and a command that never ran has none.
            let _ = output::keep_tail(name);
        }
    }
    status.into()
}

/// Runs the command. An error is why it was not run, or why its output was not kept.
fn run(spec: &ExecSpec) -> Result<ExitRecord, String> {
    let prepared = Prepared::new(spec)?;
    if spec.no_init { prepared.take_place(spec) } else { prepared.supervise(spec) }
}

/// Everything that a command needs but its pipes.
struct Prepared {
    identity: Option<Identity>,
    env: Vec<CString>,
    secrets: Vec<Vec<u8>>,
    stdin: File,
    redirects: [Option<File>; 2],
}

impl Prepared {
    /// Looks up, opens and creates in the order in which failures count: a redirect file's directory must exist
    /// before the working directory is created.
    fn new(spec: &ExecSpec) -> Result<Self, String> {
        let accounts = Accounts::read();
        let identity = if spec.user.is_empty() {
            None
        } else {
            Some(accounts.identity(&spec.user).map_err(|error| format!("get user: {error}"))?)
        };
        let secrets = secrets::collect(spec)?;
        let cwd = Path::new("/").join(&spec.cwd);
        let redirect = |stream: &str, path: &Option<String>| match path {
            Some(path) => output::open_redirect(stream, &cwd.join(path), identity.as_ref()).map(Some),
            None => Ok(None),
        };
        let redirects =
            [redirect("stdout", &spec.redirect_stdout)?, redirect("stderr", &spec.redirect_stderr)?];
        let stdin_path = match &spec.stdin {
            Stdin::Empty => PathBuf::from("/dev/null"),
            Stdin::File(path) => cwd.join(path),
        };
        let stdin = File::open(&stdin_path).map_err(|error| {
            format!("open redirect stdin file: open {}: {}", stdin_path.display(), errno::text(&error))
        })?;
        output::enter(&cwd, identity.as_ref())?;
        let home = accounts.home(identity.as_ref().map_or(0, |identity| identity.uid));
        let env = environment(spec, (!spec.keep_home).then_some(home));
        Ok(Self { identity, env, secrets, stdin, redirects })
    }

    /// Runs the command as a child.
    fn supervise(self, spec: &ExecSpec) -> Result<ExitRecord, String> {
        let setup = |what: &'static str| move |error: io::Error| format!("{what}: {}", errno::text(&error));
        let signals = Signals::block_all().map_err(setup("take signals"))?;
        sys::adopt_orphans().map_err(setup("adopt orphans"))?;
        let (stdout_reader, stdout_writer) = self.pipe().map_err(setup("make a pipe"))?;
        let (stderr_reader, stderr_writer) = self.pipe().map_err(setup("make a pipe"))?;
        let [redirect_stdout, redirect_stderr] = self.redirects;
        let scrubber = Scrubber::new(&self.secrets);
        let stream = |name: &'static str, pipe, redirect, log| -> Result<Stream, String> {
            let file = output::create(name).map_err(setup("create output file"))?;
            Ok(Stream { name, pipe: Some(pipe), scrubber: scrubber.clone(), file, redirect, log })
        };
        let streams = [
            stream(STDOUT_FILE, stdout_reader, redirect_stdout, log_of(io::stdout()))?,
            stream(STDERR_FILE, stderr_reader, redirect_stderr, log_of(io::stderr()))?,
        ];
        let combined = output::create(COMBINED_FILE).map_err(setup("create output file"))?;
        let mut supervisor = Supervisor::new(signals, streams, combined);

        let descriptors = [self.stdin.as_raw_fd(), stdout_writer.as_raw_fd(), stderr_writer.as_raw_fd()];
        let started =
            Launch::new(&spec.args, self.env, self.identity, descriptors).and_then(|launch| launch.start());
        // Only the command holds its ends now, or the readers' would never come.
        drop((self.stdin, stdout_writer, stderr_writer));
        match started {
            Ok(child) => Ok(match supervisor.run(child)? {
                Ended::Exited(code) => ExitRecord::Exited(code),
                Ended::Signaled(signal) => ExitRecord::Signaled(signal),
            }),
            Err(StartError::Command(text)) => supervisor.say(&text).map(|()| ExitRecord::Exited(1)),
            Err(StartError::Setup(text)) => Err(text),
        }
    }

    /// Becomes the command. Returns only if that failed.
    fn take_place(self, spec: &ExecSpec) -> Result<ExitRecord, String> {
        let log = log_of(io::stderr());
        let [redirect_stdout, redirect_stderr] = self.redirects;
        let open = |name: &str, redirect: Option<File>| match redirect {
            Some(redirect) => Ok(redirect),
            None => output::create(name).and_then(|file| own(file, self.identity.as_ref())),
        };
        let stdout = open(STDOUT_FILE, redirect_stdout);
        let stderr = open(STDERR_FILE, redirect_stderr);
        let (stdout, stderr) = stdout
            .and_then(|stdout| Ok((stdout, stderr?)))
            .map_err(|error| format!("create output file: {}", errno::text(&error)))?;
        let descriptors = [self.stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()];
        let Err(error) = Launch::new(&spec.args, self.env, self.identity, descriptors)
            .and_then(|launch| launch.run(false));
        match error {
            StartError::Command(text) => {
                complain(Some(&stderr), &text);
                complain(log.as_ref(), &text);
                Ok(ExitRecord::Exited(1))
            }
            StartError::Setup(text) => Err(text),
        }
    }

    /// A pipe whose writing end the command may open again by its name in `/dev`.
    fn pipe(&self) -> io::Result<(PipeReader, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        own(OwnedFd::from(writer), self.identity.as_ref()).map(|writer| (reader, writer.into()))
    }
}

/// Gives an open file to the user, so that `/dev/stdout` can be opened.
fn own<F: std::os::fd::AsFd>(file: F, owner: Option<&Identity>) -> io::Result<F> {
    if let Some(Identity { uid, gid, .. }) = owner {
        fchown(&file, Some(*uid), Some(*gid))?;
    }
    Ok(file)
}

/// What the command sees of the environment: not what is ours, and the home directory if it is to be set.
fn environment(spec: &ExecSpec, home: Option<&str>) -> Vec<CString> {
    let hidden = |name: &[u8]| {
        name.starts_with(HIDDEN_ENV_PREFIX.as_bytes())
            || spec.hide_env.iter().any(|hidden| hidden.as_bytes() == name)
            || home.is_some() && name == b"HOME"
    };
    let kept = env::vars_os().filter(|(name, _)| !hidden(name.as_bytes()));
    let kept = kept.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let home = home.map(|home| format!("HOME={home}").into_bytes());
    kept.chain(home).filter_map(|variable| CString::new(variable).ok()).collect()
}
