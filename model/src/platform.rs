//! Platforms, written `os/arch[/variant]`, in the normal form that containerd uses.

use std::fmt;

/// A platform in normal form: `linux/amd64`, `linux/arm64`, `linux/arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub architecture: String,
    /// Variant of the architecture; empty for none.
    pub variant: String,
}

/// Why a platform specifier was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// A single word that is neither a system nor an architecture.
    #[error("{0:?}: unknown operating system or architecture: invalid argument")]
    Unknown(String),
    /// More than three parts, or an empty or strange part.
    #[error("cannot parse platform specifier {0:?}: invalid argument")]
    Malformed(String),
}

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl Platform {
    /// Reads a specifier; one bare word may name a system or an architecture.
    ///
    /// # Errors
    /// [`PlatformError`], with the texts that 0.19 clients know. A pair is not checked against known names.
    ///
    /// # Source
    /// containerd `platforms.Parse`: names are normalised, unknown pairs pass.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let fine = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if parts.len() > 3 || !parts.iter().all(|part| fine(part)) {
            return Err(PlatformError::Malformed(text.to_owned()));
        }
        let platform = match parts[..] {
            [word] => {
                let system = normal_system(word);
                if SYSTEMS.contains(&system.as_str()) {
                    let own = Self::own();
                    return Ok(Self { os: system, ..own });
                }
                let (architecture, variant) = normal_architecture(word, "");
                if !ARCHITECTURES.contains(&architecture.as_str()) {
                    return Err(PlatformError::Unknown(text.to_owned()));
                }
                Self { os: Self::own().os, architecture, variant }
            }
            [os, architecture] => {
                let (architecture, variant) = normal_architecture(architecture, "");
                Self { os: normal_system(os), architecture, variant }
            }
            [os, architecture, variant] => {
                let (architecture, variant) = normal_architecture(architecture, variant);
                Self { os: normal_system(os), architecture, variant }
            }
            _ => unreachable!("split yields at least one part, and more than three were refused above"),
        };
        Ok(platform)
    }

    /// Builds a platform from an image's or a worker's words.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) = normal_architecture(architecture, variant);
        Self { os: normal_system(os), architecture, variant }
    }

    /// What containers run as where nothing else is said: Linux on this program's architecture.
    fn own() -> Self {
        Self::new("linux", std::env::consts::ARCH, "")
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

fn normal_system(os: &str) -> String {
    let os = os.to_ascii_lowercase();
    if os == "macos" { "darwin".to_owned() } else { os }
}

fn normal_architecture(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = (architecture.to_ascii_lowercase(), variant.to_ascii_lowercase());
    let pair = |a: &str, v: &str| (a.to_owned(), v.to_owned());
    match architecture.as_str() {
        "i386" | "i686" | "x86" => pair("386", ""),
        "x86_64" | "x86-64" | "amd64" => pair("amd64", if variant == "v1" { "" } else { &variant }),
        "aarch64" | "arm64" => {
            pair("arm64", if matches!(variant.as_str(), "8" | "v8") { "" } else { &variant })
        }
        "armhf" => pair("arm", "v7"),
        "armel" => pair("arm", "v6"),
        "arm" => match variant.as_str() {
            "" | "7" => pair("arm", "v7"),
            "5" | "6" | "8" => pair("arm", &format!("v{variant}")),
            _ => pair("arm", &variant),
        },
        _ => (architecture, variant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_take_their_normal_form() {
        for (text, expected) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v2", "linux/amd64/v2"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("Linux/AMD64", "linux/amd64"),
            ("macos/arm64", "darwin/arm64"),
            ("linux/nope", "linux/nope"),
            ("arm64", "linux/arm64"),
        ] {
            assert_eq!(Platform::parse(text).map(|p| p.to_string()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn strange_specifiers_are_refused_with_known_texts() {
        let error = |text| Platform::parse(text).unwrap_err().to_string();
        assert_eq!(error("nope"), "\"nope\": unknown operating system or architecture: invalid argument");
        assert!(error("a/b/c/d").starts_with("cannot parse platform specifier"));
        assert!(error("").starts_with("cannot parse platform specifier"));
        assert!(error("linux/").starts_with("cannot parse platform specifier"));
    }
}
