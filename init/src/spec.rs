//! The helper's command line.

use std::error::Error;
use std::fmt;

use crate::{Expect, HELPER_PATH};

/// Where standard input comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing to read.
    #[default]
    Empty,
    /// A file in the container; relative to the working directory. Read as root, so that a mounted secret works
    /// for any user.
    File(String),
}

/// All that the helper needs to know to run a command.
///
/// Paths are paths in the container. Texts must not contain NUL bytes: a command line cannot carry them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecSpec {
    /// The command as run: entrypoint included, the helper not. At least one element.
    pub args: Vec<String>,
    /// Working directory, absolute; created (0755, owned by the user) if missing.
    pub cwd: String,
    /// `name`, `uid`, `name:group` or `uid:gid`, looked up in the container; empty stays what the helper is, root.
    pub user: String,
    /// What the command reads.
    pub stdin: Stdin,
    /// File that gets standard output too; relative to the working directory.
    pub redirect_stdout: Option<String>,
    /// File that gets standard error too; relative to the working directory.
    pub redirect_stderr: Option<String>,
    /// Which exit codes are a success.
    pub expect: Expect,
    /// Variables whose values are secrets.
    pub scrub_env: Vec<String>,
    /// Files whose contents are secrets. One that does not exist is passed over.
    pub scrub_files: Vec<String>,
    /// Variables that the command shall not see, beside those with [`crate::HIDDEN_ENV_PREFIX`].
    pub hide_env: Vec<String>,
    /// `HOME` was set on purpose, as a variable or a secret one: leave it alone. Otherwise the helper sets it to
    /// what the user's passwd entry says. It cannot see the difference itself, because the container runtime has
    /// put root's home directory there before.
    pub keep_home: bool,
    /// The command takes the helper's place as process 1.
    pub no_init: bool,
}

impl Default for ExecSpec {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            cwd: "/".to_owned(),
            user: String::new(),
            stdin: Stdin::Empty,
            redirect_stdout: None,
            redirect_stderr: None,
            expect: Expect::Success,
            scrub_env: Vec::new(),
            scrub_files: Vec::new(),
            hide_env: Vec::new(),
            keep_home: false,
            no_init: false,
        }
    }
}

/// A command line that is not the helper's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// An option that this helper does not know; the text is the argument.
    UnknownOption(String),
    /// An option's value is not one of those it takes; the text is the argument.
    BadValue(String),
    /// Nothing stands behind `--`, or there is none.
    NoCommand,
}

impl fmt::Display for SpecError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOption(argument) => write!(formatter, "unknown option: `{argument}`"),
            Self::BadValue(argument) => write!(formatter, "bad value of an option: `{argument}`"),
            Self::NoCommand => formatter.write_str("no command has been set"),
        }
    }
}

impl Error for SpecError {}

