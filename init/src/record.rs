//! The exit record: how a command ended, in one line of text.
//!
//! ```text
//! exited 3
//! signaled 9
//! failed get user: unable to find user x: no matching entries in passwd file
//! ```
//!
//! The file lies where a command that runs as root can reach it, so decoding takes nothing for granted.

use std::error::Error;
use std::fmt;

use crate::{Expect, FAILED_STATUS, UNEXPECTED_SUCCESS_STATUS};

/// Longest message of a [`ExitRecord::Failed`], in bytes; longer ones are cut.
pub const MESSAGE_LIMIT: usize = 16 * 1024;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitRecord {
    /// It ended by itself with this code.
    Exited(u8),
    /// This signal ended it.
    Signaled(u8),
    /// It was not run, or its output could not be kept; the text says why. Its code is not known.
    Failed(String),
}

/// Bytes that are not an exit record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Nothing was written: the helper was killed, or the command took its place.
    Empty,
    /// More bytes than any record has.
    TooLong,
    /// Anything else that the helper does not write.
    Malformed,
}

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "the command left no exit record",
            Self::TooLong => "the exit record is too long",
            Self::Malformed => "the exit record is malformed",
        })
    }
}

impl Error for RecordError {}

impl ExitRecord {
    /// The code as users see it: 128+n for a signal, -1 where it is not known.
    ///
    /// # Source
    /// `contract/session.md` 8, `exitCode`.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Exited(code) => i32::from(*code),
            Self::Signaled(signal) => 128 + i32::from(*signal),
            Self::Failed(_) => -1,
        }
    }

    /// Whether this is what the caller wanted.
    #[must_use]
    pub fn is_expected(&self, expect: Expect) -> bool {
        expect.accepts(self.code())
    }

    /// The helper's own exit status: 0 if the record is expected, else never 0, so that the exec fails.
    #[must_use]
    pub fn status(&self, expect: Expect) -> u8 {
        if self.is_expected(expect) {
            return 0;
        }
        match self {
            Self::Exited(0) => UNEXPECTED_SUCCESS_STATUS,
            Self::Exited(code) => *code,
            Self::Signaled(signal) => signal.saturating_add(128),
            Self::Failed(_) => FAILED_STATUS,
        }
    }

    /// Bytes of the exit file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = match self {
            Self::Exited(code) => format!("exited {code}\n"),
            Self::Signaled(signal) => format!("signaled {signal}\n"),
            Self::Failed(message) => {
                let end = message.floor_char_boundary(MESSAGE_LIMIT);
                format!("failed {}\n", &message[..end])
            }
        };
        text.into_bytes()
    }

    /// Reads the bytes of an exit file. Messages that are not UTF-8 are read as far as they are.
    ///
    /// # Errors
    /// [`RecordError`] for anything that [`ExitRecord::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.is_empty() {
            return Err(RecordError::Empty);
        }
        if bytes.len() > MESSAGE_LIMIT + 16 {
            return Err(RecordError::TooLong);
        }
        let line = bytes.strip_suffix(b"\n").ok_or(RecordError::Malformed)?;
        if let Some(message) = line.strip_prefix(b"failed ") {
            return Ok(Self::Failed(String::from_utf8_lossy(message).into_owned()));
        }
        if let Some(code) = line.strip_prefix(b"exited ") {
            return number(code).map(Self::Exited).ok_or(RecordError::Malformed);
        }
        let signal = line.strip_prefix(b"signaled ").ok_or(RecordError::Malformed)?;
        number(signal)
            .filter(|signal| (1..=127).contains(signal))
            .map(Self::Signaled)
            .ok_or(RecordError::Malformed)
    }
}

/// A number written in the one way that `encode` has.
fn number(digits: &[u8]) -> Option<u8> {
    let value: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (value.to_string().as_bytes() == digits).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_file() {
        for record in [
            ExitRecord::Exited(0),
            ExitRecord::Exited(255),
            ExitRecord::Signaled(1),
            ExitRecord::Signaled(64),
            ExitRecord::Failed(String::new()),
            ExitRecord::Failed("two\nlines".to_owned()),
        ] {
            assert_eq!(ExitRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let record = ExitRecord::Failed("é".repeat(MESSAGE_LIMIT));
        let Ok(ExitRecord::Failed(message)) = ExitRecord::decode(&record.encode()) else {
            panic!("not failed")
        };
        assert_eq!(message, "é".repeat(MESSAGE_LIMIT / 2));
    }

    #[test]
    fn other_bytes_are_refused() {
        use RecordError::{Empty, Malformed, TooLong};
        for (bytes, error) in [
            (&b""[..], Empty),
            (b"\n", Malformed),
            (b"exited 0", Malformed),
            (b"exited 00\n", Malformed),
            (b"exited +1\n", Malformed),
            (b"exited 256\n", Malformed),
            (b"exited -1\n", Malformed),
            (b"exited 1\n\n", Malformed),
            (b"signaled 0\n", Malformed),
            (b"signaled 128\n", Malformed),
            (b"failed", Malformed),
            (b"\xff\xfe\n", Malformed),
            (&[b'x'; MESSAGE_LIMIT + 17], TooLong),
        ] {
            assert_eq!(ExitRecord::decode(bytes), Err(error), "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(ExitRecord::decode(b"failed \xff\n"), Ok(ExitRecord::Failed("\u{fffd}".to_owned())));
    }

    #[test]
    fn the_status_fails_the_exec_unless_expected() {
        use Expect::{Any, Failure, Success};
        for (record, expect, status) in [
            (ExitRecord::Exited(0), Success, 0),
            (ExitRecord::Exited(3), Success, 3),
            (ExitRecord::Exited(3), Failure, 0),
            (ExitRecord::Exited(3), Any, 0),
            (ExitRecord::Exited(0), Failure, UNEXPECTED_SUCCESS_STATUS),
            (ExitRecord::Exited(130), Any, 130),
            (ExitRecord::Signaled(9), Any, 137),
            (ExitRecord::Failed(String::new()), Any, FAILED_STATUS),
        ] {
            assert_eq!(record.status(expect), status, "{record:?} {expect:?}");
        }
    }
}
