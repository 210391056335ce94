//! The loop that stands by a running command: its output, its signals, its orphans, its end.
//!
//! How it ends: when the command is over, its process group gets SIGTERM and the pipes are read to their end.
//! Background processes may hold them open; they get [`GRACE`] for their last words, then all that is left of
//! the container's processes is killed, as the end of process 1 would do, and what is still in the pipes is kept.
//! So neither does a forgotten daemon keep an exec alive, nor is any byte lost that was written before the end.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::output::Stream;
use crate::sys::{self, Ended, Pid, Signals};

/// How long processes in the background may go on writing after the command's end.
const GRACE: Duration = Duration::from_millis(100);

/// How long the pipes are read after everybody was killed; their end comes at once unless a descriptor has left
/// the container.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Bytes read at once; as much as a pipe holds by default.
const CHUNK: usize = 64 * 1024;

/// Bytes written to the log at once: a pipe that polls as writable takes so many without blocking.
const LOG_CHUNK: usize = 4096;

/// Rounds of killing what the killed have left behind.
const KILL_ROUNDS: usize = 64;

/// Stands by one command.
pub(crate) struct Supervisor {
    signals: Signals,
    streams: [Stream; 2],
    combined: File,
    child: Pid,
    ended: Option<Ended>,
    /// The first trouble with keeping the output.
    failure: Option<String>,
    buffer: Box<[u8]>,
    clean: Vec<u8>,
}

impl Supervisor {
    pub(crate) fn new(signals: Signals, streams: [Stream; 2], combined: File) -> Self {
        let buffer = vec![0; CHUNK].into_boxed_slice();
        Self { signals, streams, combined, child: 0, ended: None, failure: None, buffer, clean: Vec::new() }
    }

    /// Adds a line to standard error as if the command had written it, and ends both streams.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), String> {
        let [_, stderr] = &mut self.streams;
        stderr.scrubber.push(format!("{text}\n").as_bytes(), &mut self.clean);
        self.deliver(1);
        self.close(0);
        self.close(1);
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Stays until the command and its output have ended.
    ///
    /// # Errors
    /// Why the output could not be kept; the command is killed then.
    pub(crate) fn run(&mut self, child: Pid) -> Result<Ended, String> {
        self.child = child;
        let mut deadline: Option<Instant> = None;
        let mut killed = false;
        while self.ended.is_none() || self.streams.iter().any(|stream| stream.pipe.is_some()) {
            if self.ended.is_some() && deadline.is_none() {
                deadline = Some(Instant::now() + GRACE);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                if killed {
                    break;
                }
                self.kill_the_rest();
                killed = true;
                deadline = Some(Instant::now() + LAST_WORDS);
                continue;
            }
            // Rounded up, or the last millisecond would be spun away.
            let milliseconds = left.map_or(-1, |left| left.as_millis() as i32 + 1);
            self.wait(milliseconds).map_err(|error| format!("wait for the command: {error}"))?;
        }
        for index in 0..self.streams.len() {
            self.close(index);
        }
        // As process 1 the helper takes all others with it when it exits.
        if sys::own_pid() != 1 {
            self.kill_the_rest();
        }
        match (self.failure.take(), self.ended) {
            (Some(failure), _) => Err(failure),
            (None, Some(ended)) => Ok(ended),
            (None, None) => Err("the command's end was missed".to_owned()),
        }
    }

    /// One turn: waits for something to happen and deals with it.
    fn wait(&mut self, milliseconds: i32) -> io::Result<()> {
        let [stdout, stderr] = &self.streams;
        let mut interests = [
            sys::interest(stdout.descriptor(), libc::POLLIN),
            sys::interest(stderr.descriptor(), libc::POLLIN),
            sys::interest(self.signals.as_raw_fd(), libc::POLLIN),
        ];
        sys::poll(&mut interests, milliseconds)?;
        if interests[2].revents != 0 {
            self.take_signals();
        }
        for (index, interest) in interests[..2].iter().enumerate() {
            if interest.revents != 0 {
                self.take_output(index);
            }
        }
        Ok(())
    }

    fn take_output(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        let Some(pipe) = &mut stream.pipe else { return };
        match pipe.read(&mut self.buffer) {
            Ok(0) => self.close(index),
            Ok(length) => {
                stream.scrubber.push(&self.buffer[..length], &mut self.clean);
                self.deliver(index);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let name = stream.name;
                self.fail(format!("read {name} of the command: {error}"));
                self.close(index);
            }
        }
    }