impl ExecSpec {
    /// Arguments behind the helper's own name: options that differ from their defaults, in a fixed order, then
    /// the command; `--` between them only where the command could be taken for an option.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut option = |name: &str, value: &str| args.push(format!("--{name}={value}"));
        if self.cwd != "/" {
            option("cwd", &self.cwd);
        }
        if !self.user.is_empty() {
            option("user", &self.user);
        }
        if let Stdin::File(path) = &self.stdin {
            option("stdin", path);
        }
        if let Some(path) = &self.redirect_stdout {
            option("stdout", path);
        }
        if let Some(path) = &self.redirect_stderr {
            option("stderr", path);
        }
        if self.expect != Expect::Success {
            option("expect", self.expect.as_word());
        }
        for name in &self.scrub_env {
            option("scrub-env", name);
        }
        for path in &self.scrub_files {
            option("scrub-file", path);
        }
        for name in &self.hide_env {
            option("hide-env", name);
        }
        if self.keep_home {
            args.push("--keep-home".to_owned());
        }
        if self.no_init {
            args.push("--no-init".to_owned());
        }
        if self.args.first().is_none_or(|command| command.starts_with("--")) {
            args.push("--".to_owned());
        }
        args.extend(self.args.iter().cloned());
        args
    }

    /// [`ExecSpec::to_args`] with the helper's path in front: an exec's whole argument list.
    #[must_use]
    pub fn to_args_with_program(&self) -> Vec<String> {
        let mut args = self.to_args();
        args.insert(0, HELPER_PATH.to_owned());
        args
    }

    /// Reads what [`ExecSpec::to_args`] wrote; the helper's own name must be gone.
    ///
    /// # Errors
    /// [`SpecError`] for anything else.
    pub fn from_args<I>(args: I) -> Result<Self, SpecError>
    where
        I: IntoIterator<Item = String>,
    {
        let mut spec = Self::default();
        let mut args = args.into_iter();
        loop {
            let argument = args.next().ok_or(SpecError::NoCommand)?;
            if !argument.starts_with("--") {
                spec.args.push(argument);
                break;
            }
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            match (name, value) {
                ("--", None) => break,
                ("--cwd", Some(value)) => spec.cwd = value,
                ("--user", Some(value)) => spec.user = value,
                ("--stdin", Some(value)) => spec.stdin = Stdin::File(value),
                ("--stdout", Some(value)) => spec.redirect_stdout = Some(value),
                ("--stderr", Some(value)) => spec.redirect_stderr = Some(value),
                ("--expect", Some(value)) => {
                    spec.expect = Expect::from_word(&value).ok_or(SpecError::BadValue(argument))?;
                }
                ("--scrub-env", Some(value)) => spec.scrub_env.push(value),
                ("--scrub-file", Some(value)) => spec.scrub_files.push(value),
                ("--hide-env", Some(value)) => spec.hide_env.push(value),
                ("--keep-home", None) => spec.keep_home = true,
                ("--no-init", None) => spec.no_init = true,
                _ => return Err(SpecError::UnknownOption(argument)),
            }
        }
        spec.args.extend(args);
        if spec.args.is_empty() { Err(SpecError::NoCommand) } else { Ok(spec) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn parse(args: &[&str]) -> Result<ExecSpec, SpecError> {
        ExecSpec::from_args(args.iter().map(|&argument| argument.to_owned()))
    }

    #[test]
    fn a_plain_command_shows_nothing_but_itself() {
        let spec = ExecSpec { args: vec!["echo".to_owned(), "--".to_owned()], ..ExecSpec::default() };
        assert_eq!(spec.to_args_with_program(), ["/.init", "echo", "--"]);
    }

    // These lines are in users' cache keys: a change here must come with a new behaviour number.
    #[test]
    fn the_command_line_is_pinned() {
        let spec = ExecSpec {
            args: vec!["cat".to_owned()],
            cwd: "/a".to_owned(),
            user: "daemon:floppy".to_owned(),
            stdin: Stdin::File("in=put".to_owned()),
            redirect_stdout: Some("o".to_owned()),
            redirect_stderr: Some("e".to_owned()),
            expect: Expect::Any,
            scrub_env: vec!["B".to_owned(), "A".to_owned()],
            scrub_files: vec!["/s".to_owned()],
            hide_env: vec!["FTP_PROXY".to_owned()],
            keep_home: true,
            no_init: true,
        };
        let args = [
            "--cwd=/a",
            "--user=daemon:floppy",
            "--stdin=in=put",
            "--stdout=o",
            "--stderr=e",
            "--expect=any",
            "--scrub-env=B",
            "--scrub-env=A",
            "--scrub-file=/s",
            "--hide-env=FTP_PROXY",
            "--keep-home",
            "--no-init",
            "cat",
        ];
        assert_eq!(spec.to_args(), args);
        assert_eq!(parse(&args), Ok(spec));
    }

    #[test]
    fn other_command_lines_are_refused() {
        assert_eq!(parse(&[]), Err(SpecError::NoCommand));
        assert_eq!(parse(&["--cwd=/"]), Err(SpecError::NoCommand));
        assert_eq!(parse(&["--"]), Err(SpecError::NoCommand));
        assert_eq!(parse(&["--relay=x", "--", "a"]), Err(SpecError::UnknownOption("--relay=x".to_owned())));
        assert_eq!(
            parse(&["--no-init=1", "--", "a"]),
            Err(SpecError::UnknownOption("--no-init=1".to_owned()))
        );
        assert_eq!(parse(&["-l"]).map(|spec| spec.args), Ok(vec!["-l".to_owned()]));
        assert_eq!(parse(&["--expect=all", "--", "a"]), Err(SpecError::BadValue("--expect=all".to_owned())));
    }

    fn text() -> impl Strategy<Value = String> {
        "[^\0]{0,12}|--|--no-init|--cwd=/x|="
    }

    fn any_spec() -> impl Strategy<Value = ExecSpec> {
        let expect = prop_oneof![Just(Expect::Success), Just(Expect::Failure), Just(Expect::Any)];
        let stdin = option::of(text()).prop_map(|path| path.map_or(Stdin::Empty, Stdin::File));
        let lists = (vec(text(), 1..4), vec(text(), 0..3), vec(text(), 0..3), vec(text(), 0..3));
        let streams = (stdin, option::of(text()), option::of(text()));
        (lists, streams, expect, text(), text(), any::<(bool, bool)>()).prop_map(
            |(lists, streams, expect, cwd, user, (keep_home, no_init))| {
                let (args, scrub_env, scrub_files, hide_env) = lists;
                let (stdin, redirect_stdout, redirect_stderr) = streams;
                ExecSpec {
                    args,
                    cwd,
                    user,
                    stdin,
                    redirect_stdout,
                    redirect_stderr,
                    expect,
                    scrub_env,
                    scrub_files,
                    hide_env,
                    keep_home,
                    no_init,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(spec in any_spec()) {
            prop_assert_eq!(ExecSpec::from_args(spec.to_args()), Ok(spec));
        }
    }
}
