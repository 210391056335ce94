//! The exec op of a failure, from protobuf's JSON spelling.
//!
//! Only execs leave mounts behind, so only they are decoded; any other op comes out empty. Unknown fields are
//! skipped: a newer daemon may say more.

use serde::Deserialize;
use treenail_protos::pb;

/// Turns the JSON of a `pb.Op` into the message.
///
/// # Source
/// BuildKit v0.32.2 `solver/errdefs/solve.go` marshals with `protojson`: 64-bit numbers are strings, enums are names.
pub(super) fn decode(json: &serde_json::value::RawValue) -> Option<pb::Op> {
    let op: Op = serde_json::from_str(json.get()).ok()?;
    let exec = op.exec?;
    Some(pb::Op {
        inputs: op
            .inputs
            .into_iter()
            .map(|input| pb::Input { digest: input.digest, index: input.index.0 })
            .collect(),
        op: Some(pb::op::Op::Exec(exec.into_message())),
        platform: op.platform.map(|platform| pb::Platform {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            os_version: platform.os_version,
            os_features: platform.os_features,
        }),
        ..pb::Op::default()
    })
}

/// A 64-bit number: a string in protobuf's JSON, a number in Go's.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(try_from = "IntegerText")]
struct Integer(i64);

#[derive(Deserialize)]
#[serde(untagged)]
enum IntegerText {
    Number(i64),
    Text(String),
}

impl TryFrom<IntegerText> for Integer {
    type Error = std::num::ParseIntError;

    fn try_from(text: IntegerText) -> Result<Self, Self::Error> {
        match text {
            IntegerText::Number(number) => Ok(Self(number)),
            IntegerText::Text(text) => text.parse().map(Self),
        }
    }
}

/// An enum: a name in protobuf's JSON, a number in Go's or when the name is unknown to the sender.
#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(i32),
    Name(String),
}

impl Default for Word {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Word {
    fn number<E: Into<i32>>(self, from_name: fn(&str) -> Option<E>) -> i32 {
        match self {
            Self::Number(number) => number,
            Self::Name(name) => from_name(&name).map_or(-1, Into::into),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Op {
    inputs: Vec<Input>,
    exec: Option<Exec>,
    platform: Option<Platform>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Input {
    digest: String,
    index: Integer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Platform {
    #[serde(rename = "Architecture")]
    architecture: String,
    #[serde(rename = "OS")]
    os: String,
    #[serde(rename = "Variant")]
    variant: String,
    #[serde(rename = "OSVersion")]
    os_version: String,
    #[serde(rename = "OSFeatures")]
    os_features: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Exec {
    meta: Meta,
    mounts: Vec<Mount>,
    network: Word,
    security: Word,
    secretenv: Vec<SecretEnv>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    args: Vec<String>,
    env: Vec<String>,
    cwd: String,
    user: String,
    proxy_env: Option<Proxy>,
    extra_hosts: Vec<Host>,
    hostname: String,
    ulimit: Vec<Ulimit>,
    cgroup_parent: String,
    remove_mount_stubs_recursive: bool,
    valid_exit_codes: Vec<i32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Proxy {
    http_proxy: String,
    https_proxy: String,
    ftp_proxy: String,
    no_proxy: String,
    all_proxy: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Host {
    #[serde(rename = "Host")]
    host: String,
    #[serde(rename = "IP")]
    ip: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ulimit {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Soft")]
    soft: Integer,
    #[serde(rename = "Hard")]
    hard: Integer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SecretEnv {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    optional: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Mount {
    input: Integer,
    selector: String,
    dest: String,
    output: Integer,
    readonly: bool,
    mount_type: Word,
    #[serde(rename = "TmpfsOpt")]
    tmpfs: Option<Tmpfs>,
    cache_opt: Option<Cache>,
    secret_opt: Option<Attached>,
    #[serde(rename = "SSHOpt")]
    ssh_opt: Option<Attached>,
    #[serde(rename = "resultID")]
    result_id: String,
    content_cache: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tmpfs {
    size: Integer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cache {
    #[serde(rename = "ID")]
    id: String,
    sharing: Word,
}

/// Secrets and sockets have the same fields.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Attached {
    #[serde(rename = "ID")]
    id: String,
    uid: u32,
    gid: u32,
    mode: u32,
    optional: bool,
}

impl Exec {
    fn into_message(self) -> pb::ExecOp {
        pb::ExecOp {
            meta: Some(self.meta.into_message()),
            mounts: self.mounts.into_iter().map(Mount::into_message).collect(),
            network: self.network.number(pb::NetMode::from_str_name),
            security: self.security.number(pb::SecurityMode::from_str_name),
            secretenv: self
                .secretenv
                .into_iter()
                .map(|secret| pb::SecretEnv { id: secret.id, name: secret.name, optional: secret.optional })
                .collect(),
            ..pb::ExecOp::default()
        }
    }
}

impl Meta {
    fn into_message(self) -> pb::Meta {
        pb::Meta {
            args: self.args,
            env: self.env,
            cwd: self.cwd,
            user: self.user,
            proxy_env: self.proxy_env.map(|proxy| pb::ProxyEnv {
                http_proxy: proxy.http_proxy,
                https_proxy: proxy.https_proxy,
                ftp_proxy: proxy.ftp_proxy,
                no_proxy: proxy.no_proxy,
                all_proxy: proxy.all_proxy,
            }),
            extra_hosts: self
                .extra_hosts
                .into_iter()
                .map(|host| pb::HostIp { host: host.host, ip: host.ip })
                .collect(),
            hostname: self.hostname,
            ulimit: self
                .ulimit
                .into_iter()
                .map(|limit| pb::Ulimit { name: limit.name, soft: limit.soft.0, hard: limit.hard.0 })
                .collect(),
            cgroup_parent: self.cgroup_parent,
            remove_mount_stubs_recursive: self.remove_mount_stubs_recursive,
            valid_exit_codes: self.valid_exit_codes,
        }
    }
}

impl Mount {
    fn into_message(self) -> pb::Mount {
        pb::Mount {
            input: self.input.0,
            selector: self.selector,
            dest: self.dest,
            output: self.output.0,
            readonly: self.readonly,
            mount_type: self.mount_type.number(pb::MountType::from_str_name),
            tmpfs_opt: self.tmpfs.map(|tmpfs| pb::TmpfsOpt { size: tmpfs.size.0 }),
            cache_opt: self.cache_opt.map(|cache| pb::CacheOpt {
                id: cache.id,
                sharing: cache.sharing.number(pb::CacheSharingOpt::from_str_name),
            }),
            secret_opt: self.secret_opt.map(|secret| pb::SecretOpt {
                id: secret.id,
                uid: secret.uid,
                gid: secret.gid,
                mode: secret.mode,
                optional: secret.optional,
            }),
            ssh_opt: self.ssh_opt.map(|socket| pb::SshOpt {
                id: socket.id,
                uid: socket.uid,
                gid: socket.gid,
                mode: socket.mode,
                optional: socket.optional,
            }),
            result_id: self.result_id,
            content_cache: self.content_cache.number(pb::MountContentCache::from_str_name),
        }
    }
}
