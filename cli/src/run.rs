//! `run`: opens a session, runs a program in it, and ends as the program ends.
//!
//! The program has the streams of this process. Only where progress is drawn on a terminal, what the program writes to that
//! terminal goes through the drawer, which keeps the two apart.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::args;
use crate::context::Context;
use crate::failure::{Failure, INTERRUPTED, Outcome};
use crate::joined::Joined;
use crate::name;
use crate::opened::Door;
use crate::signals::{Signals, Stop};
use crate::ui::{Ending, Mode, Printer, Stream, Ui};

/// Exit code when the program cannot be started, as shells have it.
const NOT_FOUND: u8 = 127;

pub(crate) async fn run(context: Context, args: args::Run) -> Outcome {
    let mode = context.mode()?;
    let mut signals = Signals::take().context("cannot take signals")?;
    let (program, arguments) = args.command.split_first().context("no program is given")?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    if Joined::from_environment()?.is_some() {
        // The session of the environment is the program's, too.
        let child = start(&mut command, program)?;
        return wait(child, &mut signals, args.cleanup_timeout).await;
    }

    let mut ui = Ui::new(mode, &context.global);
    let name = name::of_program(&args.command);
    let mut opened = tokio::select! {
        opened = context.open(&name, false, &ui) => opened?,
        _ = signals.next() => return Err(Failure::told(INTERRUPTED)),
    };
    let door = opened.listen("127.0.0.1:0", None).await.context("cannot listen on 127.0.0.1")?;
    ui.start(&opened);
    name_session(&mut command, &door);
    let piped = if ui.mode() == Mode::Tty { pipe_terminals(&mut command) } else { Piped::default() };
    let outcome = match start(&mut command, program) {
        Ok(mut child) => {
            let pumps = piped.pump(&mut child, &ui);
            let outcome = wait(child, &mut signals, args.cleanup_timeout).await;
            for pump in pumps {
                // It ends with the program's output; a panic was reported where it happened.
                let _ended = pump.await;
            }
            outcome
        }
        Err(failure) => Err(failure),
    };
    opened.close().await;
    ui.finish(Ending::Summary).await?;
    outcome
}

fn start(command: &mut Command, program: &OsString) -> Result<Child, Failure> {
    command.spawn().map_err(|error| {
        Failure::from(anyhow::Error::new(error).context(format!("cannot start {}", program.display())))
            .with_code(NOT_FOUND)
    })
}

/// What SDKs and nested programs read.
///
/// # Source
/// `contract/session.md` 1 and 4.
fn name_session(command: &mut Command, door: &Door) {
    command.env("DAGGER_SESSION_PORT", door.address.port().to_string());
    command.env("DAGGER_SESSION_TOKEN", &door.token);
}

/// Waits for the program, passing signals on; after one it has `patience` to end.
async fn wait(mut child: Child, signals: &mut Signals, patience: Duration) -> Outcome {
    let mut stopped = false;
    let status = loop {
        let deadline =
            async { if stopped { tokio::time::sleep(patience).await } else { std::future::pending().await } };
        tokio::select! {
            status = child.wait() => break status.context("cannot wait for the program")?,
            stop = signals.next() => {
                stopped = true;
                pass_on(&child, stop);
            }
            () = deadline => {
                child.kill().await.context("cannot end the program")?;
            }
        }
    };
    Ok(code(status, stopped))
}

/// Sends a signal to the program, unless it has it already: an interrupt typed at a terminal goes to all of the terminal's
/// foreground processes.
fn pass_on(child: &Child, stop: Stop) {
    use std::io::IsTerminal as _;
    let signal = match stop {
        Stop::Interrupt if std::io::stdin().is_terminal() => return,
        Stop::Interrupt => Signal::INT,
        Stop::Terminate => Signal::TERM,
        Stop::HangUp => Signal::HUP,
    };
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, signal)
    {
        // It has ended in the meantime; the wait will say how.
        tracing::debug!(%error, "cannot pass a signal on");
    }
}

/// The exit code for the end of the program.
fn code(status: ExitStatus, stopped: bool) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(_)) if stopped => INTERRUPTED,
        (None, signal) => u8::try_from(128 + signal.unwrap_or_default()).unwrap_or(u8::MAX),
    }
}

/// Which streams of the program go through the drawer.
#[derive(Default)]
struct Piped {
    stdout: bool,
    stderr: bool,
}

fn pipe_terminals(command: &mut Command) -> Piped {
    use std::io::IsTerminal as _;
    let piped = Piped { stdout: std::io::stdout().is_terminal(), stderr: std::io::stderr().is_terminal() };
    if piped.stdout {
        command.stdout(Stdio::piped());
    }
    if piped.stderr {
        command.stderr(Stdio::piped());
    }
    piped
}

impl Piped {
    fn pump(&self, child: &mut Child, ui: &Ui) -> Vec<JoinHandle<()>> {
        let mut pumps = Vec::new();
        if let Some(stream) = child.stdout.take().filter(|_| self.stdout) {
            pumps.push(tokio::spawn(pump(stream, Stream::Stdout, ui.printer())));
        }
        if let Some(stream) = child.stderr.take().filter(|_| self.stderr) {
            pumps.push(tokio::spawn(pump(stream, Stream::Stderr, ui.printer())));
        }
        pumps
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, to: Stream, mut printer: Printer) {
    let mut buffer = vec![0; 8192];
    // Output that cannot be read any more is over.
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        printer.print(to, &buffer[..size]).await;
    }
    printer.flush(to).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_program_s_own() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(code(exited(0), false), 0);
        assert_eq!(code(exited(7), true), 7);
        assert_eq!(code(ExitStatus::from_raw(9), false), 137);
        assert_eq!(code(ExitStatus::from_raw(15), true), INTERRUPTED);
    }
}
