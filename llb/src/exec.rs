//! Exec: one process in a container.

use std::collections::BTreeSet;
use std::sync::Arc;

use treenail_protos::pb;

use crate::caps;
use crate::error::Error;
use crate::mount::{ContentCache, Mount, MountKind, Sharing};
use crate::options::OpOptions;
use crate::output::{Op, Output};

/// A process, what it sees and what it may do.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// The command; never empty.
    pub args: Vec<String>,
    /// Names and values, in order.
    pub env: Vec<(String, String)>,
    /// Working directory; never empty.
    pub cwd: String,
    /// `user`, `user:group`, by name or number; empty is root.
    pub user: String,
    /// Empty leaves it to the daemon.
    pub hostname: String,
    /// Variables that are not part of the cache key.
    pub proxy: Option<Proxy>,
    /// Lines of the hosts file.
    pub extra_hosts: Vec<HostEntry>,
    /// Limits of the process.
    pub ulimits: Vec<Ulimit>,
    /// Empty leaves it to the daemon.
    pub cgroup_parent: String,
    /// Exit codes that are a success; empty is 0 alone.
    pub valid_exit_codes: Vec<i32>,
    /// Keeps the empty parents of mount points that the daemon made. Only the last component of each
    /// is removed then.
    pub keep_mount_stubs: bool,
    /// What the process reaches.
    pub network: Network,
    /// What the process may do.
    pub security: Security,
    /// Variables that the session gives.
    pub secret_env: Vec<SecretEnv>,
    /// Devices by Container Device Interface name.
    pub devices: Vec<Device>,
    /// What is mounted; one must be at `/`.
    pub mounts: Vec<Mount>,
    /// See [`OpOptions`].
    pub options: OpOptions,
}

/// Proxy variables; the daemon sets each in upper and lower case, outside the cache key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// `HTTP_PROXY`
    pub http: String,
    /// `HTTPS_PROXY`
    pub https: String,
    /// `FTP_PROXY`
    pub ftp: String,
    /// `NO_PROXY`
    pub no: String,
    /// `ALL_PROXY`
    pub all: String,
}

/// A line of the hosts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// The name.
    pub host: String,
    /// The address; not part of the cache key.
    pub ip: String,
}

/// A limit of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// `nofile`, `nproc`, …
    pub name: String,
    /// What the process starts with; -1 is no limit.
    pub soft: i64,
    /// What it may raise that to; -1 is no limit.
    pub hard: i64,
}

/// What a process reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// The daemon's default.
    #[default]
    Sandbox,
    /// The daemon's own network; needs an entitlement.
    Host,
    /// Loopback only.
    None,
}

/// What a process may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Security {
    /// The daemon's default.
    #[default]
    Sandbox,
    /// Everything; needs an entitlement.
    Insecure,
}

/// A variable that the session gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretEnv {
    /// What the session is asked for.
    pub id: String,
    /// The variable.
    pub name: String,
    /// Goes on without the variable when the session has no such secret.
    pub optional: bool,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `vendor.example/class=name`
    pub name: String,
    /// Goes on without it.
    pub optional: bool,
}

impl Exec {
    /// A command on a writable root, with working directory `/` and nothing else.
    pub fn new<I, T>(root: impl Into<Option<Output>>, args: I) -> Self
    where
        I: IntoIterator<Item = T>,
        T: Into<String>,
    {
        Self {
            args: args.into_iter().map(Into::into).collect(),
            cwd: "/".to_owned(),
            mounts: vec![Mount::bind("/", root)],
            ..Self::default()
        }
    }

    /// Adds a mount; its number is the count of mounts before it.
    #[must_use]
    pub fn with_mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the options.
    #[must_use]
    pub fn with_options(mut self, options: OpOptions) -> Self {
        self.options = options;
        self
    }

