//! `session`: serves an SDK that has started this program.
//!
//! # Source
//! `contract/session.md` 2.

use std::io::Write as _;

use anyhow::Context as _;

use crate::args;
use crate::context::Context;
use crate::failure::{ERROR, Failure, Outcome};
use crate::joined::Joined;
use crate::name;
use crate::signals::{self, Signals};
use crate::ui::Ui;

/// Oldest client that may use the API.
const OLDEST: (u64, u64) = (0, 19);

pub(crate) async fn run(context: Context, args: args::Session) -> Outcome {
    check_client(args.version.as_deref())?;
    let mode = context.mode()?;
    let mut end = signals::end_of_input();
    let mut signals = Signals::take().context("cannot take signals")?;
    // SDKs that start us although the environment names half a session (Rust, Java, Elixir) want one of their own.
    if let Ok(Some(joined)) = Joined::from_environment() {
        announce(joined.port(), joined.token())?;
        tokio::select! { _ = &mut end => {} _ = signals.next() => {} }
        return Ok(0);
    }

    let mut ui = Ui::new(mode, &context.global);
    let opening = async {
        let mut opened = context.open(&name::of_sdk(&args.label, &context.workdir), false, &ui).await?;
        let door = opened.listen("127.0.0.1:0", None).await.context("cannot listen on 127.0.0.1")?;
        Ok::<_, Failure>((opened, door))
    };
    let (opened, door) = tokio::select! {
        opened = opening => opened?,
        _ = &mut end => return Ok(0),
        _ = signals.next() => return Ok(0),
    };
    announce(door.address.port(), &door.token)?;
    // Not before: nothing but the line may be read by an SDK that mixes both streams.
    ui.start(&opened);

    let session = opened.session().clone();
    let code = tokio::select! {
        _ = &mut end => 0,
        _ = signals.next() => 0,
        Some(reason) = session.lost() => {
            ui.note(&format!("Error: the session with buildkitd is lost: {reason}"));
            // The client learns of it at its next request, and ends the session.
            tokio::select! { _ = &mut end => {} _ = signals.next() => {} }
            ERROR
        }
    };
    opened.close().await;
    ui.leave().await?;
    Ok(code)
}

/// The line that an SDK waits for; its only keys are these two.
fn announce(port: u16, token: &str) -> Result<(), Failure> {
    let line = serde_json::json!({ "port": port, "session_token": token });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("cannot write to standard output")?;
    Ok(())
}

/// Refuses clients that speak an older API.
///
/// # Source
/// `contract/session.md` 6.
fn check_client(version: Option<&str>) -> Result<(), Failure> {
    let Some(version) = version.filter(|version| !version.is_empty()) else { return Ok(()) };
    let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST => {
            Err(anyhow::anyhow!("incompatible client version {version}").into())
        }
        // Newer ones, and development builds, know what they do.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_clients_are_refused() {
        for version in ["v0.18.19", "0.9.3", "v0.18.0-rc.1"] {
            assert!(check_client(Some(version)).is_err(), "{version}");
        }
        for version in ["v0.19.0", "0.19.11", "v0.20.1", "v1.0.0", "", "devel", "v0.19.11-dev+x"] {
            assert!(check_client(Some(version)).is_ok(), "{version}");
        }
        assert!(check_client(None).is_ok());
    }
}
