//! A container: a root file system, an image configuration, mounts and what the next command needs.

use std::sync::Arc;

use crate::expand::{self, SecretInExpansion};
use crate::{
    CacheVolume, Directory, ExecOutput, File, ImageConfig, Invalid, Owner, ParsedImage, Platform, Secret,
};
use crate::{Sharing, Tree, paths};

/// A container. Every method that changes something answers a changed copy.
#[derive(Clone, Debug)]
pub struct Container {
    /// Platform its commands run on.
    pub platform: Platform,
    /// Root file system; `None` before anything was put in.
    pub rootfs: Option<Directory>,
    /// Image configuration.
    pub config: ImageConfig,
    /// Mounts in the order they were added.
    pub mounts: imbl::Vector<Mount>,
    /// Secrets as files, in order; several may share a path, later ones on top.
    pub secret_files: imbl::Vector<SecretUse>,
    /// Secrets as variables, in order.
    pub secret_variables: imbl::Vector<(Arc<str>, Secret)>,
    /// Ports set by hand, by number and protocol.
    pub ports: imbl::OrdMap<(i64, Arc<str>), ExposedPort>,
    /// Annotations for the manifest, duplicates possible.
    pub annotations: imbl::Vector<(Arc<str>, Arc<str>)>,
    /// Canonical reference of the image, as long as nothing but configuration was changed since.
    pub image_ref: Option<Arc<str>>,
    /// Output of the last command.
    pub last_exec: Option<ExecOutput>,
    /// The default arguments were set by hand.
    pub default_args_by_hand: bool,
    /// Command of `terminal`.
    pub terminal_command: Arc<[String]>,
    /// Configuration of the image that the file system stands on, as its registry has it: which layers and which
    /// history are inherited.
    pub base_config: Option<Arc<[u8]>>,
}

/// Something mounted over the root file system.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Absolute, cleaned.
    pub target: Arc<str>,
    /// What is mounted.
    pub kind: MountKind,
}

/// What can be mounted.
#[derive(Clone, Debug)]
pub enum MountKind {
    /// A directory; writes persist into following commands.
    Directory(Directory),
    /// A single file; the same.
    File(File),
    /// A persistent volume.
    Cache {
        /// Which.
        volume: CacheVolume,
        /// What fills it when it is new.
        source: Option<Directory>,
        /// How it is shared.
        sharing: Sharing,
        /// Owner of its root.
        owner: Option<Owner>,
    },
    /// Memory, fresh for each command.
    Temp {
        /// Bytes; 0 leaves it to the daemon.
        size: i64,
    },
}

/// A secret as a file.
#[derive(Clone, Debug)]
pub struct SecretUse {
    /// Absolute, cleaned.
    pub target: Arc<str>,
    /// Which.
    pub secret: Secret,
    /// Owner of the file.
    pub owner: Owner,
    /// Mode bits.
    pub mode: u32,
}

/// A port of the image or the service that a container becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedPort {
    /// Number.
    pub port: i64,
    /// `TCP` or `UDP`.
    pub protocol: Arc<str>,
    /// Text for people.
    pub description: Option<Arc<str>>,
    /// Take it as healthy without dialling.
    pub skip_health_check: bool,
}

/// Where a path of a container lives.
#[derive(Clone, Debug)]
pub enum Located {
    /// In a directory value (the root file system or a mount), at a path below that directory.
    In(Directory, String),
    /// It is, or lies below, a mounted file.
    File(File),
}

