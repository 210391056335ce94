//! A session of ours as an SDK holds it: a child process, one line of JSON, HTTP, end of input.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use treenail_test_fixtures::kit::host;

use super::Bench;
use super::http::Client;
use super::measure::milliseconds;

/// How long a session may take to start and to end.
const LIMIT: Duration = Duration::from_secs(60);

/// How precisely the end of a process is seen.
const PAUSE: Duration = Duration::from_micros(200);

/// A running `treenail session`.
pub(super) struct Session<'a> {
    bench: &'a Bench,
    child: Child,
    input: Option<ChildStdin>,
    client: Client,
    log: PathBuf,
    started: Instant,
    /// How long the line took.
    pub(super) start: Duration,
}

/// How long the parts of a session took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Phases {
    /// Process start to the line.
    pub(super) start: Duration,
    /// Connecting and all requests.
    pub(super) ask: Duration,
    /// End of input to the end of the process.
    pub(super) end: Duration,
}

impl Phases {
    pub(super) fn total(self) -> Duration {
        self.start + self.ask + self.end
    }

    /// The medians of many.
    pub(super) fn note(all: &[Self]) -> String {
        let median = |part: fn(&Self) -> Duration| {
            let mut times: Vec<Duration> = all.iter().map(part).collect();
            times.sort_unstable();
            milliseconds(times.get(times.len() / 2).copied().unwrap_or_default())
        };
        format!(
            "of treenail: start {:.1} ms, query {:.1} ms, end {:.1} ms",
            median(|phases| phases.start),
            median(|phases| phases.ask),
            median(|phases| phases.end)
        )
    }
}

impl<'a> Session<'a> {
    /// Starts a session and reads its line.
    pub(super) fn start(bench: &'a Bench) -> Result<Self> {
        Self::start_at(bench, &bench.address)
    }

    /// The same with the daemon at another address.
    pub(super) fn start_at(bench: &'a Bench, address: &str) -> Result<Self> {
        let log = bench.scratch.path().join("session.log");
        let file = File::create(&log).context("cannot create a log")?;
        let started = Instant::now();
        let mut child = bench
            .treenail(address, &["session", "--label", "dagger.io/sdk.name:bench"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start `{}`", bench.program.display()))?;
        let told = first_line(&mut child);
        let start = started.elapsed();
        let connected = told.and_then(|(port, token)| Client::connect(port, &token));
        match connected {
            Ok(client) => {
                let input = child.stdin.take();
                Ok(Self { bench, child, input, client, log, started, start })
            }
            Err(error) => {
                end(&mut child)?;
                Err(error.context(format!("the session does not start: {}", tail(&log))))
            }
        }
    }

    /// Asks a document and gives how long the answer took.
    pub(super) fn ask(&mut self, document: &str) -> Result<Duration> {
        Ok(self.answer(document)?.0)
    }

    /// The same with the answer's text.
    pub(super) fn answer(&mut self, document: &str) -> Result<(Duration, String)> {
        self.client.ask(document).with_context(|| format!("the log ends in: {}", tail(&self.log)))
    }

    /// A line of the kernel's account of the process, in megabytes.
    pub(super) fn memory(&self, line: &str) -> Result<f64> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(file).context("cannot read the kernel's account")?;
        let kibibytes: f64 = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("the kernel does not tell `{line}`"))?;
        Ok(kibibytes * 1024.0 / 1e6)
    }

    /// Ends the session as an SDK does. `what` it did names the peak of memory, if it is work as pipelines do it.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub(super) fn finish(mut self, what: Option<&str>) -> Result<Phases> {
        let ask = self.started.elapsed().saturating_sub(self.start);
        if let Some(what) = what {
            self.bench.note_peak(self.memory("VmHWM:")?, what);
        }
        let begin = Instant::now();
        drop(self.input.take());
        while begin.elapsed() < LIMIT {
            if let Some(status) = self.child.try_wait().context("cannot wait for a session")? {
                let end = begin.elapsed();
                anyhow::ensure!(status.success(), "the session ended with {status}: {}", tail(&self.log));
                return Ok(Phases { start: self.start, ask, end });
            }
            thread::sleep(PAUSE);
        }
        anyhow::bail!("the session does not end: {}", tail(&self.log))
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        drop(self.input.take());
        // What is left of it is of a failed case, which has its own error already.
        drop(end(&mut self.child));
    }
}

/// A whole session for one document: what a script with one query waits for.
pub(super) fn whole(bench: &Bench, what: &str, document: &str) -> Result<Phases> {
    let mut session = Session::start(bench)?;
    session.ask(document)?;
    session.finish(Some(what))
}

fn first_line(child: &mut Child) -> Result<(u16, String)> {
    let output = child.stdout.take().context("standard output is piped")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = String::new();
        let read = output.read_line(&mut line).map(|_| line);
        // Nobody waits any longer if the receiver has gone.
        drop(sender.send(read));
        // The pipe stays open for as long as the session writes.
        drop(std::io::copy(&mut output, &mut std::io::sink()));
    });
    let line = receiver.recv_timeout(LIMIT).context("no line in time")?.context("cannot read the line")?;
    let told: Value =
        serde_json::from_str(&line).with_context(|| format!("not a line of JSON: `{}`", line.trim_end()))?;
    let port = told["port"].as_u64().and_then(|port| port.try_into().ok()).context("no port")?;
    Ok((port, told["session_token"].as_str().context("no token")?.to_owned()))
}

/// Ends a process by force, if it has not ended.
fn end(child: &mut Child) -> Result<()> {
    if child.try_wait().context("cannot wait for a session")?.is_none() {
        child.kill().context("cannot end a session")?;
        child.wait().context("cannot wait for a session")?;
    }
    Ok(())
}

fn tail(log: &std::path::Path) -> String {
    fs::read_to_string(log).map_or_else(|error| error.to_string(), |text| host::tail(&text, 12))
}