    /// Ends a stream: what might have become a secret has not.
    fn close(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        stream.pipe = None;
        stream.scrubber.finish(&mut self.clean);
        self.deliver(index);
    }

    /// Hands scrubbed bytes to files and log.
    fn deliver(&mut self, index: usize) {
        let clean = std::mem::take(&mut self.clean);
        if !clean.is_empty() {
            if self.failure.is_none()
                && let Err(failure) = self.streams[index].keep(&clean, &mut self.combined)
            {
                self.fail(failure);
            }
            self.log(index, &clean);
        }
        self.clean = clean;
        self.clean.clear();
    }

    /// Output that is not kept makes the rest of the command pointless.
    fn fail(&mut self, failure: String) {
        self.failure.get_or_insert(failure);
        if self.child > 0 && self.ended.is_none() {
            sys::kill(-self.child, libc::SIGKILL);
        }
    }

    /// Writes to the log, answering signals while its reader is slow. A reader that is gone is no trouble.
    fn log(&mut self, index: usize, mut bytes: &[u8]) {
        let Some(mut log) = self.streams[index].log.take() else { return };
        while !bytes.is_empty() {
            let mut interests = [
                sys::interest(log.as_raw_fd(), libc::POLLOUT),
                sys::interest(self.signals.as_raw_fd(), libc::POLLIN),
            ];
            if sys::poll(&mut interests, -1).is_err() {
                return;
            }
            if interests[1].revents != 0 {
                self.take_signals();
            }
            if interests[0].revents == 0 {
                continue;
            }
            match log.write(&bytes[..bytes.len().min(LOG_CHUNK)]) {
                Ok(0) => return,
                Ok(written) => bytes = &bytes[written..],
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(_) => return,
            }
        }
        self.streams[index].log = Some(log);
    }

    fn take_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal.number {
                libc::SIGCHLD => self.reap(),
                // Our own writing to a log that nobody reads.
                libc::SIGPIPE if signal.sender == sys::own_pid() => {}
                number => self.forward(number),
            }
        }
    }

    /// Passes a signal on to the command's group. A terminal's stop signals would be ignored by a group that has
    /// no terminal to return to, so they become SIGSTOP, for the helper too.
    fn forward(&mut self, number: i32) {
        if self.child <= 0 || self.ended.is_some() {
            return;
        }
        if matches!(number, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) {
            sys::kill(-self.child, libc::SIGSTOP);
            sys::kill(sys::own_pid(), libc::SIGSTOP);
        } else {
            sys::kill(-self.child, number);
        }
    }

    /// Collects all that have ended: the command, and orphans that became ours.
    fn reap(&mut self) {
        while let Ok(Some((pid, ended))) = sys::wait(-1, false) {
            if pid == self.child && self.ended.is_none() {
                self.ended = Some(ended);
                sys::kill(-self.child, libc::SIGTERM);
            }
        }
    }

    /// Kills every other process of the container.
    fn kill_the_rest(&mut self) {
        if sys::own_pid() == 1 {
            // Everybody else of this process namespace, and nobody outside.
            sys::kill(-1, libc::SIGKILL);
            return;
        }
        // Among processes of others: orphans come to us as the adopter, so each round finds those below the last.
        for _ in 0..KILL_ROUNDS {
            self.reap();
            if sys::wait(-1, false).is_err_and(|error| error.raw_os_error() == Some(libc::ECHILD)) {
                return;
            }
            let killed: Vec<Pid> =
                children().into_iter().filter(|&pid| sys::kill(pid, libc::SIGKILL)).collect();
            if killed.is_empty() {
                return;
            }
            for pid in killed {
                // It may have been collected by its number already.
                let _ = sys::wait(pid, true);
            }
        }
    }
}

/// The helper's children, as far as `/proc` shows the process namespace it lives in.
fn children() -> Vec<Pid> {
    let own = sys::own_pid();
    let is_own_view =
        fs::read_link("/proc/self").is_ok_and(|target| target.as_os_str() == own.to_string().as_str());
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<Pid>().ok());
    pids.filter(|&pid| is_own_view && parent(pid) == Some(own)).collect()
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses that may itself contain some.
    let after_name = stat.rsplit(|&byte| byte == b')').next()?;
    std::str::from_utf8(after_name).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}
