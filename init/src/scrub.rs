//! Secrets taken out of a stream, wherever it is cut into pieces.
//!
//! Each secret is followed through the stream by the Knuth-Morris-Pratt automaton, so the work is linear and
//! nothing is held back but what may still become a secret: at most the longest one, less a byte. What goes out
//! does not depend on how the stream was cut.
//!
//! Invariant: no byte that belongs to an occurrence of a secret goes out, even where secrets overlap. Occurrences
//! that overlap are masked as one, so the longest of those that begin together wins.

use std::collections::VecDeque;

/// What stands in the place of a secret.
///
/// # Source
/// `contract/container.md` 5, "Secret scrubbing".
pub const MASK: &[u8] = b"***";

/// Replaces the occurrences of secrets in one stream by [`MASK`].
#[derive(Clone, Debug)]
pub struct Scrubber {
    patterns: Vec<Pattern>,
    /// Bytes at which some secret begins.
    begins: Box<[bool; 256]>,
    /// The end of the stream, as far as it is not written: the longest beginning of a secret.
    held: VecDeque<u8>,
    /// Position in the stream of the first byte in `held`.
    start: u64,
    /// Masked ranges that reach into `held`, ascending and apart.
    masked: VecDeque<Range>,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    start: u64,
    end: u64,
    /// [`MASK`] is written already.
    shown: bool,
}

#[derive(Clone, Debug)]
struct Pattern {
    text: Box<[u8]>,
    /// For each length of a matched beginning, less one: the next shorter beginning that also ends there.
    fallback: Box<[u32]>,
    /// How much of `text` the stream ends with; less than all of it.
    matched: usize,
}

impl Scrubber {
    /// Watches for secrets. Empty ones are skipped; one with white space around it is also found without.
    pub fn new<I, S>(secrets: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<[u8]>,
    {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let secret = secret.as_ref();
            for text in [secret, trimmed(secret)] {
                // The automaton counts in 32 bits; no transport carries a secret near that size.
                if !text.is_empty() && u32::try_from(text.len()).is_ok() {
                    texts.push(text.to_vec());
                }
            }
        }
        texts.sort_unstable();
        texts.dedup();
        let mut begins = Box::new([false; 256]);
        for text in &texts {
            begins[usize::from(text[0])] = true;
        }
        let patterns = texts.into_iter().map(Pattern::new).collect();
        Self { patterns, begins, held: VecDeque::new(), start: 0, masked: VecDeque::new() }
    }

    /// Takes the next piece of the stream and appends to `out` what is certain by now.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while !rest.is_empty() {
            if self.held.is_empty() {
                // No secret has begun: everything up to the next possible beginning is plain.
                let plain =
                    rest.iter().position(|&byte| self.begins[usize::from(byte)]).unwrap_or(rest.len());
                let (before, after) = rest.split_at(plain);
                self.pass(before, out);
                rest = after;
            }
            if let Some((&byte, after)) = rest.split_first() {
                self.step(byte, out);
                rest = after;
            }
        }
    }

    /// Ends the stream: appends what was held back, and is ready for another stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.write_held(0, out);
        for pattern in &mut self.patterns {
            pattern.matched = 0;
        }
        self.masked.clear();
        self.start = 0;
    }

    /// Bytes held back at this moment.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Plain bytes, while nothing is held.
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.start += bytes.len() as u64;
        out.extend_from_slice(bytes);
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.held.push_back(byte);
        let end = self.start + self.held.len() as u64;
        let mut longest = 0;
        for pattern in &mut self.patterns {
            if pattern.step(byte) {
                mask(&mut self.masked, end - pattern.text.len() as u64, end);
            }
            longest = longest.max(pattern.matched);
        }
        self.write_held(longest, out);
    }

    /// Writes all but the last `keep` bytes of what is held.
    fn write_held(&mut self, keep: usize, out: &mut Vec<u8>) {
        while self.held.len() > keep {
            let Some(byte) = self.held.pop_front() else { return };
            let position = self.start;
            self.start += 1;
            while self.masked.front().is_some_and(|range| range.end <= position) {
                self.masked.pop_front();
            }
            match self.masked.front_mut() {
                Some(range) if range.start <= position => {
                    if !range.shown {
                        range.shown = true;
                        out.extend_from_slice(MASK);
                    }
                }
                _ => out.push(byte),
            }
        }
    }
}

/// Adds a range that ends no earlier than all others, joining it with those it overlaps.
fn mask(masked: &mut VecDeque<Range>, start: u64, end: u64) {
    let mut added = Range { start, end, shown: false };
    while let Some(last) = masked.back().filter(|last| last.end > start) {
        added.start = added.start.min(last.start);
        added.shown |= last.shown;
        masked.pop_back();
    }
    masked.push_back(added);
}

