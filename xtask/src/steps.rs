//! Steps with a name, a time and an outcome, and the summary that closes a run.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, IsTerminal as _};
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

    /// Whether anything failed, or was skipped where nothing may be (`strict`).
    pub(crate) fn has_failed(&self, skips: &[String], strict: bool) -> bool {
        let (_, failed, skipped) = self.totals(skips);
        failed > 0 || (strict && skipped > 0)
    }

    /// Numbers passed, failed and skipped. A step that failed without a failed test, such as the format, counts as one;
    /// so does a step that was skipped.
    fn totals(&self, skips: &[String]) -> (u64, u64, usize) {
        let (mut passed, mut failed, mut skipped) = (0, 0, skips.len());
        for step in &self.steps {
            passed += step.counts.passed;
            failed += step.counts.failed;
            skipped += usize::try_from(step.counts.ignored).unwrap_or(usize::MAX);
            match step.outcome {
                Outcome::Failed(_) if step.counts.failed == 0 => failed += 1,
                Outcome::Skipped(_) => skipped += 1,
                Outcome::Done | Outcome::Failed(_) => {}
            }
        }
        (passed, failed, skipped)
    }

    /// The table of steps and one closing line. `skips` are the tests that were skipped, with their reasons.
    pub(crate) fn summary(&self, skips: &[String], strict: bool) -> String {
        let mut text = String::from("\n");
        for step in &self.steps {
            let outcome = match &step.outcome {
                Outcome::Done => "ok",
                Outcome::Failed(_) => "FAILED",
                Outcome::Skipped(_) => "skipped",
            };
            let Counts { passed, failed, ignored } = step.counts;
            let detail = match &step.outcome {
                Outcome::Skipped(why) => why.clone(),
                Outcome::Failed(why) if step.counts == Counts::default() => {
                    why.lines().next().unwrap_or_default().to_owned()
                }
                _ if step.counts == Counts::default() => String::new(),
                _ => format!("{passed} passed, {failed} failed, {ignored} ignored"),
            };
            let line = format!("{:<8} {outcome:<8} {:>7.1} s  {detail}", step.name, step.took.as_secs_f64());
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for skip in skips {
            let _ = writeln!(text, "skipped: {skip}");
        }
        let took: Duration = self.steps.iter().map(|step| step.took).sum();
        let verdict = if self.has_failed(skips, strict) { "FAILED" } else { "ok" };
        let (passed, failed, skipped) = self.totals(skips);
        let seconds = took.as_secs();
        let _ = write!(
            text,
            "{verdict}: {passed} passed, {failed} failed, {skipped} skipped in {} min {} s",
            seconds / 60,
            seconds % 60
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

/// A cargo build: drawn on a terminal, and elsewhere silent but for what is wrong.
pub(crate) fn cargo_build(arguments: &[&str]) -> Command {
    let mut command = cargo(&["build"]);
    command.args(arguments);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
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
        let skips = ["a::b: why".to_owned()];
        let summary = report.summary(&skips, false);
        let last = summary.lines().last().expect("a line");
        assert!(last.starts_with("FAILED: 3 passed, 1 failed, 2 skipped in 0 min"), "{last}");
        assert!(summary.contains("skipped: a::b: why\n") && summary.contains("no daemon\n"), "{summary}");
    }

    #[test]
    fn a_skip_is_a_failure_only_where_nothing_may_be_skipped() {
        let mut report = Report::default();
        report.step("one", |counts| {
            counts.passed = 1;
            Ok(())
        });
        let skips = ["a::b: why".to_owned()];
        assert!(!report.has_failed(&[], true));
        assert!(!report.has_failed(&skips, false));
        assert!(report.has_failed(&skips, true));
    }
}
