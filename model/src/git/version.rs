//! Versions in the names of tags.

use std::cmp::Ordering;

/// `v1`, `v1.2`, `v1.2.3`, `v1.2.3-rc.1+build`: what Go modules take for a version.
///
/// # Source
/// semver.org 2.0.0, with the leading `v` and the short forms of Go's `x/mod/semver`.
#[derive(Clone, Debug)]
pub(super) struct Version<'a> {
    /// Major, minor, patch: digits without leading zeros.
    numbers: [&'a str; 3],
    /// Empty for a release.
    before: &'a str,
}

impl<'a> Version<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('v')?;
        let (rest, build) = match rest.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (rest, None),
        };
        let (rest, before) = match rest.split_once('-') {
            Some((rest, before)) => (rest, Some(before)),
            None => (rest, None),
        };
        let mut numbers = ["0"; 3];
        let parts: Vec<&str> = rest.split('.').collect();
        if parts.len() > 3 || !parts.iter().all(|part| is_number(part)) {
            return None;
        }
        // Only a whole version may have more behind it.
        if parts.len() < 3 && (before.is_some() || build.is_some()) {
            return None;
        }
        numbers[..parts.len()].copy_from_slice(&parts);
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let plain = |word: &str| !is_digits(word) || is_number(word);
        if build.is_some_and(|build| !build.split('.').all(word))
            || before.is_some_and(|before| !before.split('.').all(|part| word(part) && plain(part)))
        {
            return None;
        }
        Some(Self { numbers, before: before.unwrap_or_default() })
    }

    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.iter().zip(other.numbers).map(|(a, b)| by_number(a, b));
        let differ = |order: &Ordering| order.is_ne();
        if let Some(order) = numbers.into_iter().find(differ) {
            return order;
        }
        match (self.before, other.before) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (a, b) => {
                let (mut left, mut right) = (a.split('.'), b.split('.'));
                loop {
                    return match (left.next(), right.next()) {
                        (None, None) => Ordering::Equal,
                        (None, _) => Ordering::Less,
                        (_, None) => Ordering::Greater,
                        (Some(a), Some(b)) => match by_word(a, b) {
                            Ordering::Equal => continue,
                            order => order,
                        },
                    };
                }
            }
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    is_digits(text) && (text == "0" || !text.starts_with('0'))
}

/// Numbers of any length, without leading zeros.
fn by_number(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Numbers come before words.
fn by_word(a: &str, b: &str) -> Ordering {
    match (is_digits(a), is_digits(b)) {
        (true, true) => by_number(a, b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_in_their_order() {
        let sorted = [
            "v0.1.0-alpha",
            "v0.1.0-alpha.1",
            "v0.1.0-alpha.beta",
            "v0.1.0-beta",
            "v0.1.0-beta.2",
            "v0.1.0-beta.11",
            "v0.1.0-rc.1",
            "v0.1.0",
            "v0.1.1",
            "v0.10.0",
            "v1",
            "v1.2",
            "v1.2.3+build.7",
            "v1.2.4",
            "v99999999999999999999999.0.0",
        ];
        for pair in sorted.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|text| Version::parse(text).expect(text));
            assert!(a.cmp(&b).is_lt() && b.cmp(&a).is_gt(), "{pair:?}");
        }
        for text in
            ["1.2.3", "v", "v1.2.3.4", "v01.0.0", "v1.x", "v1.2-rc", "v1.2.3-", "v1.2.3-01", "v1.2.3+", "vv1"]
        {
            assert!(Version::parse(text).is_none(), "{text}");
        }
    }
}