impl Container {
    /// An empty container.
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            rootfs: None,
            config: ImageConfig::default(),
            mounts: imbl::Vector::new(),
            secret_files: imbl::Vector::new(),
            secret_variables: imbl::Vector::new(),
            ports: imbl::OrdMap::new(),
            annotations: imbl::Vector::new(),
            image_ref: None,
            last_exec: None,
            default_args_by_hand: false,
            terminal_command: Arc::new([]),
            base_config: None,
        }
    }

    /// Puts an image in: its file system replaces the old one, its configuration is merged.
    ///
    /// `reference` is canonical and pinned: `docker.io/library/alpine:3.22@sha256:…`.
    ///
    /// # Source
    /// `contract/container.md` 1.
    #[must_use]
    pub fn from_image(&self, reference: &str, image: ParsedImage) -> Self {
        let mut next = self.clone();
        if let Some(platform) = image.platform {
            next.platform = platform;
        }
        next.rootfs = Some(Directory::whole(Tree::image(reference, &next.platform), next.platform.clone()));
        next.config = self.config.merged_with_image(image.config);
        next.image_ref = Some(reference.into());
        next.base_config = Some(image.json);
        next.last_exec = None;
        next.default_args_by_hand = false;
        next
    }

    /// The root file system; empty for a container without one.
    pub fn root(&self) -> Directory {
        self.rootfs.clone().unwrap_or_else(|| Directory::whole(Tree::scratch(), self.platform.clone()))
    }

    /// Replaces the root file system.
    #[must_use]
    pub fn with_rootfs(&self, directory: &Directory) -> Self {
        let mut next = self.changed();
        next.rootfs = Some(Directory { platform: self.platform.clone(), ..directory.rebased() });
        next.base_config = None;
        next
    }

    /// A copy whose image reference is gone, because more than configuration is about to change.
    pub(crate) fn changed(&self) -> Self {
        Self { image_ref: None, ..self.clone() }
    }

    /// A copy with another configuration.
    #[must_use]
    pub fn with_config(&self, change: impl FnOnce(&mut ImageConfig)) -> Self {
        let mut next = self.clone();
        change(&mut next.config);
        next
    }

    /// Joins a path to the working directory.
    pub fn absolute(&self, path: &str) -> String {
        paths::in_workdir(&self.config.workdir, path)
    }

    /// Expands variables of the configured environment in a path or an argument.
    ///
    /// # Errors
    /// The name is a secret variable.
    pub fn expand(&self, text: &str) -> Result<String, SecretInExpansion> {
        expand::expand(text, |name| {
            if self.secret_variables.iter().any(|(secret, _)| **secret == *name) {
                return Err(SecretInExpansion(name.to_owned()));
            }
            Ok(self.config.env.get(name).map(ToString::to_string).unwrap_or_default())
        })
    }

    /// Expands variables in the value of another variable, where secret names count as unset.
    pub fn expand_value(&self, text: &str) -> String {
        let value = |name: &str| -> Result<String, std::convert::Infallible> {
            Ok(self.config.env.get(name).map(ToString::to_string).unwrap_or_default())
        };
        match expand::expand(text, value) {
            Ok(expanded) => expanded,
            Err(never) => match never {},
        }
    }

    /// Where an absolute, cleaned path lives for a reader.
    ///
    /// # Errors
    /// It lives where the API cannot look.
    pub fn locate(&self, path: &str) -> Result<Located, Invalid> {
        let Some((_, mount, rest)) = self.mount_over(path) else {
            return Ok(Located::In(self.root(), path.to_owned()));
        };
        match &mount.kind {
            MountKind::Directory(directory) => Ok(Located::In(directory.clone(), rest)),
            MountKind::File(file) => Ok(Located::File(file.clone())),
            MountKind::Cache { .. } => Err(Invalid::new(format!("{path}: cannot retrieve path from cache"))),
            MountKind::Temp { .. } => Err(Invalid::new(format!("{path}: cannot retrieve path from tmpfs"))),
        }
    }

    /// The last mount that covers a path, its position, and the path below it.
    fn mount_over(&self, path: &str) -> Option<(usize, &Mount, String)> {
        self.mounts.iter().enumerate().rev().find_map(|(at, mount)| {
            paths::below(&mount.target, path).map(|rest| (at, mount, rest.to_owned()))
        })
    }

    /// Changes what lies at an absolute, cleaned path, wherever that is. `replaces` says that the change puts
    /// something at the path itself: then a directory mounted exactly there goes first.
    ///
    /// # Errors
    /// The path lives where the API cannot write, or the change refuses.
    pub fn edit(
        &self,
        path: &str,
        replaces: bool,
        change: impl FnOnce(&Directory, &str) -> Result<Directory, Invalid>,
    ) -> Result<Self, Invalid> {
        let mut next = self.changed();
        loop {
            let Some((at, mount, rest)) = next.mount_over(path) else {
                let root = change(&next.root(), path)?;
                next.rootfs = Some(Directory { platform: self.platform.clone(), ..root });
                return Ok(next);
            };
            let exactly = rest == "/";
            match &mount.kind {
                MountKind::Directory(_) if exactly && replaces => {
                    next.mounts.remove(at);
                }
                MountKind::Directory(directory) => {
                    let changed = Mount {
                        target: mount.target.clone(),
                        kind: MountKind::Directory(change(directory, &rest)?),
                    };
                    next.mounts.set(at, changed);
                    return Ok(next);
                }
                MountKind::File(_) if exactly => {
                    next.mounts.remove(at);
                }
                MountKind::File(_) => return Err(Invalid::new(format!("invalid mount source for {path}"))),
                MountKind::Cache { .. } => {
                    return Err(Invalid::new(format!("{path}: cannot retrieve path from cache")));
                }
                MountKind::Temp { .. } => {
                    return Err(Invalid::new(format!("{path}: cannot retrieve path from tmpfs")));
                }
            }
        }
    }

    /// Adds a mount: everything mounted at its target or below it goes.
    #[must_use]
    pub fn with_mount(&self, target: &str, kind: MountKind) -> Self {
        let mut next = self.changed();
        next.mounts.retain(|mount| paths::below(target, &mount.target).is_none());
        next.mounts.push_back(Mount { target: target.into(), kind });
        next
    }

    /// Removes the last mount with exactly this target; none is no error.
    #[must_use]
    pub fn without_mount(&self, target: &str) -> Self {
        let Some(at) = self.mounts.iter().rposition(|mount| *mount.target == *target) else {
            return self.clone();
        };
        let mut next = self.changed();
        next.mounts.remove(at);
        next
    }

    /// Adds a secret as a file.
    #[must_use]
    pub fn with_secret_file(&self, secret: SecretUse) -> Self {
        let mut next = self.changed();
        next.secret_files.push_back(secret);
        next
    }

    /// Adds a secret as a variable.
    #[must_use]
    pub fn with_secret_variable(&self, name: &str, secret: Secret) -> Self {
        let mut next = self.changed();
        match next.secret_variables.iter().position(|(known, _)| **known == *name) {
            Some(at) => {
                next.secret_variables.set(at, (name.into(), secret));
            }
            None => next.secret_variables.push_back((name.into(), secret)),
        }
        next
    }

    /// Removes the first secret variable of a name; none is no error.
    #[must_use]
    pub fn without_secret_variable(&self, name: &str) -> Self {
        let Some(at) = self.secret_variables.iter().position(|(known, _)| **known == *name) else {
            return self.clone();
        };
        let mut next = self.changed();
        next.secret_variables.remove(at);
        next
    }

    /// Sets or clears the entrypoint; the default arguments go with it unless they are kept.
    #[must_use]
    pub fn with_entrypoint(&self, args: &[String], keep_default_args: bool) -> Self {
        let mut next = self.clone();
        next.config.entrypoint = args.into();
        if !keep_default_args {
            next.config.command = Arc::new([]);
            next.default_args_by_hand = false;
        }
        next
    }

    /// Sets the default arguments.
    #[must_use]
    pub fn with_default_args(&self, args: &[String]) -> Self {
        let mut next = self.clone();
        next.config.command = args.into();
        next.default_args_by_hand = true;
        next
    }

    /// Clears the default arguments.
    #[must_use]
    pub fn without_default_args(&self) -> Self {
        let mut next = self.clone();
        next.config.command = Arc::new([]);
        next.default_args_by_hand = false;
        next
    }

    /// Sets a port.
    #[must_use]
    pub fn with_port(&self, port: ExposedPort) -> Self {
        let mut next = self.clone();
        next.config.exposed_ports.insert(port_key(port.port, &port.protocol));
        next.ports.insert((port.port, port.protocol.clone()), port);
        next
    }

    /// Removes a port; none is no error.
    #[must_use]
    pub fn without_port(&self, port: i64, protocol: &str) -> Self {
        let mut next = self.clone();
        next.config.exposed_ports.remove(&*port_key(port, protocol));
        next.ports.remove(&(port, protocol.into()));
        next
    }

    /// All ports: those of the image and those set by hand.
    pub fn exposed_ports(&self) -> Vec<ExposedPort> {
        let mut ports: Vec<ExposedPort> = self
            .config
            .exposed_ports
            .iter()
            .filter_map(|key| {
                let (number, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
                let number: i64 = number.parse().ok()?;
                let protocol: Arc<str> = protocol.to_ascii_uppercase().into();
                Some(self.ports.get(&(number, protocol.clone())).cloned().unwrap_or(ExposedPort {
                    port: number,
                    protocol,
                    description: None,
                    skip_health_check: false,
                }))
            })
            .collect();
        ports.sort_by(|a, b| (a.port, &a.protocol).cmp(&(b.port, &b.protocol)));
        ports
    }

    /// Adds an annotation.
    #[must_use]
    pub fn with_annotation(&self, name: &str, value: &str) -> Self {
        let mut next = self.changed();
        next.annotations.push_back((name.into(), value.into()));
        next
    }

    /// Removes the first annotation of a name.
    #[must_use]
    pub fn without_annotation(&self, name: &str) -> Self {
        let Some(at) = self.annotations.iter().position(|(known, _)| **known == *name) else {
            return self.clone();
        };
        let mut next = self.changed();
        next.annotations.remove(at);
        next
    }
}

fn port_key(port: i64, protocol: &str) -> Arc<str> {
    format!("{port}/{}", protocol.to_ascii_lowercase()).into()
}
