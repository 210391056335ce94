//! Which exit codes are a success.

/// Codes that a caller takes for a success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Expect {
    /// 0 alone.
    #[default]
    Success,
    /// 1 to 127 and 192 to 255.
    Failure,
    /// 0 to 127 and 192 to 255.
    Any,
}

impl Expect {
    /// Whether a code is a success. 128 to 191 stand for signals and never are; nor is -1, "not known".
    ///
    /// # Source
    /// `contract/container.md` 5, point 9.
    #[must_use]
    pub fn accepts(self, code: i32) -> bool {
        match self {
            Self::Success => code == 0,
            Self::Failure => matches!(code, 1..=127 | 192..=255),
            Self::Any => matches!(code, 0..=127 | 192..=255),
        }
    }

    /// The word for it on the helper's command line.
    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Any => "any",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Success, Self::Failure, Self::Any].into_iter().find(|expect| expect.as_word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_judged_as_the_table_says() {
        for code in -2..=300 {
            let signal = (128..=191).contains(&code);
            let possible = (0..=255).contains(&code) && !signal;
            assert_eq!(Expect::Success.accepts(code), code == 0, "success {code}");
            assert_eq!(Expect::Failure.accepts(code), possible && code != 0, "failure {code}");
            assert_eq!(Expect::Any.accepts(code), possible, "any {code}");
        }
    }
}
