//! What a build asks for: the options that the daemon hands on from its client.
//!
//! They arrive in the environment in any order, so they are sorted first; reading them is pure. Whatever would change a
//! build and is not in this release is an error that names the user's flag: an option that is ignored builds
//! something else than what was asked for.
//!
//! # Source
//! BuildKit v0.32.2 `frontend/dockerui/config.go`; `contract/frontend.md` C.2.

use std::collections::BTreeMap;

use serde::Deserialize;
use treenail_bridge::CacheOptions;
use treenail_llb::ResolveMode;
use treenail_model::{Platform, Reference};

/// Prefix of the variables that hold options.
const VARIABLE: &str = "BUILDKIT_FRONTEND_OPT_";
/// Variable with the client's session.
const SESSION: &str = "BUILDKIT_SESSION_ID";
/// Build arguments that say something to the tools themselves.
const TOOL_ARGUMENTS: &str = "BUILDKIT_";

/// Options that are not in this release, and the flags that set them.
const LATER: &[(&str, &str)] = &[
    ("add-hosts", "--add-host"),
    ("shm-size", "--shm-size"),
    ("ulimit", "--ulimit"),
    ("cgroup-parent", "--cgroup-parent"),
    ("memory", "--resource"),
    ("memswap", "--resource"),
    ("cpushares", "--resource"),
    ("cpuperiod", "--resource"),
    ("cpuquota", "--resource"),
    ("cpusetcpus", "--resource"),
    ("cpusetmems", "--resource"),
    ("hostname", "--build-arg BUILDKIT_SANDBOX_HOSTNAME"),
    ("build-arg:BUILDKIT_SANDBOX_HOSTNAME", "--build-arg BUILDKIT_SANDBOX_HOSTNAME"),
    ("build-arg:BUILDKIT_CACHE_MOUNT_NS", "--build-arg BUILDKIT_CACHE_MOUNT_NS"),
    ("attest:sbom", "--sbom"),
    ("build-arg:BUILDKIT_ATTEST_SBOM", "--build-arg BUILDKIT_ATTEST_SBOM"),
    ("context", "a build context that is no local directory"),
    ("contextsubdir", "a build context that is no local directory"),
    ("input:context", "a build context that is no local directory"),
];

/// Options that cannot be met.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionError {
    /// An option that is not in this release.
    #[error("{flag} is not in this release of the frontend: build without it")]
    Unsupported {
        /// The flag that sets it.
        flag: String,
    },
    /// A value that makes no sense.
    #[error("invalid value of the option {name}: {value:?}")]
    Invalid {
        /// The option.
        name: &'static str,
        /// The value.
        value: String,
    },
}

/// What is to run although its result is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NoCache {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything.
    All,
    /// Everything, if the operation has one of these names.
    Operations(Vec<String>),
}

impl NoCache {
    /// Does it hold for an operation? Case does not count.
    pub fn holds_for(&self, operation: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Operations(names) => names.iter().any(|name| name.eq_ignore_ascii_case(operation)),
        }
    }
}

/// The options of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Path of the build file in its local source.
    pub filename: String,
    /// Name of the operation; empty for the first.
    pub target: String,
    /// Build arguments by name, those for the tools left out.
    pub arguments: BTreeMap<String, String>,
    /// Labels for the image.
    pub labels: BTreeMap<String, String>,
    /// Platform to build for; the daemon's own without one.
    pub platform: Option<Platform>,
    /// Answer one result by platform even though there is one only.
    pub by_platform: bool,
    /// What runs anew.
    pub no_cache: NoCache,
    /// How images are resolved.
    pub resolve_mode: Option<ResolveMode>,
    /// Caches to consult.
    pub cache_imports: Vec<CacheOptions>,
    /// Images that stand for others: canonical name to address.
    pub images: BTreeMap<String, String>,
    /// A question about the build file instead of a build.
    pub request: Option<String>,
    /// Local source with the build file.
    pub file_source: LocalName,
    /// Local source with the build context.
    pub context_source: LocalName,
    /// The client's session.
    pub session: String,
}

/// A local source of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalName {
    /// Its name.
    pub name: String,
    /// The session that serves it.
    pub session: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CacheImport {
    r#type: String,
    #[serde(default)]
    attrs: Option<BTreeMap<String, String>>,
}

impl Options {
    /// Reads the options out of an environment.
    ///
    /// # Errors
    /// [`OptionError`].
    pub fn from_environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, OptionError> {
        let mut raw = BTreeMap::new();
        let mut session = String::new();
        for (name, value) in variables {
            if name == SESSION {
                session = value;
            } else if name.starts_with(VARIABLE)
                && let Some((key, value)) = value.split_once('=')
            {
                raw.insert(key.to_owned(), value.to_owned());
            }
        }
        Self::read(&raw, session)
    }

