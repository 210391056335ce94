//! Colours, and texts made safe to print.

use std::fmt::Write as _;

/// Longest name of a step that is shown, in characters.
///
/// # Source
/// `contract/cli.md` 6.
const NAME_LIMIT: usize = 256;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    colour: bool,
}

/// What a text means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tone {
    Good,
    Bad,
    Faint,
}

impl Style {
    /// As `NO_COLOR`, `CLICOLOR_FORCE`, `TERM` and the terminal say.
    pub(super) fn from_environment() -> Self {
        Self {
            colour: console::colors_enabled_stderr()
                && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()),
        }
    }

    #[cfg(test)]
    pub(super) fn without_colour() -> Self {
        Self { colour: false }
    }

    pub(super) fn paint(self, text: &str, tone: Tone) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Faint => 2,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A name on one line, cut, with nothing in it that moves a cursor.
pub(super) fn one_line(name: &str) -> String {
    let mut out = String::new();
    for (count, letter) in name.chars().enumerate() {
        if count == NAME_LIMIT {
            out.push('…');
            break;
        }
        match letter {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Writing into a string cannot fail.
            letter if letter.is_control() => drop(write!(out, "\\x{:02x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out
}

/// `0.3s`, from nanoseconds.
pub(super) fn seconds(nanoseconds: i64) -> String {
    let tenths = nanoseconds.max(0).saturating_add(50_000_000) / 100_000_000;
    format!("{}.{}s", tenths / 10, tenths % 10)
}

/// `1.23MB` from bytes, as BuildKit writes it.
pub(super) fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
    let mut value = bytes.max(0) as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes}B") } else { format!("{value:.2}{}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_short_and_safe() {
        assert_eq!(one_line("a\n\x1b[2J\tb"), "a\\n\\x1b[2J\\tb");
        assert_eq!(one_line(&"x".repeat(300)).chars().count(), NAME_LIMIT + 1);
        assert_eq!(seconds(1_250_000_000), "1.3s");
        assert_eq!(seconds(-1), "0.0s");
        assert_eq!(size(12), "12B");
        assert_eq!(size(1_230_000), "1.23MB");
        assert_eq!(Style { colour: true }.paint("x", Tone::Bad), "\u{1b}[31mx\u{1b}[0m");
        assert_eq!(Style::without_colour().paint("x", Tone::Bad), "x");
    }
}
