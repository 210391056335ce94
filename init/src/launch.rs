//! Becoming the command: credentials, descriptors, look-up and exec, in a child or in the helper's own place.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use crate::account::Identity;
use crate::errno;
use crate::sys::{self, Pid};

/// A command that is ready to run.
pub(crate) struct Launch {
    args: Vec<CString>,
    env: Vec<CString>,
    identity: Option<Identity>,
    /// Standard input, output and error, none of them one of these three itself.
    streams: [RawFd; 3],
}

/// Why a command did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StartError {
    /// There is no such program, or it cannot be executed: the command failed, in its users' eyes.
    Command(String),
    /// The helper could not prepare it.
    Setup(String),
}

impl StartError {
    fn setup(what: &str, error: &io::Error) -> Self {
        Self::Setup(format!("{what}: {}", errno::text(error)))
    }
}

impl Launch {
    pub(crate) fn new(
        args: &[String],
        env: Vec<CString>,
        identity: Option<Identity>,
        streams: [RawFd; 3],
    ) -> Result<Self, StartError> {
        let args = args.iter().map(|argument| CString::new(argument.as_str())).collect::<Result<Vec<_>, _>>();
        let args = args.map_err(|_| StartError::Command("fork/exec: invalid argument".to_owned()))?;
        Ok(Self { args, env, identity, streams })
    }

    /// Starts the command as the leader of a new session.
    pub(crate) fn start(&self) -> Result<Pid, StartError> {
        let (reader, mut writer) =
            io::pipe().map_err(|error| StartError::setup("start the command", &error))?;
        let die_with_parent = sys::own_pid() != 1;
        let Some(pid) = sys::fork().map_err(|error| StartError::setup("start the command", &error))? else {
            drop(reader);
            let Err(failure) = self.run_in_child(die_with_parent);
            // If the parent is gone, there is nobody left to tell.
            let _ = writer.write_all(&failure.to_bytes());
            sys::exit_now(1);
        };
        drop(writer);
        match StartError::read(reader) {
            None => Ok(pid),
            Some(failure) => {
                let _ = sys::wait(pid, true);
                Err(failure)
            }
        }
    }

    fn run_in_child(&self, die_with_parent: bool) -> Result<Infallible, StartError> {
        sys::new_session().map_err(|error| StartError::setup("start a session", &error))?;
        self.run(die_with_parent)
    }

    /// Turns this process into the command; returns only when that failed.
    pub(crate) fn run(&self, die_with_parent: bool) -> Result<Infallible, StartError> {
        for (target, &source) in (0..).zip(&self.streams) {
            sys::duplicate(source, target)
                .map_err(|error| StartError::setup("set a standard stream", &error))?;
        }
        if let Some(Identity { uid, gid, groups }) = &self.identity {
            sys::become_user(*uid, *gid, groups).map_err(|error| StartError::setup("set user", &error))?;
        }
        // After the change of user, which clears it.
        if die_with_parent {
            sys::die_with_parent().map_err(|error| StartError::setup("follow the helper", &error))?;
        }
        sys::reset_signals().map_err(|error| StartError::setup("reset signals", &error))?;
        let path = self.program()?;
        let error = sys::execve(&path, &self.args, &self.env);
        Err(StartError::Command(format!("fork/exec {}: {}", path.to_string_lossy(), errno::text(&error))))
    }

    /// The file to execute: as named if the name has a slash, else the first in `PATH` that this user may execute.
    ///
    /// # Source
    /// Go 1.26 `os/exec`, `LookPath` and its errors, which 0.19 users see.
    fn program(&self) -> Result<CString, StartError> {
        let name = &self.args[0];
        if name.is_empty() || name.as_bytes().contains(&b'/') {
            return Ok(name.clone());
        }
        let path =
            self.env.iter().find_map(|variable| variable.as_bytes().strip_prefix(b"PATH=")).unwrap_or(b"");
        let directories = path.split(|&byte| byte == b':').filter(|_| !path.is_empty());
        for directory in directories {
            let directory = if directory.is_empty() { b"." } else { directory };
            let candidate = [directory, b"/", name.as_bytes()].concat();
            let is_file = fs::metadata(OsStr::from_bytes(&candidate)).is_ok_and(|data| !data.is_dir());
            let Ok(candidate) = CString::new(candidate) else { continue };
            if !is_file || !sys::may_execute(&candidate) {
                continue;
            }
            if !directory.starts_with(b"/") {
                return Err(self.not_run("cannot run executable found relative to current directory"));
            }
            return Ok(candidate);
        }
        Err(self.not_run("executable file not found in $PATH"))
    }

    fn not_run(&self, why: &str) -> StartError {
        StartError::Command(format!("exec: {:?}: {why}", self.args[0].to_string_lossy()))
    }
}

/// The way from the child to the helper: a letter, then the text.
impl StartError {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Command(text) => format!("c{text}"),
            Self::Setup(text) => format!("s{text}"),
        }
        .into_bytes()
    }

    /// Waits for the child's exec, which closes the pipe, or its failure.
    fn read(mut reader: PipeReader) -> Option<Self> {
        let mut bytes = Vec::new();
        if let Err(error) = reader.read_to_end(&mut bytes) {
            return Some(Self::setup("start the command", &error));
        }
        let (kind, text) = bytes.split_first()?;
        let text = String::from_utf8_lossy(text).into_owned();
        Some(if *kind == b'c' { Self::Command(text) } else { Self::Setup(text) })
    }
}
