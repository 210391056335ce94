//! Progress: a closed set of [`Event`]s in, drawings on standard error out.
//!
//! Drawing has a thread of its own, so that a slow terminal holds up no work. Events come from the daemon's status stream,
//! the API's failures and the program that `run` runs. When the drawer is far behind, output of steps is left out (and
//! counted); steps themselves, failures and the program's output never are.
//!
//! Invariant: nothing is drawn before [`Ui::start`], and nothing after [`Ui::finish`].

mod failed;
mod mode;
mod plain;
mod rawjson;
mod report;
mod steps;
mod style;
mod summary;
#[cfg(test)]
mod tests;
mod tty;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::task::JoinHandle as Task;
use treenail_bridge::{Bridge as _, StatusEvent};
use treenail_engine::Failed;
use treenail_graphql::Observer;

use crate::args::Global;
use crate::opened::Opened;
use steps::Steps;

pub(crate) use mode::Mode;

/// Events on their way to the drawer.
const WAITING: usize = 4096;
/// How long a sender waits before it tries again, when the drawer is behind.
const BEHIND: Duration = Duration::from_millis(5);
/// How often a terminal is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// How long the last events of the daemon are waited for.
const LAST_EVENTS: Duration = Duration::from_millis(300);

/// How long a reader of standard error who takes nothing is waited for at the end of a session.
const STALLED: Duration = Duration::from_secs(2);

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// What can happen while a command runs.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The daemon's progress.
    Status(StatusEvent),
    /// Events of the daemon that came too fast to be shown.
    Skipped(u64),
    /// A call failed.
    Failed(Failed),
    /// Output of the program that `run` runs.
    Output(Stream, Bytes),
    /// A line from this program.
    Note(String),
    /// Nothing more will come.
    Finished(Ending),
}

/// How the end is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With one line that says what ran.
    Summary,
    /// With nothing.
    Silent,
}

/// Draws.
trait Renderer: Send {
    /// Shows an event; `change` says what it did to the steps.
    fn event(&mut self, event: &Event, change: Option<steps::Change>, steps: &Steps) -> io::Result<()>;

    /// Some time has passed.
    fn tick(&mut self, _steps: &Steps) -> io::Result<()> {
        Ok(())
    }
}

/// The progress display of one command.
pub(crate) struct Ui {
    mode: Mode,
    events: SyncSender<Event>,
    /// Until the start.
    idle: Option<(Receiver<Event>, Drawer)>,
    drawing: Option<JoinHandle<Drawer>>,
    forwarding: Option<Task<()>>,
    /// Events that have been drawn.
    drawn: Arc<AtomicU64>,
    summary_file: Option<PathBuf>,
}

impl Ui {
    /// A display that does not draw yet.
    pub(crate) fn new(mode: Mode, global: &Global) -> Self {
        let (events, receiver) = sync_channel(WAITING);
        let style = style::Style::from_environment();
        let detail = mode::Detail::new(global);
        let renderer: Box<dyn Renderer> = match mode {
            Mode::Plain => Box::new(plain::Plain::new(io::stderr(), style, detail)),
            Mode::Tty => Box::new(tty::Tty::new(tty::Screen::stderr(), style, detail)),
            Mode::RawJson => Box::new(rawjson::RawJson::new(io::stderr())),
            Mode::Dots => Box::new(report::Report::new(io::stderr(), style, true)),
            Mode::Report => Box::new(report::Report::new(io::stderr(), style, false)),
            Mode::Quiet => Box::new(report::Quiet::new(io::stderr(), style)),
        };
        let drawn = Arc::new(AtomicU64::new(0));
        let drawer = Drawer {
            renderer,
            steps: Steps::default(),
            begun: Instant::now(),
            broken: false,
            drawn: drawn.clone(),
        };
        Self {
            mode,
            events,
            idle: Some((receiver, drawer)),
            drawing: None,
            forwarding: None,
            drawn,
            summary_file: global.summary_file.clone().filter(|path| !path.is_empty()).map(PathBuf::from),
        }
    }

    /// How it draws.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// What the API is to tell of failures.
    pub(crate) fn observer(&self) -> Observer {
        let events = self.events.clone();
        Arc::new(move |failed| {
            // The client is told in any case; a drawer that far behind shows enough.
            let _ = events.try_send(Event::Failed(failed.clone()));
        })
    }

    /// Begins to draw.
    pub(crate) fn start(&mut self, opened: &Opened) {
        let Some((receiver, mut drawer)) = self.idle.take() else { return };
        drawer.begun = Instant::now();
        let forwarding = forward(opened.bridge().status(), self.events.clone());
        self.forwarding = Some(tokio::spawn(forwarding));
        self.drawing = Some(std::thread::spawn(move || drawer.draw(&receiver)));
    }

    /// Shows a line.
    pub(crate) fn note(&self, line: &str) {
        // As for failures.
        let _ = self.events.try_send(Event::Note(line.to_owned()));
    }

    /// Shows what a program prints, line by line.
    pub(crate) fn printer(&self) -> Printer {
        Printer { events: self.events.clone(), rest: Vec::new() }
    }