impl Pattern {
    fn new(text: Vec<u8>) -> Self {
        let mut fallback = vec![0_u32; text.len()];
        let mut length = 0;
        for index in 1..text.len() {
            while length > 0 && text[index] != text[length] {
                length = fallback[length - 1] as usize;
            }
            if text[index] == text[length] {
                length += 1;
            }
            fallback[index] = length as u32;
        }
        Self { text: text.into_boxed_slice(), fallback: fallback.into_boxed_slice(), matched: 0 }
    }

    /// Follows one byte; true if the secret ends with it.
    fn step(&mut self, byte: u8) -> bool {
        while self.matched > 0 && self.text[self.matched] != byte {
            self.matched = self.fallback[self.matched - 1] as usize;
        }
        if self.text[self.matched] == byte {
            self.matched += 1;
        }
        let complete = self.matched == self.text.len();
        if complete {
            self.matched = self.fallback[self.matched - 1] as usize;
        }
        complete
    }
}

/// A text without the white space around it, Unicode's included where it is UTF-8.
fn trimmed(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn scrub(secrets: &[&str], text: &str) -> String {
        let mut out = Vec::new();
        let mut scrubber = Scrubber::new(secrets);
        scrubber.push(text.as_bytes(), &mut out);
        scrubber.finish(&mut out);
        String::from_utf8(out).expect("text in, text out")
    }

    #[test]
    fn secrets_are_masked() {
        for (secrets, text, expected) in [
            (&["secret"][..], "a secret, secretive", "a ***, ***ive"),
            (&["secret"], "secre secre", "secre secre"),
            (&["secret"], "secsecret", "sec***"),
            (&["", " ", "\n"], "a b\n", "a***b***"),
            (&[""], "nothing", "nothing"),
            (&["pass", "password"], "password passport", "*** ***port"),
            (&["abc", "bcd"], "abcd xbcd abce", "*** x*** ***e"),
            (&["aXa"], "aXaXa", "***"),
            (&["ab"], "ababab", "*********"),
            (&["one\ntwo"], "one\none\ntwo two", "one\n*** two"),
            (&[" padded\n"], "padded; padded\n", "***;***"),
            (&["\u{a0}wide\u{a0}"], "wide", "***"),
            (&["ab", "abcdef", "de"], "abcdexyz", "***c***xyz"),
        ] {
            assert_eq!(scrub(secrets, text), expected, "{secrets:?} in {text:?}");
        }
    }

    #[test]
    fn only_what_may_become_a_secret_is_held() {
        let mut out = Vec::new();
        let mut scrubber = Scrubber::new(["secret"]);
        scrubber.push(b"progress: 50% sec", &mut out);
        assert_eq!((out.as_slice(), scrubber.held()), (&b"progress: 50% "[..], 3));
        scrubber.push(b"onds", &mut out);
        assert_eq!((out.as_slice(), scrubber.held()), (&b"progress: 50% second"[..], 1));
        scrubber.finish(&mut out);
        assert_eq!((out.as_slice(), scrubber.held()), (&b"progress: 50% seconds"[..], 0));
    }

    /// The rule in its plainest form: mark every byte of every occurrence, then write.
    fn model(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for start in 0..text.len() {
            let lengths = secrets.iter().flat_map(|secret| [secret.as_slice(), trimmed(secret)]);
            let lengths = lengths.filter(|secret| !secret.is_empty() && text[start..].starts_with(secret));
            let Some(longest) = lengths.map(<[u8]>::len).max() else { continue };
            match ranges.last_mut() {
                Some((_, end)) if *end > start => *end = (*end).max(start + longest),
                _ => ranges.push((start, start + longest)),
            }
        }
        let mut out = Vec::new();
        let mut position = 0;
        for (start, end) in ranges {
            out.extend_from_slice(&text[position..start]);
            out.extend_from_slice(MASK);
            position = end;
        }
        out.extend_from_slice(&text[position..]);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        // Few letters, so that secrets overlap, nest and share beginnings.
        #[test]
        fn any_cutting_gives_what_the_rule_says(
            secrets in vec(vec(prop::sample::select(&b"ab\n "[..]), 0..7), 0..5),
            text in vec(prop::sample::select(&b"aabb\n x"[..]), 0..120),
            cuts in vec(0..9_usize, 1..40),
        ) {
            let mut scrubber = Scrubber::new(&secrets);
            let longest = secrets.iter().map(Vec::len).max().unwrap_or(0);
            let mut out = Vec::new();
            let mut rest = text.as_slice();
            for &cut in cuts.iter().cycle().take(text.len() + cuts.len()) {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                scrubber.push(piece, &mut out);
                prop_assert!(scrubber.held() < longest.max(1));
                rest = after;
            }
            scrubber.push(rest, &mut out);
            scrubber.finish(&mut out);
            prop_assert_eq!(&out, &model(&secrets, &text));
            // A finished scrubber starts anew.
            let mut again = Vec::new();
            scrubber.push(&text, &mut again);
            scrubber.finish(&mut again);
            prop_assert_eq!(again, out);
        }
    }
}
