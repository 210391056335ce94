//! How a command fails: what a person reads, and the code that the program exits with.

use std::fmt::Write as _;
use std::process::ExitCode;

/// Exit code of every error that has no code of its own.
///
/// # Source
/// `contract/cli.md` 4.
pub(crate) const ERROR: u8 = 1;
/// Exit code after an interrupt.
pub(crate) const INTERRUPTED: u8 = 2;

/// Why a command could not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong; nothing when it has been said already.
    error: Option<anyhow::Error>,
    /// What to do about it, one line each.
    hints: Vec<String>,
    /// Titles and texts of what a command wrote.
    blocks: Vec<(&'static str, String)>,
    code: u8,
}

/// What commands answer: the code to exit with.
pub(crate) type Outcome = Result<u8, Failure>;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: Some(error.into()), hints: Vec::new(), blocks: Vec::new(), code: ERROR }
    }
}

impl Failure {
    /// Something that this release does not have.
    pub(crate) fn not_in_this_release(what: &str) -> Self {
        anyhow::anyhow!("{what} is not in this release").into()
    }

    /// A failure that has been told in full.
    pub(crate) fn told(code: u8) -> Self {
        Self { error: None, hints: Vec::new(), blocks: Vec::new(), code }
    }

    /// The same, with one more way out.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same, with another exit code.
    #[must_use]
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The same, with what a command wrote.
    #[must_use]
    pub(crate) fn with_block(mut self, title: &'static str, text: impl Into<String>) -> Self {
        self.blocks.push((title, text.into()));
        self
    }

    /// The exit code.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// `Error: …` with the whole chain of causes, then the hints.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        if let Some(error) = &self.error {
            text.push_str("Error: ");
            let mut last = String::new();
            for cause in error.chain() {
                let cause = cause.to_string();
                // Wrappers that pass their cause's text through would echo.
                if cause == last {
                    continue;
                }
                if !last.is_empty() {
                    text.push_str(": ");
                }
                text.push_str(&cause);
                last = cause;
            }
            text.push('\n');
        }
        for hint in &self.hints {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "  {hint}");
        }
        for (title, block) in &self.blocks {
            let _ = writeln!(text, "{title}\n{}", block.trim_end_matches('\n'));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_chain_is_one_line_and_hints_follow() {
        let error = std::io::Error::other("refused");
        let error = Err::<(), _>(error).context("cannot connect").expect_err("an error");
        let failure = Failure::from(error).with_hint("start buildkitd").with_hint("or name another");
        assert_eq!(
            failure.render(),
            "Error: cannot connect: refused\n  start buildkitd\n  or name another\n"
        );
        assert_eq!(Failure::told(3).render(), "");
    }
}
