//! Cases within one session: repeated work, the cost of a pure call, memory.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Aim, Bench, Case, Measured, cases, median, salt};

pub(super) const ALL: &[Case] = &[
    Case { name: "100 execs, again in the session", aim: Aim::Most(2.0, "ms"), measure: again },
    Case { name: "one call of a pure chain", aim: Aim::Most(20.0, "us"), measure: pure_call },
    Case { name: "memory, idle", aim: Aim::Most(25.0, "MB"), measure: idle_memory },
    Case { name: "memory, peak of 100 execs", aim: Aim::Most(60.0, "MB"), measure: peak_memory },
];

/// A running `treenail session`, as an SDK holds it.
pub(super) struct Session {
    child: Child,
    port: u16,
    token: String,
}

impl Session {
    /// Starts a session and reads its line.
    pub(super) fn start(bench: &Bench) -> Result<Self> {
        let mut child = bench
            .treenail(&["session"])
            // An SDK holds this pipe for as long as it needs the session.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start a session")?;
        let mut line = String::new();
        let output = child.stdout.take().context("standard output is piped")?;
        BufReader::new(output).read_line(&mut line).context("cannot read the session's line")?;
        let told: Value = serde_json::from_str(&line)
            .with_context(|| format!("the session said: `{}`", line.trim_end()))?;
        let port = told["port"]
            .as_u64()
            .and_then(|port| port.try_into().ok())
            .context("the session told no port")?;
        let token = told["session_token"].as_str().context("the session told no token")?.to_owned();
        Ok(Self { child, port, token })
    }

    /// Asks a document and gives how long the answer took.
    fn ask(&self, document: &str) -> Result<Duration> {
        let body = json!({"query": document}).to_string();
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{}:", self.token));
        let start = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context("cannot reach the session")?;
        write!(
            stream,
            "POST /query HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Basic {login}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .context("cannot write to the session")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("cannot read from the session")?;
        let took = start.elapsed();
        let answer = String::from_utf8_lossy(&answer);
        let end = answer.len().min(500);
        anyhow::ensure!(
            answer.starts_with("HTTP/1.1 200") && !answer.contains("\"errors\""),
            "the session answered: {}",
            answer.get(..end).unwrap_or(&answer)
        );
        Ok(took)
    }

    /// A line of the kernel's account of the process, in megabytes.
    fn memory(&self, line: &str) -> Result<f64> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).context("cannot read status")?;
        let kilobytes: f64 = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("the kernel does not tell `{line}`"))?;
        Ok(kilobytes * 1024.0 / 1e6)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // A session ends when its pipe does; if it does not, the next case will show it.
        drop(self.child.wait());
    }
}

fn again(bench: &Bench) -> Result<Measured> {
    let session = Session::start(bench)?;
    let document = cases::chain(100, &format!("{} again", salt(bench)));
    session.ask(&document)?;
    Ok(Measured { ours: median(11, || session.ask(&document))?, theirs: None })
}

/// A chain of calls that need nothing of the daemon.
fn pure_chain(count: usize, round: usize) -> String {
    let calls: String = (0..count)
        .map(|number| format!("withEnvVariable(name:\"N\",value:\"{round} {number}\"){{"))
        .collect();
    format!("{{container{{{calls}envVariable(name:\"N\"){}}}}}", "}".repeat(count))
}

/// The slope between two lengths, so that connecting and answering are not part of it.
fn pure_call(bench: &Bench) -> Result<Measured> {
    const SHORT: usize = 1_000;
    const LONG: usize = 5_000;
    let session = Session::start(bench)?;
    let mut round = 0;
    let mut measure = |count: usize| {
        median(7, || {
            round += 1;
            session.ask(&pure_chain(count, round))
        })
    };
    let (short, long) = (measure(SHORT)?, measure(LONG)?);
    #[expect(clippy::cast_precision_loss, reason = "four thousand is exact")]
    let ours = (long - short).max(0.0) * 1e3 / (LONG - SHORT) as f64;
    Ok(Measured { ours, theirs: None })
}

fn idle_memory(bench: &Bench) -> Result<Measured> {
    let session = Session::start(bench)?;
    session.ask("{version}")?;
    Ok(Measured { ours: session.memory("VmRSS:")?, theirs: None })
}

fn peak_memory(bench: &Bench) -> Result<Measured> {
    let session = Session::start(bench)?;
    session.ask(&cases::chain(100, &format!("{} memory", salt(bench))))?;
    Ok(Measured { ours: session.memory("VmHWM:")?, theirs: None })
}