    fn read(raw: &BTreeMap<String, String>, session: String) -> Result<Self, OptionError> {
        let text = |key: &str| raw.get(key).map(String::as_str).filter(|value| !value.is_empty());
        let owned = |key: &str| text(key).map(str::to_owned);
        for (key, flag) in LATER {
            if text(key).is_some() {
                return Err(OptionError::Unsupported { flag: (*flag).to_owned() });
            }
        }
        if let Some(mode) = text("force-network-mode").filter(|mode| !matches!(*mode, "sandbox" | "default"))
        {
            return Err(OptionError::Unsupported { flag: format!("--network {mode}") });
        }
        let source = owned("source").unwrap_or_default();
        // Behind the image in the line that names the frontend.
        let line = owned("cmdline").unwrap_or_default();
        if let Some(flag) = line.split_whitespace().nth(1) {
            return Err(OptionError::Unsupported { flag: format!("{flag:?} behind the frontend's name") });
        }
        let arguments = prefixed(raw, "build-arg:").filter(|(name, _)| !name.starts_with(TOOL_ARGUMENTS));
        let local = |key: &str, default: &str| {
            let name = owned(key).unwrap_or_else(|| default.to_owned());
            let own = owned(&format!("local-sessionid:{name}"));
            LocalName { session: own.unwrap_or_else(|| session.clone()), name }
        };
        let (platform, by_platform) = platforms(raw)?;
        Ok(Self {
            filename: owned("filename").unwrap_or_else(|| "Dockerfile".to_owned()),
            target: owned("target").unwrap_or_default(),
            arguments: arguments.collect(),
            labels: prefixed(raw, "label:").collect(),
            platform,
            by_platform,
            no_cache: match raw.get("no-cache").map(String::as_str) {
                None => NoCache::Nothing,
                Some("") => NoCache::All,
                Some(names) => NoCache::Operations(names.split(',').map(str::to_owned).collect()),
            },
            resolve_mode: match text("image-resolve-mode") {
                None | Some("default" | "preferlocal") => None,
                Some("pull") => Some(ResolveMode::Pull),
                Some("local") => Some(ResolveMode::Local),
                Some(other) => return Err(invalid("image-resolve-mode", other)),
            },
            cache_imports: cache_imports(raw)?,
            images: images(raw, &source)?,
            request: owned("requestid"),
            file_source: local("dockerfilekey", "dockerfile"),
            context_source: local("contextkey", "context"),
            session,
        })
    }
}

fn invalid(name: &'static str, value: &str) -> OptionError {
    OptionError::Invalid { name, value: value.to_owned() }
}

fn prefixed<'a>(
    raw: &'a BTreeMap<String, String>,
    prefix: &'a str,
) -> impl Iterator<Item = (String, String)> + 'a {
    raw.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
}

/// The platform asked for, and whether results are wanted by platform.
fn platforms(raw: &BTreeMap<String, String>) -> Result<(Option<Platform>, bool), OptionError> {
    let text = |key: &str| raw.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let platform = match text("platform") {
        None => None,
        Some(several) if several.contains(',') => {
            return Err(OptionError::Unsupported {
                flag: "--platform with more than one platform".to_owned(),
            });
        }
        Some(one) => Some(Platform::parse(one).map_err(|_| invalid("platform", one))?),
    };
    let by_platform = match text("build-arg:BUILDKIT_MULTI_PLATFORM").or(text("multi-platform")) {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(other) => return Err(invalid("multi-platform", other)),
    };
    Ok((platform, by_platform))
}

/// Both spellings: a JSON list, and names of images.
fn cache_imports(raw: &BTreeMap<String, String>) -> Result<Vec<CacheOptions>, OptionError> {
    let mut imports = Vec::new();
    if let Some(text) = raw.get("cache-imports").filter(|text| !text.is_empty()) {
        let list: Vec<CacheImport> =
            serde_json::from_str(text).map_err(|_| invalid("cache-imports", text))?;
        imports.extend(list.into_iter().map(|import| CacheOptions {
            kind: import.r#type,
            attributes: import.attrs.unwrap_or_default(),
        }));
    }
    for image in raw.get("cache-from").iter().flat_map(|text| text.split(',')).filter(|text| !text.is_empty())
    {
        let import = CacheOptions {
            kind: "registry".to_owned(),
            attributes: BTreeMap::from([("ref".to_owned(), image.to_owned())]),
        };
        if !imports.contains(&import) {
            imports.push(import);
        }
    }
    Ok(imports)
}

/// The named contexts: images that stand for others. The frontend's own image may be any kind, as the daemon has
/// looked that one up already.
fn images(raw: &BTreeMap<String, String>, source: &str) -> Result<BTreeMap<String, String>, OptionError> {
    let mut images = BTreeMap::new();
    let own = canonical_name(source);
    for (name, value) in prefixed(raw, "context:") {
        let (name, for_platform) = name.split_once("::").map_or((&*name, false), |(name, _)| (name, true));
        let known = canonical_name(name);
        if known.is_some() && known == own {
            continue;
        }
        let address = value.strip_prefix("docker-image://");
        match (known, address) {
            (Some(known), Some(address)) if !for_platform => {
                images.insert(known, address.to_owned());
            }
            _ => return Err(OptionError::Unsupported { flag: format!("--build-context {name}={value}") }),
        }
    }
    Ok(images)
}

