//! `version`: works without a daemon.

use std::io::Write as _;

use anyhow::Context as _;

use crate::context::Context;
use crate::failure::Outcome;

/// Version of the API that is answered, which is what CI files compare.
pub(crate) const API: &str = treenail_graphql::sdl::CORE_VERSION;

pub(crate) fn run(context: &Context, called_dagger: bool) -> Outcome {
    let address = context.daemon().map_or_else(|_| "no buildkitd found".to_owned(), |found| found.address);
    let line = line(called_dagger, &address);
    writeln!(std::io::stdout(), "{line}").context("cannot write to standard output")?;
    Ok(0)
}

/// As `dagger` the second field is the API's version; scripts cut it out.
fn line(called_dagger: bool, address: &str) -> String {
    let platform = platform();
    if called_dagger {
        return format!("dagger {API} ({address}) {platform}");
    }
    format!("treenail v{} (API {API}, {address}) {platform}", env!("CARGO_PKG_VERSION"))
}

/// In the words of Go.
fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{architecture}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_find_the_version_in_the_second_field() {
        let line = line(true, "unix:///x");
        assert_eq!(line.split(' ').nth(1), Some("v0.19.11"));
        assert!(line.starts_with("dagger v0.19.11 (unix:///x) linux/"), "{line}");
    }
}