    /// Makes the operation. Nothing runs.
    ///
    /// The platform is that of the options, else that of the root.
    ///
    /// # Errors
    /// [`Error::NoArguments`], [`Error::NoWorkingDirectory`], [`Error::NoRoot`]: what no daemon accepts.
    pub fn run(mut self) -> Result<Execution, Error> {
        if self.args.is_empty() {
            return Err(Error::NoArguments);
        }
        if self.cwd.is_empty() {
            return Err(Error::NoWorkingDirectory);
        }
        let root = self.mounts.iter().position(|mount| mount.target == "/");
        let root = root.ok_or(Error::NoRoot)?;
        let platform = self.mounts[root].source().and_then(Output::platform).cloned();

        // Mounts are emitted by target; the caller keeps its own numbers.
        let mut order: Vec<usize> = (0..self.mounts.len()).collect();
        order.sort_by(|a, b| self.mounts[*a].rank().cmp(&self.mounts[*b].rank()));
        let mut next = 0;
        let mut indexes = vec![None; self.mounts.len()];
        for position in &order {
            if self.mounts[*position].has_output() {
                indexes[*position] = Some(next);
                next += 1;
            }
        }
        let read_only: Vec<Option<Output>> = self
            .mounts
            .iter()
            .map(|mount| match &mount.kind {
                MountKind::Bind(bind) if bind.access == crate::mount::Access::Read => bind.source.clone(),
                _ => None,
            })
            .collect();
        self.mounts.sort_by(|a, b| a.rank().cmp(&b.rank()));

        let options = std::mem::take(&mut self.options);
        let whole = Output::new(Op::Exec(Box::new(self)), options, platform);
        let outputs = indexes
            .into_iter()
            .zip(read_only)
            .map(|(index, source)| match index {
                Some(index) => Some(Output { node: Arc::clone(&whole.node), index }),
                None => source,
            })
            .collect();
        Ok(Execution { outputs, root })
    }

    pub(crate) fn inputs<'a>(&'a self, visit: &mut dyn FnMut(&'a Output)) {
        self.mounts.iter().filter_map(Mount::source).for_each(visit);
    }

    /// How many mounts leave an output.
    pub(crate) fn outputs(&self) -> u32 {
        let count = self.mounts.iter().filter(|mount| mount.has_output()).count();
        u32::try_from(count).expect("a list of mounts is short")
    }

    pub(crate) fn take_inputs(&mut self, into: &mut Vec<Output>) {
        into.extend(self.mounts.iter_mut().filter_map(Mount::take_source));
    }

    /// # Source
    /// BuildKit v0.32.2 `client/llb/exec.go`, `(*ExecOp).Marshal`.
    pub(crate) fn capabilities(&self, options: &OpOptions) -> BTreeSet<&'static str> {
        let mut set = BTreeSet::from([caps::EXEC_META_BASE]);
        let wanted = [
            (!self.valid_exit_codes.is_empty(), caps::EXEC_VALID_EXIT_CODE),
            (!self.ulimits.is_empty(), caps::EXEC_META_ULIMIT),
            (!self.cgroup_parent.is_empty(), caps::EXEC_META_CGROUP_PARENT),
            (options.resources.is_some(), caps::EXEC_META_LINUX_RESOURCES),
            (self.network != Network::Sandbox, caps::EXEC_META_NETWORK),
            (self.security == Security::Insecure, caps::EXEC_META_SECURITY),
            (self.proxy.is_some(), caps::EXEC_META_PROXY),
            (!self.devices.is_empty(), caps::EXEC_META_CDI),
            // A variable asks for both, as the Go client does.
            (!self.secret_env.is_empty(), caps::EXEC_SECRET_ENV),
            (!self.secret_env.is_empty(), caps::EXEC_MOUNT_SECRET),
        ];
        set.extend(wanted.into_iter().filter(|(is, _)| *is).map(|(_, name)| name));
        self.mounts.iter().for_each(|mount| mount.capabilities(&mut set));
        set
    }

    /// The operation's message; `input` gives the position of a tree among the inputs.
    pub(crate) fn to_pb(&self, input: &mut dyn FnMut(&Output) -> i64) -> pb::ExecOp {
        let mut next = 0;
        let mounts = self.mounts.iter().map(|mount| {
            let mut message = mount_to_pb(mount);
            message.input = mount.source().map_or(-1, &mut *input);
            // Secrets and sockets say 0, as the Go client does; the daemon looks at trees only.
            message.output = match &mount.kind {
                MountKind::Secret(_) | MountKind::Ssh(_) => 0,
                _ if mount.has_output() => {
                    next += 1;
                    next - 1
                }
                _ => -1,
            };
            message
        });
        pb::ExecOp {
            mounts: mounts.collect(),
            meta: Some(self.meta()),
            network: match self.network {
                Network::Sandbox => pb::NetMode::Unset,
                Network::Host => pb::NetMode::Host,
                Network::None => pb::NetMode::None,
            }
            .into(),
            security: match self.security {
                Security::Sandbox => pb::SecurityMode::Sandbox,
                Security::Insecure => pb::SecurityMode::Insecure,
            }
            .into(),
            secretenv: self
                .secret_env
                .iter()
                .map(|secret| pb::SecretEnv {
                    id: secret.id.clone(),
                    name: secret.name.clone(),
                    optional: secret.optional,
                })
                .collect(),
            cdi_devices: self
                .devices
                .iter()
                .map(|device| pb::CdiDevice { name: device.name.clone(), optional: device.optional })
                .collect(),
        }
    }

    fn meta(&self) -> pb::Meta {
        pb::Meta {
            args: self.args.clone(),
            env: self.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
            cwd: self.cwd.clone(),
            user: self.user.clone(),
            proxy_env: self.proxy.as_ref().map(|proxy| pb::ProxyEnv {
                http_proxy: proxy.http.clone(),
                https_proxy: proxy.https.clone(),
                ftp_proxy: proxy.ftp.clone(),
                no_proxy: proxy.no.clone(),
                all_proxy: proxy.all.clone(),
            }),
            extra_hosts: self
                .extra_hosts
                .iter()
                .map(|entry| pb::HostIp { host: entry.host.clone(), ip: entry.ip.clone() })
                .collect(),
            hostname: self.hostname.clone(),
            ulimit: self
                .ulimits
                .iter()
                .map(|limit| pb::Ulimit { name: limit.name.clone(), soft: limit.soft, hard: limit.hard })
                .collect(),
            cgroup_parent: self.cgroup_parent.clone(),
            remove_mount_stubs_recursive: !self.keep_mount_stubs,
            valid_exit_codes: self.valid_exit_codes.clone(),
        }
    }
}

