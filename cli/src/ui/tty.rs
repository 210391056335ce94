//! Progress on a terminal: finished steps scroll away upwards, what runs is drawn anew below them.
//!
//! Invariant: the part that is drawn anew is never higher than the terminal, so moving up over it always works.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use console::Term;
use treenail_bridge::StatusEvent;

use super::mode::Detail;
use super::steps::{Change, Fate, Step, Steps};
use super::style::{Style, Tone, one_line, seconds, size};
use super::summary::Summary;
use super::{Ending, Event, Renderer, Stream, failed, pass_through};

/// Most lines of the part that is drawn anew.
const HEIGHT: usize = 16;
/// Last lines of output under each running step, unless `BUILDKIT_TTY_LOG_LINES` says otherwise.
const LOG_LINES: usize = 6;
/// Bytes of one line of output that are kept.
const LINE_LIMIT: usize = 1024;

/// Where to draw.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    size: Box<dyn Fn() -> (usize, usize) + Send>,
    now: Box<dyn Fn() -> i64 + Send>,
    log_lines: usize,
}

impl Screen {
    /// The terminal of standard error.
    pub(super) fn stderr() -> Self {
        let lines = std::env::var("BUILDKIT_TTY_LOG_LINES").ok().and_then(|lines| lines.parse().ok());
        let term = Term::stderr();
        Self {
            out: Box::new(io::stderr()),
            size: Box::new(move || {
                let (rows, columns) = term.size();
                (rows.into(), columns.into())
            }),
            now: Box::new(|| {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
            }),
            log_lines: lines.unwrap_or(LOG_LINES),
        }
    }

    #[cfg(test)]
    pub(super) fn fixed(out: Box<dyn Write + Send>, size: (usize, usize), now: i64) -> Self {
        Self { out, size: Box::new(move || size), now: Box::new(move || now), log_lines: 2 }
    }
}

/// Draws.
pub(super) struct Tty {
    screen: Screen,
    style: Style,
    detail: Detail,
    /// Lines drawn last.
    drawn: usize,
    /// Last lines of output by step, the unfinished one last.
    logs: HashMap<usize, Vec<String>>,
}

impl Tty {
    pub(super) fn new(screen: Screen, style: Style, detail: Detail) -> Self {
        Self { screen, style, detail, drawn: 0, logs: HashMap::new() }
    }

    /// Removes what is drawn anew; what is written next stays.
    fn clear(&mut self) -> io::Result<()> {
        for _ in 0..std::mem::take(&mut self.drawn) {
            // Up one line, erase it.
            self.screen.out.write_all(b"\x1b[1A\x1b[2K")?;
        }
        Ok(())
    }

    fn draw(&mut self, steps: &Steps) -> io::Result<()> {
        let (rows, columns) = (self.screen.size)();
        let height = HEIGHT.min(rows.saturating_sub(1));
        let now = (self.screen.now)();
        let mut lines = Vec::new();
        let running: Vec<(usize, &Step)> = steps
            .all()
            .iter()
            .enumerate()
            .filter(|(_, step)| step.fate() == Fate::Running && self.shows(step))
            .collect();
        if !running.is_empty() {
            let ended = steps.all().iter().filter(|step| step.completed.is_some()).count();
            lines.push(format!("[+] {} running, {ended} done", running.len()));
        }
        for (index, step) in &running {
            let took = seconds(step.spent + now - step.started.unwrap_or(now));
            lines.push(fitted(" => ", &step.name, &format!("{} {took}", transfers(step)), columns));
            if self.detail.logs {
                let kept = self.logs.get(index).map(Vec::as_slice).unwrap_or_default();
                let kept =
                    if kept.last().is_some_and(String::is_empty) { &kept[..kept.len() - 1] } else { kept };
                let kept = &kept[kept.len().saturating_sub(self.screen.log_lines)..];
                lines.extend(kept.iter().map(|line| format!("    | {line}")));
            }
        }
        let left_out = lines.len().saturating_sub(height);
        if left_out > 0 {
            lines.truncate(height.saturating_sub(1));
            lines.push(format!("    … {} lines more", left_out + 1));
        }
        self.clear()?;
        let mut text = String::new();
        for line in lines.iter().take(height) {
            text.push_str(&console::truncate_str(line, columns.saturating_sub(1), "…"));
            text.push('\n');
        }
        self.drawn = lines.len().min(height);
        self.screen.out.write_all(text.as_bytes())?;
        self.screen.out.flush()
    }

    fn shows(&self, step: &Step) -> bool {
        self.detail.internal || !step.is_internal()
    }

