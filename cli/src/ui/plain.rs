//! Progress as lines: what CI logs keep.
//!
//! ```text
//! 1   : withExec echo hi
//! 1   : [0.1s] | hi
//! 1   : withExec echo hi DONE [0.1s]
//! ```
//!
//! # Source
//! `contract/cli.md` 6.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use treenail_bridge::StatusEvent;

use super::mode::Detail;
use super::steps::{Change, Fate, Step, Steps};
use super::style::{Style, Tone, one_line, seconds};
use super::summary::Summary;
use super::{Ending, Event, Renderer, Stream, failed, pass_through};

/// Longest piece of output that is held back until its line ends.
const LINE_LIMIT: usize = 16 * 1024;

/// A step that goes on after its end is said to have ended again when it took this much longer, in nanoseconds.
const MORE_WORK: i64 = 100_000_000;
/// Characters of a name that are repeated at its end.
const SHORT: usize = 60;

/// Writes lines.
pub(super) struct Plain<W> {
    out: W,
    style: Style,
    detail: Detail,
    /// The step of the last line, 0 for a line of no step; a blank line stands between them.
    last: Option<usize>,
    /// Steps whose name has been shown, and how each was last said to have ended.
    shown: HashMap<usize, Option<(Fate, i64)>>,
    /// Output without an end of line so far, by step and stream.
    pieces: HashMap<(usize, i64), Vec<u8>>,
}

impl<W: Write + Send> Plain<W> {
    pub(super) fn new(out: W, style: Style, detail: Detail) -> Self {
        Self { out, style, detail, last: None, shown: HashMap::new(), pieces: HashMap::new() }
    }

    fn line(&mut self, step: &Step, text: &str) -> io::Result<()> {
        if self.last.is_some_and(|last| last != step.number) {
            writeln!(self.out)?;
        }
        self.last = Some(step.number);
        writeln!(self.out, "{:<4}: {text}", step.number)
    }

    /// A line that belongs to no step.
    fn apart(&mut self, text: &str) -> io::Result<()> {
        if self.last.replace(0).is_some_and(|last| last != 0) {
            writeln!(self.out)?;
        }
        self.out.write_all(text.as_bytes())
    }

    fn started(&mut self, index: usize, step: &Step) -> io::Result<()> {
        if self.shown.contains_key(&index) {
            return Ok(());
        }
        self.shown.insert(index, None);
        self.line(step, &one_line(&step.name))
    }

    fn ended(&mut self, index: usize, steps: &Steps) -> io::Result<()> {
        let step = steps.at(index);
        let fate = step.fate();
        match self.shown.get(&index) {
            Some(Some((before, spent))) if *before == fate && step.spent - spent < MORE_WORK => return Ok(()),
            // Found in the cache: one line says it all.
            None if fate == Fate::Cached => {}
            _ => self.started(index, step)?,
        }
        let brief = self.shown.insert(index, Some((fate, step.spent))).is_none();
        for stream in [1, 2] {
            if let Some(rest) = self.pieces.remove(&(index, stream)) {
                self.output(step, &rest, step.completed.unwrap_or_default())?;
            }
        }
        let (word, tone) = match fate {
            Fate::Failed => ("ERROR", Tone::Bad),
            Fate::Cached => ("CACHED", Tone::Good),
            _ => ("DONE", Tone::Good),
        };
        let name = if brief { one_line(&step.name) } else { shortened(&step.name) };
        let end = format!("{name} {} [{}]", self.style.paint(word, tone), seconds(step.spent));
        self.line(step, &end)?;
        if fate == Fate::Failed {
            let error = format!("{} {}", self.style.paint("!", Tone::Bad), one_line(step.reason()));
            self.line(step, &error)?;
        }
        Ok(())
    }

    /// Shows whole lines and keeps the rest.
    fn log(&mut self, index: usize, stream: i64, data: &[u8], time: i64, steps: &Steps) -> io::Result<()> {
        let mut text = self.pieces.remove(&(index, stream)).unwrap_or_default();
        text.extend_from_slice(data);
        let mut from = 0;
        while let Some(end) = text[from..].iter().position(|byte| *byte == b'\n') {
            self.output(steps.at(index), &text[from..from + end], time)?;
            from += end + 1;
        }
        if text.len() - from > LINE_LIMIT {
            self.output(steps.at(index), &text[from..], time)?;
        } else if from < text.len() {
            text.drain(..from);
            self.pieces.insert((index, stream), text);
        }
        Ok(())
    }

    fn output(&mut self, step: &Step, line: &[u8], time: i64) -> io::Result<()> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let since = time - step.started.unwrap_or(time);
        let mark = self.style.paint(&format!("[{}] |", seconds(since)), Tone::Faint);
        let text = String::from_utf8_lossy(line);
        self.line(step, &format!("{mark} {text}"))
    }
}

/// The start of a name, on one line.
fn shortened(name: &str) -> String {
    let line = one_line(name);
    match line.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl<W: Write + Send> Renderer for Plain<W> {
    fn event(&mut self, event: &Event, change: Option<Change>, steps: &Steps) -> io::Result<()> {
        let hidden = |index: usize| steps.at(index).is_internal() && !self.detail.internal;
        match (event, change) {
            (_, Some(Change::Started(index) | Change::Ended(index) | Change::Log(index)))
                if hidden(index) =>
            {
                Ok(())
            }
            (_, Some(Change::Started(index))) => self.started(index, steps.at(index)),
            (_, Some(Change::Ended(index))) => self.ended(index, steps),
            (Event::Status(StatusEvent::Log { stream, data, time, .. }), Some(Change::Log(index)))
                if self.detail.logs =>
            {
                self.log(index, *stream, data, *time, steps)
            }
            (Event::Status(StatusEvent::Warning { short, .. }), Some(Change::Warned(index))) => {
                self.line(steps.at(index), &format!("warning: {}", one_line(short)))
            }
            (Event::Status(_), _) => Ok(()),
            (Event::Skipped(count), _) => {
                self.apart(&format!("({count} events came too fast to be shown)\n"))
            }
            (Event::Failed(failed), _) => {
                let text = failed::render(failed, self.style);
                self.apart(&text)
            }
            (Event::Output(to, bytes), _) => match to {
                Stream::Stderr => self.out.write_all(bytes),
                Stream::Stdout => pass_through(*to, bytes),
            },
            (Event::Note(line), _) => self.apart(&format!("{line}\n")),
            (Event::Finished(Ending::Summary), _) => {
                let line = Summary::new(steps, Duration::ZERO).line();
                self.apart(&format!("{line}\n"))
            }
            (Event::Finished(Ending::Silent), _) => Ok(()),
        }
    }
}