    /// As [`Ui::finish`] with nothing said, for a client that may have given standard error a pipe which it never reads:
    /// a drawer that waits for room in it is left behind, and the summary with it.
    ///
    /// # Errors
    /// The summary cannot be written.
    pub(crate) async fn leave(self) -> anyhow::Result<()> {
        let drawn = self.drawn.clone();
        tokio::select! {
            finished = self.finish(Ending::Silent) => finished,
            () = stalled(&drawn) => Ok(()),
        }
    }

    /// Draws what is left and writes the summary, if one is wanted. The bridge has been closed before.
    ///
    /// # Errors
    /// The summary cannot be written.
    pub(crate) async fn finish(mut self, ending: Ending) -> anyhow::Result<()> {
        if let Some(forwarding) = self.forwarding.take() {
            let abort = forwarding.abort_handle();
            if tokio::time::timeout(LAST_EVENTS, forwarding).await.is_err() {
                abort.abort();
            }
        }
        let ending =
            if self.mode == Mode::RawJson || self.mode == Mode::Quiet { Ending::Silent } else { ending };
        send(&self.events, Event::Finished(ending)).await;
        let Some(drawing) = self.drawing.take() else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || drawing.join()).await;
        let Ok(Ok(drawer)) = joined else { anyhow::bail!("internal error: the progress display has failed") };
        if let Some(path) = &self.summary_file {
            let summary = summary::Summary::new(&drawer.steps, drawer.begun.elapsed());
            std::fs::write(path, summary.to_json())
                .with_context(|| format!("cannot write the summary to {}", path.display()))?;
        }
        Ok(())
    }
}

/// Waits until the drawer has made no progress for a while.
async fn stalled(drawn: &AtomicU64) {
    loop {
        let before = drawn.load(Ordering::Relaxed);
        tokio::time::sleep(STALLED).await;
        if drawn.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

/// Sends the output of a program to the drawer.
pub(crate) struct Printer {
    events: SyncSender<Event>,
    rest: Vec<u8>,
}

/// Longest line that is held back to be shown in one piece.
const LINE_LIMIT: usize = 16 * 1024;

impl Printer {
    /// Shows whole lines at once, and the rest with the next bytes.
    pub(crate) async fn print(&mut self, to: Stream, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let whole = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if self.rest.len() > LINE_LIMIT => self.rest.len(),
            None => return,
        };
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        send(&self.events, Event::Output(to, lines.into())).await;
    }

    /// Shows what has no end of line.
    pub(crate) async fn flush(mut self, to: Stream) {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            send(&self.events, Event::Output(to, rest.into())).await;
        }
    }
}

/// Sends an event that must arrive.
async fn send(events: &SyncSender<Event>, event: Event) {
    let mut event = event;
    loop {
        match events.try_send(event) {
            Ok(()) => return,
            // Nobody draws any more.
            Err(TrySendError::Disconnected(_)) => return,
            Err(TrySendError::Full(back)) => event = back,
        }
        tokio::time::sleep(BEHIND).await;
    }
}

/// Moves the daemon's events to the drawer.
async fn forward(mut from: broadcast::Receiver<StatusEvent>, to: SyncSender<Event>) {
    let skipped = AtomicU64::new(0);
    loop {
        match from.recv().await {
            Ok(event @ StatusEvent::Vertex { .. }) => {
                let missed = skipped.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    send(&to, Event::Skipped(missed)).await;
                }
                send(&to, Event::Status(event)).await;
            }
            Ok(event) => {
                if to.try_send(Event::Status(event)).is_err() {
                    skipped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(broadcast::error::RecvError::Lagged(count)) => send(&to, Event::Skipped(count)).await,
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// The drawing thread's own.
struct Drawer {
    renderer: Box<dyn Renderer>,
    steps: Steps,
    begun: Instant,
    /// Standard error is gone; steps are counted on.
    broken: bool,
    /// For those who wait.
    drawn: Arc<AtomicU64>,
}

impl Drawer {
    fn draw(mut self, events: &Receiver<Event>) -> Self {
        let mut drawn = Instant::now();
        loop {
            match events.recv_timeout(FRAME.saturating_sub(drawn.elapsed())) {
                Ok(event) => {
                    let finished = matches!(event, Event::Finished(_));
                    self.take(&event);
                    if finished {
                        return self;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self,
            }
            if drawn.elapsed() >= FRAME {
                drawn = Instant::now();
                if !self.broken {
                    self.broken = self.renderer.tick(&self.steps).is_err();
                }
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let change = match event {
            Event::Status(status) => self.steps.apply(status),
            _ => None,
        };
        if !self.broken {
            self.broken = self.renderer.event(event, change, &self.steps).is_err();
        }
        self.drawn.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes the program's output to the stream that it was meant for.
fn pass_through(to: Stream, bytes: &[u8]) -> io::Result<()> {
    match to {
        Stream::Stdout => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        }
        Stream::Stderr => io::stderr().lock().write_all(bytes),
    }
}
