//! Logins in a `.netrc` file.

use treenail_model::GitLogin;

/// The login for a host: of the first `machine` entry of its name, else of `default`. Where `user` is given, entries of
/// other users do not count.
///
/// # Source
/// The `.netrc` section of ftp(1), with curl's quotes.
pub(super) fn find(text: &str, host: &str, user: Option<&str>) -> Option<GitLogin> {
    let mut words = Words(text);
    let mut entry: Option<Entry> = None;
    let mut fallback = None;
    let mut close = |entry: Option<Entry>| -> Option<GitLogin> {
        let Entry { machine, login, password } = entry?;
        let login = GitLogin { user: login.or_else(|| user.map(str::to_owned))?, password: password? };
        if user.is_some_and(|user| user != login.user) {
            return None;
        }
        match machine {
            Some(name) if name.eq_ignore_ascii_case(host) => Some(login),
            Some(_) => None,
            None => {
                fallback.get_or_insert(login);
                None
            }
        }
    };
    while let Some(word) = words.next() {
        match (word.as_str(), &mut entry) {
            ("machine", _) => {
                if let Some(found) = close(entry.take()) {
                    return Some(found);
                }
                entry = Some(Entry { machine: Some(words.next()?), ..Entry::default() });
            }
            ("default", _) => {
                if let Some(found) = close(entry.take()) {
                    return Some(found);
                }
                entry = Some(Entry::default());
            }
            ("login", Some(entry)) => entry.login = words.next(),
            ("password", Some(entry)) => entry.password = words.next(),
            ("account", _) => drop(words.next()),
            ("macdef", _) => words.skip_macro(),
            _ => {}
        }
    }
    close(entry).or(fallback)
}

#[derive(Default)]
struct Entry {
    /// `None` for `default`.
    machine: Option<String>,
    login: Option<String>,
    password: Option<String>,
}

struct Words<'a>(&'a str);

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        loop {
            self.0 = self.0.trim_start();
            if !self.0.starts_with('#') {
                break;
            }
            self.0 = self.0.split_once('\n').map_or("", |(_, rest)| rest);
        }
        if self.0.is_empty() {
            return None;
        }
        let Some(quoted) = self.0.strip_prefix('"') else {
            let end = self.0.find(char::is_whitespace).unwrap_or(self.0.len());
            let (word, rest) = self.0.split_at(end);
            self.0 = rest;
            return Some(word.to_owned());
        };
        let (mut word, mut letters) = (String::new(), quoted.chars());
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => match letters.next() {
                    Some('n') => word.push('\n'),
                    Some('r') => word.push('\r'),
                    Some('t') => word.push('\t'),
                    other => word.extend(other),
                },
                other => word.push(other),
            }
        }
        self.0 = letters.as_str();
        Some(word)
    }

    /// A macro ends at an empty line.
    fn skip_macro(&mut self) {
        self.0 = self.0.split_once("\n\n").map_or("", |(_, rest)| rest);
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    const FILE: &str = r#"# comment machine h login no password no
machine other login o password p
macdef init
  machine h login macro password macro

machine h
  login "a \"b\""
  account x
  password "c d"
machine h login second password two
default login d password e
machine late login l password m"#;

    #[test]
    fn the_first_entry_of_a_host_counts() {
        let found = |host, user| find(FILE, host, user).map(|login| (login.user, login.password));
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(found("h", None), pair("a \"b\"", "c d"));
        assert_eq!(found("H", Some("second")), pair("second", "two"));
        assert_eq!(found("other", None), pair("o", "p"));
        assert_eq!(found("late", None), pair("l", "m"));
        assert_eq!(found("unknown", None), pair("d", "e"));
        assert_eq!(found("unknown", Some("x")), None);
        assert_eq!(find("machine h login u", "h", None), None);
        assert_eq!(find("machine", "h", None), None);
        assert_eq!(find("machine h login \"u", "h", None), None);
    }
}
