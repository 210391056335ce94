//! Building a Dockerfile: what the daemon's own frontend is told, and the container that comes of its answer.
//!
//! The frontend makes the graph, so that layers are those of any other client of the daemon.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Container, Owner, ParsedImage, Platform, Secret, SecretUse, Tree};

/// What a Dockerfile is built with.
#[derive(Clone, Debug, Default)]
pub struct DockerfileBuild {
    /// Path of the file in the directory.
    pub dockerfile: String,
    /// Platform of the result; `None` is the daemon's own.
    pub platform: Option<Platform>,
    /// Values of `ARG`s, in order; of several for one name the last counts.
    pub arguments: Vec<(Arc<str>, Arc<str>)>,
    /// Stage to build; empty is the last one.
    pub target: String,
    /// Secrets that its commands may mount, by their names.
    pub secrets: Vec<Secret>,
}

impl DockerfileBuild {
    /// Options in the frontend's words.
    ///
    /// # Source
    /// BuildKit v0.32.2 `frontend/dockerui/config.go`, `context.go`.
    pub fn options(&self) -> BTreeMap<String, String> {
        let mut options = BTreeMap::from([("filename".to_owned(), self.dockerfile.clone())]);
        if !self.target.is_empty() {
            options.insert("target".to_owned(), self.target.clone());
        }
        if let Some(platform) = &self.platform {
            options.insert("platform".to_owned(), platform.to_string());
        }
        for (name, value) in &self.arguments {
            options.insert(format!("build-arg:{name}"), value.to_string());
        }
        options
    }

    /// Paths of the files that can say what is no part of the context, the first with content counts.
    pub fn ignore_files(&self) -> [String; 2] {
        [format!("{}.dockerignore", self.dockerfile), ".dockerignore".to_owned()]
    }

    /// Is it a secret that the build was given?
    pub fn has_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secret| *secret.name == *name)
    }

    /// The container with what was built: the secrets stay mounted, where commands of the Dockerfile found them.
    ///
    /// # Source
    /// `contract/container.md` 7.
    pub fn container(&self, tree: Tree, image: ParsedImage, default: &Platform) -> Container {
        let platform = image.platform.or_else(|| self.platform.clone()).unwrap_or_else(|| default.clone());
        let mut container = Container::new(platform).with_imported(tree, image.config);
        for secret in &self.secrets {
            container = container.with_secret_file(SecretUse {
                target: format!("/run/secrets/{}", secret.name).into(),
                secret: secret.clone(),
                owner: Owner::default(),
                mode: 0o400,
            });
        }
        container
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_image;

    #[test]
    fn options_are_in_the_frontend_s_words() {
        let mut build =
            DockerfileBuild { dockerfile: "a/Dockerfile".to_owned(), ..DockerfileBuild::default() };
        let pairs = |build: &DockerfileBuild| build.options().into_iter().collect::<Vec<_>>();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs(&build), [pair("filename", "a/Dockerfile")]);
        build.arguments = [("A", "1"), ("B", ""), ("A", "2")].map(|(n, v)| (n.into(), v.into())).to_vec();
        build.platform = Some(Platform::parse("linux/arm64").unwrap());
        build.target = "stage".to_owned();
        assert_eq!(
            pairs(&build),
            [
                pair("build-arg:A", "2"),
                pair("build-arg:B", ""),
                pair("filename", "a/Dockerfile"),
                pair("platform", "linux/arm64"),
                pair("target", "stage"),
            ]
        );
        assert_eq!(build.ignore_files(), ["a/Dockerfile.dockerignore", ".dockerignore"]);
    }

    #[test]
    fn a_container_has_the_image_s_configuration_and_the_secrets() {
        let secret = Secret { id: "i".into(), name: "token".into(), uri: "".into() };
        let build = DockerfileBuild { secrets: vec![secret], ..DockerfileBuild::default() };
        let image = parse_image(br#"{"os":"linux","architecture":"arm64","config":{"User":"u"}}"#).unwrap();
        let container = build.container(Tree::scratch(), image, &Platform::parse("linux/amd64").unwrap());
        assert_eq!(container.platform.to_string(), "linux/arm64");
        assert_eq!(&*container.config.user, "u");
        assert_eq!(&*container.secret_files[0].target, "/run/secrets/token");
        assert!(build.has_secret("token") && !build.has_secret("tok"));
    }
}
