//! The command line, and nothing that it does.
//!
//! Flags of a main client of 0.19.11 are accepted wherever its SDKs and CI files write them: before the command or
//! after it, in any order. What is accepted and has no effect here says so in its help.
//!
//! # Source
//! `contract/cli.md` 1 and 2, `contract/session.md` 2.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

/// Runs pipelines written for Dagger 0.19 on the buildkitd you have.
#[derive(Debug, Parser)]
#[command(
    name = "treenail",
    disable_version_flag = true,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Address of buildkitd: unix://PATH or tcp://HOST:PORT.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) addr: Option<String>,

    /// Use this buildx builder.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "addr")]
    pub(crate) builder: Option<String>,

    /// How progress is shown: auto, tty, plain, dots, report, rawjson, quiet.
    #[arg(long, global = true, value_name = "MODE")]
    pub(crate) progress: Option<String>,

    /// Directory that relative paths start at; empty takes $DAGGER_WORKDIR.
    #[arg(long, global = true, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub(crate) workdir: OsString,

    /// More detail.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Less detail: once leaves out the output of steps, twice is --silent.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) quiet: u8,

    /// No progress at all, errors only.
    #[arg(short, long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value_t = false, action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) silent: bool,

    /// Everything, with a log of what the program does.
    #[arg(short, long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value_t = false, action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) debug: bool,

    /// Import a build cache. Not in this release.
    #[arg(long, global = true, value_name = "CACHE")]
    pub(crate) cache_from: Vec<String>,

    /// Export the build cache. Not in this release.
    #[arg(long, global = true, value_name = "CACHE")]
    pub(crate) cache_to: Vec<String>,

    /// Write what ran, as JSON, to this file at the end.
    #[arg(long, global = true, hide = true, value_name = "FILE", env = "TREENAIL_SUMMARY", hide_env = true)]
    pub(crate) summary_file: Option<OsString>,

    #[command(flatten)]
    pub(crate) accepted: Accepted,
}

/// What 0.19.11 knows and this program only accepts.
#[derive(Args, Clone, Debug)]
pub(crate) struct Accepted {
    #[arg(short, long, global = true, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    pub(crate) interactive: bool,
    #[arg(long, global = true, hide = true, value_name = "COMMAND")]
    interactive_command: Option<String>,
    #[arg(short, long, global = true, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    web: bool,
    #[arg(short = 'E', long, global = true, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    no_exit: bool,
    #[arg(short = 'y', long, global = true, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    auto_apply: bool,
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    pub(crate) dot_output: Option<PathBuf>,
    #[arg(long, global = true, hide = true, value_name = "FIELD")]
    dot_focus_field: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    dot_show_internal: bool,
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    cloud: bool,
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    scale_out: bool,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a program that uses the API.
    #[command(visible_alias = "r")]
    Run(Run),
    /// Run a GraphQL document and print its data.
    #[command(visible_alias = "q")]
    Query(Query),
    /// Serve one session to an SDK that starts this program.
    Session(Session),
    /// Serve the API at a fixed address.
    #[command(visible_alias = "l")]
    Listen(Listen),
    /// Say which daemon is used and what it can do.
    Doctor(Doctor),
    /// Print the version.
    Version(Version),
}

/// `run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// How long the program may take to end after a signal.
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = duration)]
    pub(crate) cleanup_timeout: Duration,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    focus: bool,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// `session`.
#[derive(Args, Debug)]
pub(crate) struct Session {
    /// Who starts the session; the name of the SDK is part of its name in the daemon's history.
    #[arg(long, value_name = "KEY:VALUE")]
    pub(crate) label: Vec<String>,
    /// Version of the client.
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
}

/// `query`.
#[derive(Args, Debug)]
pub(crate) struct Query {
    /// File with the document; standard input otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) doc: Option<PathBuf>,
    /// A variable whose value is a string.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) var: Vec<String>,
    /// All variables as one JSON object; wins over --var.
    #[arg(long, value_name = "JSON")]
    pub(crate) var_json: Option<String>,
    /// The operation to run, if the document has several.
    #[arg(value_name = "OPERATION")]
    pub(crate) operation: Option<String>,
    #[command(flatten)]
    pub(crate) modules: Modules,
}

/// `listen`.
#[derive(Args, Debug)]
pub(crate) struct Listen {
    /// Address to listen at.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: String,
    /// Let web pages of other origins ask. Not in this release.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
        action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) allow_cors: bool,
    /// Keep this machine's files out of reach.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false,
        action = ArgAction::Set, hide_default_value = true, hide_possible_values = true)]
    pub(crate) disable_host_read_write: bool,
    #[command(flatten)]
    pub(crate) modules: Modules,
}

/// Flags about modules, of commands that can do without one.
#[derive(Args, Debug)]
pub(crate) struct Modules {
    #[arg(short = 'm', long = "mod", hide = true, value_name = "REF", conflicts_with = "no_module")]
    pub(crate) module: Option<String>,
    #[arg(short = 'M', long = "no-mod", hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    no_module: bool,
    #[arg(long, hide = true, value_name = "LIST")]
    allow_llm: Vec<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value_t = false, action = ArgAction::Set)]
    eager_runtime: bool,
}

/// `doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `version`.
#[derive(Args, Debug)]
pub(crate) struct Version {
    #[arg(long, hide = true)]
    check: bool,
}

/// Reads a duration as Go writes it: `10s`, `1m30s`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("not a duration: `{text}`; write `10s` or `1m30s`");
    let mut rest = text;
    let mut sum = 0.0;
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        sum += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(wrong()),
            };
        rest = &rest[unit..];
    }
    Duration::try_from_secs_f64(sum).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("dagger").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn accepts_what_sdks_and_ci_files_pass() {
        for line in [
            "session --label dagger.io/sdk.name:python --label dagger.io/sdk.version:0.19.11",
            "session --workdir /tmp --label a:b --version v0.19.11 -vvv",
            "--progress plain session --label a:b --workdir .",
            "session --workdir= --label a:b",
            "session -sd --debug=false -q -q -i --interactive-command sh -w -E -y",
            "session --dot-output f --dot-focus-field x --dot-show-internal --cloud --scale-out",
            "--silent version",
            "q -M --doc f --var a=b --var-json {} op",
            "-v query -vv",
            "l --listen 127.0.0.1:1 --disable-host-read-write",
        ] {
            if let Err(error) = parse(line) {
                panic!("{line}: {error}");
            }
        }
        let before = parse("-vv --progress plain --workdir /x session").expect("parses").global;
        let after = parse("session -vv --progress plain --workdir /x").expect("parses").global;
        for global in [before, after] {
            assert_eq!(global.verbose, 2);
            assert_eq!(global.progress.as_deref(), Some("plain"));
            assert_eq!(global.workdir, "/x");
        }
    }

    #[test]
    fn refuses_unknown_flags_and_commands() {
        for line in ["session --project /x", "nonsense", "", "run", "query -m x -M"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn flags_after_the_program_are_its_own() {
        for line in ["run --progress plain -- python -v --help", "run --progress plain python -v --help"] {
            let cli = parse(line).expect(line);
            assert_eq!(cli.global.verbose, 0);
            let Command::Run(run) = cli.command else { panic!("{line}") };
            assert_eq!(run.command, ["python", "-v", "--help"]);
        }
    }

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "10", "s", "1x", "-1s", "1..s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