    /// Writes what stays, and draws the rest again below it.
    fn above(&mut self, text: &str, steps: &Steps) -> io::Result<()> {
        self.clear()?;
        self.screen.out.write_all(text.as_bytes())?;
        self.draw(steps)
    }

    fn ended(&mut self, index: usize, steps: &Steps) -> io::Result<()> {
        let step = steps.at(index);
        let logs = self.logs.remove(&index).unwrap_or_default();
        if !self.shows(step) {
            return Ok(());
        }
        let (mark, tone, word) = match step.fate() {
            Fate::Failed => ("✘", Tone::Bad, " ERROR"),
            Fate::Cached => ("✔", Tone::Good, " CACHED"),
            _ => ("✔", Tone::Good, ""),
        };
        let columns = (self.screen.size)().1;
        let line =
            fitted("", &step.name, &format!("{word} {}", seconds(step.spent)), columns.saturating_sub(2));
        let mut text = format!("{} {line}\n", self.style.paint(mark, tone));
        if step.fate() == Fate::Failed {
            for line in logs.iter().filter(|line| !line.is_empty()) {
                text.push_str(&format!("    | {line}\n"));
            }
            text.push_str(&format!("  ! {}\n", one_line(step.reason())));
        }
        self.above(&text, steps)
    }

    /// Keeps the last lines of a step. What would move the cursor is taken out.
    fn log(&mut self, index: usize, data: &[u8]) {
        let lines = self.logs.entry(index).or_insert_with(|| vec![String::new()]);
        let text = String::from_utf8_lossy(data);
        for (place, part) in console::strip_ansi_codes(&text).split('\n').enumerate() {
            if place > 0 {
                lines.push(String::new());
            }
            // A carriage return starts the line over, as progress bars do.
            let over = part.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
            if let Some(last) = lines.last_mut() {
                if over.len() < part.trim_end_matches('\r').len() {
                    last.clear();
                }
                let clean = over.chars().map(|letter| if letter == '\t' { ' ' } else { letter });
                last.extend(
                    clean.filter(|letter| !letter.is_control()).take(LINE_LIMIT.saturating_sub(last.len())),
                );
            }
        }
        let keep = self.screen.log_lines + 1;
        if lines.len() > keep {
            lines.drain(..lines.len() - keep);
        }
    }
}

/// A name between two texts that stay whole, on one line of a terminal.
fn fitted(before: &str, name: &str, after: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1 + before.len() + after.len());
    format!("{before}{}{after}", console::truncate_str(&one_line(name), room, "…"))
}

fn transfers(step: &Step) -> String {
    let (current, total) =
        step.transfers.values().fold((0, 0), |(current, total), part| (current + part.0, total + part.1));
    match (current, total) {
        (0, _) => String::new(),
        (current, total) if total >= current => format!(" {} / {}", size(current), size(total)),
        (current, _) => format!(" {}", size(current)),
    }
}

impl Renderer for Tty {
    fn event(&mut self, event: &Event, change: Option<Change>, steps: &Steps) -> io::Result<()> {
        match (event, change) {
            (Event::Status(StatusEvent::Log { data, .. }), Some(Change::Log(index))) => {
                self.log(index, data);
                Ok(())
            }
            (Event::Status(StatusEvent::Warning { short, .. }), _) => {
                self.above(&format!("warning: {}\n", one_line(short)), steps)
            }
            (Event::Status(_), Some(Change::Ended(index))) => self.ended(index, steps),
            (Event::Status(_), _) => Ok(()),
            (Event::Skipped(_), _) => Ok(()),
            (Event::Failed(failed), _) => {
                let text = failed::render(failed, self.style);
                self.above(&text, steps)
            }
            (Event::Output(to, bytes), _) => {
                self.clear()?;
                match to {
                    Stream::Stderr => self.screen.out.write_all(bytes)?,
                    Stream::Stdout => {
                        self.screen.out.flush()?;
                        pass_through(*to, bytes)?;
                    }
                }
                // The cursor must stand at the start of a line before anything is drawn below.
                if bytes.last().is_some_and(|byte| *byte != b'\n') { Ok(()) } else { self.draw(steps) }
            }
            (Event::Note(line), _) => self.above(&format!("{line}\n"), steps),
            (Event::Finished(ending), _) => {
                self.clear()?;
                if *ending == Ending::Summary {
                    let line = Summary::new(steps, Duration::ZERO).line();
                    self.screen.out.write_all(format!("{line}\n").as_bytes())?;
                }
                self.screen.out.flush()
            }
        }
    }

    fn tick(&mut self, steps: &Steps) -> io::Result<()> {
        self.draw(steps)
    }
}
