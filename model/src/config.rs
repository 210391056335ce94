//! The image configuration that a container carries: what its commands run with, and what is published.
//!
//! Values are persistent: a changed copy costs a logarithm, so a chain of thousands of setters stays linear.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Search path of commands where the configuration names none.
///
/// # Source
/// BuildKit v0.32.2 `util/system`, `DefaultPathEnvUnix`.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Environment variables in configuration order, one value a name.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    entries: imbl::OrdMap<u64, (Arc<str>, Arc<str>)>,
    positions: imbl::OrdMap<Arc<str>, u64>,
    next: u64,
}

impl Environment {
    /// Sets a variable: at its place if it exists, else at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        let name: Arc<str> = name.into();
        let position = *self.positions.entry(name.clone()).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.entries.insert(position, (name, value.into()));
    }

    /// Removes a variable; a missing one is no error.
    pub fn remove(&mut self, name: &str) {
        if let Some(position) = self.positions.remove(name) {
            self.entries.remove(&position);
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Arc<str>> {
        self.positions.get(name).and_then(|position| self.entries.get(position)).map(|(_, value)| value)
    }

    /// All variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.entries.values().map(|(name, value)| (name, value))
    }

    /// `NAME=value` texts, as image configurations and commands hold them.
    pub fn to_list(&self) -> Vec<String> {
        self.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Reads `NAME=value` texts; a later name replaces an earlier one at its place.
    pub fn from_list<'a>(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut environment = Self::default();
        for entry in list {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            environment.set(name, value);
        }
        environment
    }
}

/// The part of an OCI image configuration that containers change.
#[derive(Clone, Debug, Default)]
pub struct ImageConfig {
    /// `user`, `uid`, `user:group`, `uid:gid`; empty means root.
    pub user: Arc<str>,
    /// Working directory; empty if unset.
    pub workdir: Arc<str>,
    /// Environment.
    pub env: Environment,
    /// Entrypoint.
    pub entrypoint: Arc<[String]>,
    /// Default arguments (OCI `Cmd`).
    pub command: Arc<[String]>,
    /// Labels, sorted by name.
    pub labels: imbl::OrdMap<Arc<str>, Arc<str>>,
    /// `port/protocol` keys.
    pub exposed_ports: imbl::OrdSet<Arc<str>>,
    /// Everything else the image said, carried through unread (volumes, stop signal, health check, …).
    pub rest: Arc<BTreeMap<String, serde_json::Value>>,
}