/// A mount's message without input and output.
fn mount_to_pb(mount: &Mount) -> pb::Mount {
    let mut message = pb::Mount { dest: mount.target.clone(), ..pb::Mount::default() };
    let kind = match &mount.kind {
        MountKind::Bind(bind) => {
            message.selector.clone_from(&bind.selector);
            message.readonly = bind.access == crate::mount::Access::Read;
            message.content_cache = match bind.content_cache {
                ContentCache::Default => pb::MountContentCache::Default,
                ContentCache::On => pb::MountContentCache::On,
                ContentCache::Off => pb::MountContentCache::Off,
            }
            .into();
            pb::MountType::Bind
        }
        MountKind::Cache(cache) => {
            message.selector.clone_from(&cache.selector);
            message.readonly = cache.read_only;
            let sharing = match cache.sharing {
                Sharing::Shared => pb::CacheSharingOpt::Shared,
                Sharing::Private => pb::CacheSharingOpt::Private,
                Sharing::Locked => pb::CacheSharingOpt::Locked,
            };
            message.cache_opt = Some(pb::CacheOpt { id: cache.id.clone(), sharing: sharing.into() });
            pb::MountType::Cache
        }
        MountKind::Tmpfs { size } => {
            message.tmpfs_opt = Some(pb::TmpfsOpt { size: *size });
            pb::MountType::Tmpfs
        }
        MountKind::Secret(secret) => {
            message.secret_opt = Some(pb::SecretOpt {
                id: secret.id.clone(),
                uid: secret.uid,
                gid: secret.gid,
                mode: secret.mode,
                optional: secret.optional,
            });
            pb::MountType::Secret
        }
        MountKind::Ssh(ssh) => {
            message.ssh_opt = Some(pb::SshOpt {
                id: ssh.id.clone(),
                uid: ssh.uid,
                gid: ssh.gid,
                mode: ssh.mode,
                optional: ssh.optional,
            });
            pb::MountType::Ssh
        }
    };
    message.mount_type = kind.into();
    message
}

/// An exec in a graph: what its mounts hold afterwards.
#[derive(Clone, Debug)]
pub struct Execution {
    outputs: Vec<Option<Output>>,
    root: usize,
}

impl Execution {
    /// The root after the command; of a read-only root, the root before it.
    pub fn root(&self) -> Option<Output> {
        self.output(self.root)
    }

    /// What the mount with this number (in the order of [`Exec::mounts`]) holds after the command.
    ///
    /// A read-only tree is still its source. `None` for an empty read-only tree, for mounts that keep
    /// nothing (volumes, memory, secrets, sockets, discarded writes) and for numbers beyond the list.
    pub fn output(&self, mount: usize) -> Option<Output> {
        self.outputs.get(mount).cloned().flatten()
    }
}
