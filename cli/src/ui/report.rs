//! Displays that say little while work goes on: a report at the end, dots, or errors alone.

use std::io::{self, Write};
use std::time::Duration;

use super::steps::{Change, Fate, Steps};
use super::style::{Style, Tone, one_line, seconds};
use super::summary::Summary;
use super::{Ending, Event, Renderer, Stream, failed, pass_through};

/// Nothing, or a dot for each step, and all steps at the end.
pub(super) struct Report<W> {
    out: W,
    style: Style,
    dots: bool,
    failures: String,
    dotted: bool,
}

impl<W: Write + Send> Report<W> {
    pub(super) fn new(out: W, style: Style, dots: bool) -> Self {
        Self { out, style, dots, failures: String::new(), dotted: false }
    }

    fn all(&mut self, steps: &Steps) -> io::Result<()> {
        if self.dotted {
            writeln!(self.out)?;
        }
        let mut shown: Vec<_> =
            steps.all().iter().filter(|step| step.number > 0 && !step.is_internal()).collect();
        shown.sort_by_key(|step| step.number);
        for step in shown {
            let (mark, tone, word) = match step.fate() {
                Fate::Failed => ("✘", Tone::Bad, "ERROR"),
                Fate::Cached => ("$", Tone::Good, "CACHED"),
                Fate::Running | Fate::Waiting => ("●", Tone::Faint, "UNFINISHED"),
                Fate::Ran => ("✔", Tone::Good, "DONE"),
            };
            let mark = self.style.paint(mark, tone);
            writeln!(self.out, "{mark} {} {word} [{}]", one_line(&step.name), seconds(step.spent))?;
            if step.fate() == Fate::Failed {
                writeln!(self.out, "  ! {}", one_line(step.reason()))?;
            }
        }
        self.out.write_all(self.failures.as_bytes())
    }
}

impl<W: Write + Send> Renderer for Report<W> {
    fn event(&mut self, event: &Event, change: Option<Change>, steps: &Steps) -> io::Result<()> {
        match event {
            Event::Status(_) => match change {
                Some(Change::Ended(index)) if self.dots && !steps.at(index).is_internal() => {
                    self.dotted = true;
                    let failed = steps.at(index).fate() == Fate::Failed;
                    let (mark, tone) = if failed { ("X", Tone::Bad) } else { (".", Tone::Good) };
                    let mark = self.style.paint(mark, tone);
                    self.out.write_all(mark.as_bytes())?;
                    self.out.flush()
                }
                _ => Ok(()),
            },
            Event::Skipped(_) => Ok(()),
            Event::Failed(failed) => {
                self.failures.push_str(&failed::render(failed, self.style));
                Ok(())
            }
            Event::Output(to, bytes) => match to {
                Stream::Stderr => self.out.write_all(bytes),
                Stream::Stdout => pass_through(*to, bytes),
            },
            Event::Note(line) => writeln!(self.out, "{line}"),
            Event::Finished(ending) => {
                self.all(steps)?;
                match ending {
                    Ending::Summary => writeln!(self.out, "{}", Summary::new(steps, Duration::ZERO).line()),
                    Ending::Silent => Ok(()),
                }
            }
        }
    }
}

/// Failures, and nothing else.
pub(super) struct Quiet<W> {
    out: W,
    style: Style,
}

impl<W: Write + Send> Quiet<W> {
    pub(super) fn new(out: W, style: Style) -> Self {
        Self { out, style }
    }
}

impl<W: Write + Send> Renderer for Quiet<W> {
    fn event(&mut self, event: &Event, _: Option<Change>, _: &Steps) -> io::Result<()> {
        match event {
            Event::Failed(failed) => self.out.write_all(failed::render(failed, self.style).as_bytes()),
            Event::Output(Stream::Stderr, bytes) => self.out.write_all(bytes),
            Event::Output(to @ Stream::Stdout, bytes) => pass_through(*to, bytes),
            Event::Note(line) => writeln!(self.out, "{line}"),
            Event::Status(_) | Event::Skipped(_) | Event::Finished(_) => Ok(()),
        }
    }
}