/// An image's name in full, by which two spellings of it are known as one.
pub(crate) fn canonical_name(address: &str) -> Option<String> {
    Reference::parse(address).ok().map(|reference| name_of(&reference))
}

/// The same of a parsed one. The tag `latest` is the one that is meant where none stands.
pub(crate) fn name_of(reference: &Reference) -> String {
    let name = format!("{}/{}", reference.registry(), reference.repository());
    match (reference.tag(), reference.digest()) {
        (tag, None) => format!("{name}:{}", tag.unwrap_or("latest")),
        (None, Some(digest)) => format!("{name}@{digest}"),
        (Some(tag), Some(digest)) => format!("{name}:{tag}@{digest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Options, OptionError> {
        let variables = options
            .iter()
            .enumerate()
            .map(|(number, (key, value))| (format!("{VARIABLE}{number}"), format!("{key}={value}")));
        let session = [(SESSION.to_owned(), "s1".to_owned()), ("PATH".to_owned(), "/bin".to_owned())];
        Options::from_environment(session.into_iter().chain(variables))
    }

    #[test]
    fn a_build_without_options_has_defaults() {
        let options = read(&[]).expect("options");
        let local = |name: &str| LocalName { name: name.to_owned(), session: "s1".to_owned() };
        let expected = Options {
            filename: "Dockerfile".to_owned(),
            file_source: local("dockerfile"),
            context_source: local("context"),
            session: "s1".to_owned(),
            ..Options::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn options_are_read_in_any_order() {
        let given = [
            ("filename", "build.graphql"),
            ("target", "Test"),
            ("build-arg:version", "1=2"),
            ("build-arg:BUILDKIT_BUILD_NAME", "x"),
            ("label:a.b", "c"),
            ("platform", "linux/aarch64"),
            ("multi-platform", "true"),
            ("no-cache", "Test,other"),
            ("image-resolve-mode", "pull"),
            ("cache-imports", r#"[{"Type":"local","Attrs":{"src":"/x"}}]"#),
            ("cache-from", "a/b,c"),
            ("source", "example.test/treenail:1"),
            ("cmdline", "example.test/treenail:1"),
            ("context:example.test/treenail:1", "oci-layout://store@sha256:0"),
            ("context:alpine", "docker-image://debian:12"),
            ("local-sessionid:context", "s2"),
            ("dockerfilekey", "elsewhere"),
            ("vcs:revision", "abc"),
        ];
        let options = read(&given).expect("options");
        assert_eq!((&*options.filename, &*options.target), ("build.graphql", "Test"));
        assert_eq!(options.arguments, BTreeMap::from([("version".to_owned(), "1=2".to_owned())]));
        assert_eq!(options.labels["a.b"], "c");
        assert_eq!(options.platform.as_ref().expect("a platform").to_string(), "linux/arm64");
        assert!(options.by_platform);
        assert!(options.no_cache.holds_for("test") && !options.no_cache.holds_for("Build"));
        assert_eq!(options.resolve_mode, Some(ResolveMode::Pull));
        let kinds: Vec<_> = options.cache_imports.iter().map(|import| import.kind.as_str()).collect();
        assert_eq!(kinds, ["local", "registry", "registry"]);
        assert_eq!(options.cache_imports[2].attributes["ref"], "c");
        assert_eq!(options.images["docker.io/library/alpine:latest"], "debian:12");
        assert_eq!(options.images.len(), 1);
        assert_eq!((&*options.context_source.session, &*options.file_source.name), ("s2", "elsewhere"));

        let mut reversed = given;
        reversed.reverse();
        assert_eq!(read(&reversed).expect("options"), options);
    }

    #[test]
    fn what_is_not_built_is_refused_by_the_name_of_its_flag() {
        for (key, value, flag) in [
            ("add-hosts", "a=1.2.3.4", "--add-host"),
            ("force-network-mode", "host", "--network host"),
            ("platform", "linux/amd64,linux/arm64", "--platform with more than one platform"),
            ("attest:sbom", "generator=x", "--sbom"),
            ("context", "https://example.test/x.git", "a build context that is no local directory"),
            ("context:src", "local:src", "--build-context src=local:src"),
            ("cmdline", "x/y --debug", "\"--debug\" behind the frontend's name"),
        ] {
            let error = read(&[(key, value)]).expect_err(key);
            assert_eq!(error, OptionError::Unsupported { flag: flag.to_owned() }, "{key}");
        }
        assert!(read(&[("force-network-mode", "sandbox"), ("shm-size", "")]).is_ok());
    }

    #[test]
    fn nonsense_is_refused() {
        for (key, value) in [
            ("platform", "a/b/c/d/e"),
            ("multi-platform", "maybe"),
            ("image-resolve-mode", "guess"),
            ("cache-imports", "{"),
        ] {
            assert!(matches!(read(&[(key, value)]), Err(OptionError::Invalid { .. })), "{key}");
        }
    }

    #[test]
    fn an_empty_no_cache_is_all() {
        assert!(read(&[("no-cache", "")]).expect("options").no_cache.holds_for(""));
        assert!(!read(&[]).expect("options").no_cache.holds_for(""));
    }
}
