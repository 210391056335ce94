//! Steps with a name, a time and an outcome, and the summary that closes a run.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use treenail_test_fixtures::kit;

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    /// Adds what a line of libtest says, if it is a result line.
    fn add_line(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        for part in rest.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(number), Some(what)) = (words.next().and_then(|n| n.parse::<u64>().ok()), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Failed(String),
    Skipped(String),
}

#[derive(Debug)]
struct Step {
    name: String,
    outcome: Outcome,
    counts: Counts,
    took: Duration,
}

/// All steps of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
}

impl Report {
    /// Runs one step and keeps how it ended; a failure does not stop the run.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce(&mut Counts) -> Result<()>) {
        eprintln!("xtask: {name}");
        let start = Instant::now();
        let mut counts = Counts::default();
        let outcome = match work(&mut counts) {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        if let Outcome::Failed(why) = &outcome {
            eprintln!("xtask: {name} failed: {why}");
        }
        self.steps.push(Step { name: name.to_owned(), outcome, counts, took: start.elapsed() });
    }

    /// Notes a step that could not run.
    pub(crate) fn skip(&mut self, name: &str, why: String) {
        eprintln!("xtask: {name} skipped: {why}");
        let step = Step {
            name: name.to_owned(),
            outcome: Outcome::Skipped(why),
            counts: Counts::default(),
            took: Duration::ZERO,
        };
        self.steps.push(step);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.outcome, Outcome::Failed(_)))
    }

    /// The table of steps and one closing line. `skips` are the tests that were skipped, with their reasons.
    pub(crate) fn summary(&self, skips: &[String]) -> String {
        let mut text = String::from("\n");
        let mut total = Counts::default();
        let mut skipped_steps = 0;
        for step in &self.steps {
            let outcome = match &step.outcome {
                Outcome::Done => "ok",
                Outcome::Failed(_) => "FAILED",
                Outcome::Skipped(_) => {
                    skipped_steps += 1;
                    "skipped"
                }
            };
            let Counts { passed, failed, ignored } = step.counts;
            total.passed += passed;
            total.failed += failed;
            total.ignored += ignored;
            let tests = if step.counts == Counts::default() {
                String::new()
            } else {
                format!("{passed} passed, {failed} failed")
            };
            let why = match &step.outcome {
                Outcome::Skipped(why) => why.as_str(),
                Outcome::Done | Outcome::Failed(_) => "",
            };
            let _ = writeln!(
                text,
                "{:<12} {outcome:<8} {:>7.1} s  {tests}{why}",
                step.name,
                step.took.as_secs_f64()
            );
        }
        for skip in skips {
            let _ = writeln!(text, "skipped: {skip}");
        }
        let took: Duration = self.steps.iter().map(|step| step.took).sum();
        let verdict = if self.has_failed() { "FAILED" } else { "ok" };
        let _ = write!(
            text,
            "{verdict}: {} tests passed, {} failed, {} skipped, {} ignored; {} of {} steps skipped; {:.0} s",
            total.passed,
            total.failed,
            skips.len(),
            total.ignored,
            skipped_steps,
            self.steps.len(),
            took.as_secs_f64()
        );
        text
    }
}

/// A cargo command in the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(kit::workspace()).stdin(Stdio::null());
    command
}

/// Runs a command whose output people watch.
pub(crate) fn watch(command: &mut Command) -> Result<()> {
    let name = shown(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{name}`"))?;
    anyhow::ensure!(status.success(), "`{name}` ended with {status}");
    Ok(())
}

/// Runs tests, passes their output on and counts.
pub(crate) fn watch_tests(command: &mut Command, counts: &mut Counts) -> Result<()> {
    let name = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{name}`"))?;
    let output = child.stdout.take().context("standard output is piped")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of the tests")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts.add_line(&line);
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{name}`"))?;
    anyhow::ensure!(status.success(), "`{name}` ended with {status}");
    Ok(())
}

fn shown(command: &Command) -> String {
    let program =
        std::path::Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let words = command.get_args().map(|word| word.to_string_lossy());
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_libtest_are_counted() {
        let mut counts = Counts::default();
        counts.add_line(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s",
        );
        counts.add_line("test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out");
        counts.add_line("test a::b ... ok");
        assert_eq!(counts, Counts { passed: 14, failed: 4, ignored: 1 });
    }

    #[test]
    fn a_failure_is_in_the_closing_line_and_does_not_stop_the_run() {
        let mut report = Report::default();
        report.step("one", |_| anyhow::bail!("broken"));
        report.step("two", |counts| {
            counts.passed = 3;
            Ok(())
        });
        report.skip("three", "no daemon".into());
        let summary = report.summary(&["a::b: why".into()]);
        let last = summary.lines().last().expect("a line");
        assert!(
            last.starts_with("FAILED: 3 tests passed, 0 failed, 1 skipped, 0 ignored; 1 of 3 steps skipped"),
            "{last}"
        );
    }
}