/// The JSON of an image configuration, as far as it is read.
///
/// # Source
/// OCI image specification, `config.md`.
#[derive(Debug, Default, Deserialize)]
struct ImageJson {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: String,
    #[serde(default)]
    config: Option<ConfigJson>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigJson {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cmd: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

/// An image configuration read from JSON, with the platform it states.
#[derive(Clone, Debug)]
pub struct ParsedImage {
    /// Platform of the image, in normal form; `None` if the image states none.
    pub platform: Option<crate::Platform>,
    /// The configuration.
    pub config: ImageConfig,
    /// All of it as it was read.
    pub json: Arc<[u8]>,
}

/// An image whose configuration is not the JSON it should be.
#[derive(Debug, thiserror::Error)]
#[error("invalid image config")]
pub struct InvalidImageConfig(#[source] serde_json::Error);

/// Reads an image configuration blob.
///
/// # Errors
/// [`InvalidImageConfig`] when the bytes are no such JSON.
pub fn parse_image(json: &[u8]) -> Result<ParsedImage, InvalidImageConfig> {
    // A struct whose fields all have defaults would take a list as well.
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(json).map_err(InvalidImageConfig)?;
    let image: ImageJson = serde_json::from_value(object.into()).map_err(InvalidImageConfig)?;
    let platform = (!image.architecture.is_empty() && !image.os.is_empty())
        .then(|| crate::Platform::new(&image.os, &image.architecture, &image.variant));
    let config = image.config.unwrap_or_default();
    Ok(ParsedImage {
        platform,
        json: json.into(),
        config: ImageConfig {
            user: config.user.unwrap_or_default().into(),
            workdir: config.working_dir.unwrap_or_default().into(),
            env: Environment::from_list(config.env.iter().flatten().map(String::as_str)),
            entrypoint: config.entrypoint.unwrap_or_default().into(),
            command: config.cmd.unwrap_or_default().into(),
            labels: config
                .labels
                .unwrap_or_default()
                .into_iter()
                .map(|(k, v)| (Arc::from(k), Arc::from(v)))
                .collect(),
            exposed_ports: config.exposed_ports.unwrap_or_default().into_keys().map(Arc::from).collect(),
            rest: Arc::new(config.rest),
        },
    })
}

impl ImageConfig {
    /// The configuration after `from`: the image's wins wholesale, except that variables, labels and exposed
    /// ports of both stay, the image's values first.
    ///
    /// # Source
    /// `contract/container.md` 1, step 5.
    pub fn merged_with_image(&self, image: Self) -> Self {
        let mut env = self.env.clone();
        for (name, value) in image.env.iter() {
            env.set(name, value);
        }
        Self {
            env,
            labels: image.labels.union(self.labels.clone()),
            exposed_ports: image.exposed_ports.union(self.exposed_ports.clone()),
            ..image
        }
    }

    /// The `config` object of an image configuration blob.
    pub fn to_json(&self) -> serde_json::Value {
        let list = |list: &Arc<[String]>| (!list.is_empty()).then(|| list.to_vec());
        let text = |text: &Arc<str>| (!text.is_empty()).then(|| text.to_string());
        let env = self.env.to_list();
        let ports: BTreeMap<String, serde_json::Value> =
            self.exposed_ports.iter().map(|port| (port.to_string(), serde_json::json!({}))).collect();
        let labels: BTreeMap<String, String> =
            self.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let json = ConfigJson {
            user: text(&self.user),
            exposed_ports: (!ports.is_empty()).then_some(ports),
            env: (!env.is_empty()).then_some(env),
            entrypoint: list(&self.entrypoint),
            cmd: list(&self.command),
            working_dir: text(&self.workdir),
            labels: (!labels.is_empty()).then_some(labels),
            rest: (*self.rest).clone(),
        };
        serde_json::to_value(json).expect("maps with text keys always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> ImageConfig {
        parse_image(format!("{{\"os\":\"linux\",\"architecture\":\"x86_64\",\"config\":{json}}}").as_bytes())
            .unwrap()
            .config
    }

    #[test]
    fn an_image_wins_except_for_three_merges() {
        let before =
            config(r#"{"Env":["A=1","B=2"],"User":"u","Labels":{"l":"1"},"ExposedPorts":{"5000/tcp":{}}}"#);
        let image = config(
            r#"{"Env":["C=3","A=2"],"Labels":{"m":"2"},"ExposedPorts":{"80/tcp":{}},"StopSignal":"TERM"}"#,
        );
        let merged = before.merged_with_image(image);
        assert_eq!(merged.env.to_list(), ["A=2", "B=2", "C=3"]);
        assert_eq!(&*merged.user, "");
        assert_eq!(
            merged.to_json().to_string(),
            r#"{"ExposedPorts":{"5000/tcp":{},"80/tcp":{}},"Env":["A=2","B=2","C=3"],"Labels":{"l":"1","m":"2"},"StopSignal":"TERM"}"#
        );
    }

    #[test]
    fn variables_keep_their_place() {
        let mut env = Environment::from_list(["A=1", "B=2=3", "C"]);
        env.set("A", "x");
        env.remove("nope");
        assert_eq!(env.to_list(), ["A=x", "B=2=3", "C="]);
        env.remove("A");
        env.set("A", "y");
        assert_eq!(env.to_list(), ["B=2=3", "C=", "A=y"]);
    }

    #[test]
    fn a_platform_is_normalised_and_bad_json_refused() {
        let parsed = parse_image(br#"{"os":"linux","architecture":"arm64","variant":"v8"}"#).unwrap();
        assert_eq!(parsed.platform.unwrap().to_string(), "linux/arm64");
        assert!(parse_image(b"[]").is_err());
        assert!(parse_image(br#"{"config":{"Env":7}}"#).is_err());
    }
}
