//! Which display to use, and how much it shows.

use std::io::IsTerminal as _;

use crate::args::Global;

/// How progress is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Lines.
    Plain,
    /// A part of the terminal, drawn again and again.
    Tty,
    /// One JSON object for each event.
    RawJson,
    /// A dot for each step, a report at the end.
    Dots,
    /// A report at the end.
    Report,
    /// Errors only.
    Quiet,
}

/// The display that was asked for cannot be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("no tty available for progress \"tty\"")]
    NoTerminal,
    #[error("unknown progress type {0:?}")]
    Unknown(String),
}

impl Mode {
    /// The display that flags, environment and terminal lead to.
    ///
    /// # Errors
    /// [`Error`].
    ///
    /// # Source
    /// `contract/cli.md` 6.
    pub(crate) fn choose(global: &Global, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let streams = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Self::choose_for(global, variable, streams)
    }

    fn choose_for(
        global: &Global,
        variable: &dyn Fn(&str) -> Option<String>,
        (stdout, stderr): (bool, bool),
    ) -> Result<Self, Error> {
        let quiet = u64::from(global.quiet)
            .max(variable("DAGGER_QUIET").and_then(|count| count.parse().ok()).unwrap_or_default());
        if global.silent || quiet >= 2 {
            return Ok(Self::Quiet);
        }
        let asked = match global.progress.as_deref() {
            None | Some("auto") => variable("DAGGER_PROGRESS")
                .or_else(|| variable("BUILDKIT_PROGRESS"))
                .unwrap_or_else(|| "auto".to_owned()),
            Some(mode) => mode.to_owned(),
        };
        match asked.as_str() {
            "auto" if variable("CLAUDECODE").as_deref() == Some("1") => Ok(Self::Report),
            // What is drawn goes to standard error: without a terminal there, there is nothing to draw on.
            "auto" if stderr && variable("TERM").as_deref() != Some("dumb") => Ok(Self::Tty),
            "auto" | "plain" => Ok(Self::Plain),
            "tty" if stderr || stdout => Ok(if stderr { Self::Tty } else { Self::Plain }),
            "tty" => Err(Error::NoTerminal),
            "rawjson" => Ok(Self::RawJson),
            "dots" => Ok(Self::Dots),
            "report" => Ok(Self::Report),
            "quiet" => Ok(Self::Quiet),
            other => Err(Error::Unknown(other.to_owned())),
        }
    }
}

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detail {
    /// The output of steps.
    pub(super) logs: bool,
    /// Steps that the daemon marks as its own.
    pub(super) internal: bool,
}

impl Detail {
    pub(super) fn new(global: &Global) -> Self {
        Self { logs: global.quiet == 0, internal: global.verbose > 0 || global.debug }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Cli;

    fn choose(flags: &str, variables: &[(&str, &str)], streams: (bool, bool)) -> Result<Mode, Error> {
        let cli =
            Cli::try_parse_from(["x", "version"].into_iter().chain(flags.split_whitespace())).expect(flags);
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Mode::choose_for(&cli.global, &variable, streams)
    }

    #[test]
    fn flags_then_variables_then_the_terminal() {
        let (none, both) = ((false, false), (true, true));
        assert_eq!(choose("", &[], none), Ok(Mode::Plain));
        assert_eq!(choose("", &[], both), Ok(Mode::Tty));
        assert_eq!(choose("", &[("TERM", "dumb")], both), Ok(Mode::Plain));
        assert_eq!(choose("", &[("CLAUDECODE", "1")], both), Ok(Mode::Report));
        assert_eq!(choose("", &[("DAGGER_PROGRESS", "rawjson")], both), Ok(Mode::RawJson));
        assert_eq!(choose("--progress auto", &[("BUILDKIT_PROGRESS", "quiet")], both), Ok(Mode::Quiet));
        assert_eq!(choose("--progress dots", &[("DAGGER_PROGRESS", "rawjson")], none), Ok(Mode::Dots));
        assert_eq!(choose("-s --progress tty", &[], none), Ok(Mode::Quiet));
        assert_eq!(choose("-qq", &[], both), Ok(Mode::Quiet));
        assert_eq!(choose("--progress tty", &[], none), Err(Error::NoTerminal));
        let unknown = choose("--progress x", &[], both).expect_err("unknown");
        assert_eq!(unknown.to_string(), "unknown progress type \"x\"");
    }
}
