//! The cases of the benchmark, in the order in which they are shown.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Aim, Bench, Case, Measured, median};

pub(super) const ALL: &[Case] = &[
    Case { name: "size of the program", aim: Aim::Most(20.0, "MB"), measure: program_size },
    Case { name: "session start to its line", aim: Aim::Most(20.0, "ms"), measure: session_start },
];

fn program_size(bench: &Bench) -> Result<Measured> {
    let bytes = std::fs::metadata(&bench.program).context("cannot read the program")?.len();
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let ours = bytes as f64 / 1e6;
    Ok(Measured { ours, theirs: None })
}

/// From starting `treenail session` to the line that tells an SDK port and token.
fn session_start(bench: &Bench) -> Result<Measured> {
    let ours = median(11, || {
        let start = Instant::now();
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
        let took = start.elapsed();
        drop(child.stdin.take());
        child.wait().context("cannot wait for the session")?;
        anyhow::ensure!(line.contains("session_token"), "the session said: {}", line.trim_end());
        Ok(took)
    })?;
    Ok(Measured { ours, theirs: None })
}
