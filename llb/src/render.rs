//! Definitions as text, for snapshots and people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost::Message as _;
use treenail_protos::pb;

use crate::digest::Digest;

/// One line per vertex, in the order of the definition, with short names for the digests.
///
/// Only what is not a default is written, so that lines stay short. A vertex that cannot be decoded
/// is a line that says so.
pub fn render(definition: &pb::Definition) -> String {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut out = String::new();
    for bytes in &definition.def {
        let digest = Digest::of(bytes).to_string();
        let name = format!("%{}", names.len());
        let line = match pb::Op::decode(bytes.clone()) {
            Ok(op) => Line::new(&op, &names).finish(&name, definition.metadata.get(&digest)),
            Err(_) => format!("{name} = not an operation ({} bytes)", bytes.len()),
        };
        out.push_str(&line);
        out.push('\n');
        names.insert(digest, name);
    }
    out
}

/// Text that is written to a `String` cannot fail.
const WRITES: &str = "a String takes all text";

struct Line {
    text: String,
    inputs: Vec<String>,
    is_terminal: bool,
}

impl Line {
    fn new(op: &pb::Op, names: &BTreeMap<String, String>) -> Self {
        let inputs = op.inputs.iter().map(|input| {
            let name = names.get(&input.digest).map_or(input.digest.as_str(), String::as_str);
            match input.index {
                0 => name.to_owned(),
                index => format!("{name}.{index}"),
            }
        });
        let mut line = Self { text: String::new(), inputs: inputs.collect(), is_terminal: op.op.is_none() };
        match &op.op {
            Some(pb::op::Op::Source(source)) => line.source(source),
            Some(pb::op::Op::Exec(exec)) => line.exec(exec),
            Some(pb::op::Op::File(file)) => line.file(file),
            Some(pb::op::Op::Merge(merge)) => {
                let trees: Vec<String> = merge.inputs.iter().map(|input| line.input(input.input)).collect();
                line.word(&format!("merge {}", trees.join(" + ")));
            }
            Some(pb::op::Op::Diff(diff)) => {
                let lower = diff.lower.as_ref().map_or(-1, |side| side.input);
                let upper = diff.upper.as_ref().map_or(-1, |side| side.input);
                let text = format!("diff {} -> {}", line.input(lower), line.input(upper));
                line.word(&text);
            }
            Some(pb::op::Op::Build(build)) => {
                line.word("build");
                for input in build.inputs.values() {
                    let text = line.input(input.input);
                    line.word(&text);
                }
                line.pairs(&build.attrs);
            }
            Some(pb::op::Op::Passthrough(pass)) => {
                let text = format!("passthrough {} {}", pass.id, line.inputs.join(" "));
                line.word(&text);
            }
            None => {
                let text = format!("return {}", line.inputs.join(" "));
                line.word(&text);
            }
        }
        if let Some(platform) = &op.platform {
            let mut text = format!("[{}/{}", platform.os, platform.architecture);
            if !platform.variant.is_empty() {
                text.push('/');
                text.push_str(&platform.variant);
            }
            text.push(']');
            line.word(&text);
        }
        for filter in op.constraints.iter().flat_map(|constraints| &constraints.filter) {
            line.word(&format!("worker({filter})"));
        }
        line
    }

    fn finish(mut self, name: &str, metadata: Option<&pb::OpMetadata>) -> String {
        if let Some(metadata) = metadata {
            if metadata.ignore_cache {
                self.word("!cache");
            }
            if let Some(export) = &metadata.export_cache {
                self.word(if export.value { "export" } else { "!export" });
            }
            for (key, text) in &metadata.description {
                self.word(&format!("# {key}={text}"));
            }
        }
        if self.is_terminal {
            return self.text;
        }
        format!("{name} = {}", self.text)
    }

    fn word(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        // One line per vertex, whatever names contain.
        for character in word.chars() {
            match character {
                control if control.is_control() => {
                    write!(self.text, "{}", control.escape_default()).expect(WRITES);
                }
                other => self.text.push(other),
            }
        }
    }

    fn flag(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.word(name);
        }
    }

    fn pairs(&mut self, pairs: &BTreeMap<String, String>) {
        for (name, value) in pairs {
            self.word(&format!("{name}={value}"));
        }
    }

    fn input(&self, position: i64) -> String {
        let found = usize::try_from(position).ok().and_then(|position| self.inputs.get(position));
        match found {
            Some(name) => name.clone(),
            None if position == -1 => "scratch".to_owned(),
            None => format!("?{position}"),
        }
    }

    fn source(&mut self, source: &pb::SourceOp) {
        self.word(&source.identifier);
        self.pairs(&source.attrs);
    }

    fn exec(&mut self, exec: &pb::ExecOp) {
        let meta = exec.meta.clone().unwrap_or_default();
        self.word(&format!("exec {:?}", meta.args));
        if meta.cwd != "/" {
            self.word(&format!("cwd={}", meta.cwd));
        }
        for (name, value) in
            [("user", &meta.user), ("hostname", &meta.hostname), ("cgroup", &meta.cgroup_parent)]
        {
            if !value.is_empty() {
                self.word(&format!("{name}={value}"));
            }
        }
        for variable in &meta.env {
            self.word(&format!("env({variable})"));
        }
        for secret in &exec.secretenv {
            let optional = if secret.optional { "?" } else { "" };
            self.word(&format!("secret-env({}={}{optional})", secret.name, secret.id));
        }
        for host in &meta.extra_hosts {
            self.word(&format!("host({}={})", host.host, host.ip));
        }
        for limit in &meta.ulimit {
            self.word(&format!("ulimit({}={}:{})", limit.name, limit.soft, limit.hard));
        }
        for device in &exec.cdi_devices {
            let optional = if device.optional { "?" } else { "" };
            self.word(&format!("device({}{optional})", device.name));
        }
        if !meta.valid_exit_codes.is_empty() {
            self.word(&format!("exit{:?}", meta.valid_exit_codes));
        }
        self.flag("proxy", meta.proxy_env.is_some());
        self.flag("keep-stubs", !meta.remove_mount_stubs_recursive);
        self.flag("network=host", exec.network() == pb::NetMode::Host);
        self.flag("network=none", exec.network() == pb::NetMode::None);
        self.flag("insecure", exec.security() == pb::SecurityMode::Insecure);
        for mount in &exec.mounts {
            self.mount(mount);
        }
    }

    fn mount(&mut self, mount: &pb::Mount) {
        let mut text = format!("{}:", mount.dest);
        let optional = |optional: bool| if optional { "?" } else { "" };
        match mount.mount_type() {
            pb::MountType::Bind => text.push_str(&self.input(mount.input)),
            pb::MountType::Cache => {
                let cache = mount.cache_opt.clone().unwrap_or_default();
                let sharing = cache.sharing().as_str_name().to_ascii_lowercase();
                write!(text, "cache({} {sharing}", cache.id).expect(WRITES);
                if mount.input != -1 {
                    write!(text, " from {}", self.input(mount.input)).expect(WRITES);
                }
                text.push(')');
            }
            pb::MountType::Tmpfs => {
                let size = mount.tmpfs_opt.as_ref().map_or(0, |tmpfs| tmpfs.size);
                write!(text, "tmpfs({size})").expect(WRITES);
            }
            pb::MountType::Secret => {
                let secret = mount.secret_opt.clone().unwrap_or_default();
                let sign = optional(secret.optional);
                write!(text, "secret({}{sign} {}:{} {:04o})", secret.id, secret.uid, secret.gid, secret.mode)
                    .expect(WRITES);
            }
            pb::MountType::Ssh => {
                let ssh = mount.ssh_opt.clone().unwrap_or_default();
                let sign = optional(ssh.optional);
                write!(text, "ssh({}{sign} {}:{} {:04o})", ssh.id, ssh.uid, ssh.gid, ssh.mode).expect(WRITES);
            }
        }
        if !mount.selector.is_empty() {
            write!(text, "@{}", mount.selector).expect(WRITES);
        }
        let is_tree = mount.mount_type() == pb::MountType::Bind;
        if mount.readonly {
            text.push_str(":ro");
        } else if is_tree && mount.output == -1 {
            text.push_str(":discard");
        } else if is_tree && mount.output != 0 {
            write!(text, "->.{}", mount.output).expect(WRITES);
        }
        match mount.content_cache() {
            pb::MountContentCache::Default => {}
            pb::MountContentCache::On => text.push_str(":content"),
            pb::MountContentCache::Off => text.push_str(":recipe"),
        }
        self.word(&text);
    }

    fn file(&mut self, file: &pb::FileOp) {
        let base = file.actions.first().map_or(-1, |action| action.input);
        let text = format!("file {}", self.input(base));
        self.word(&text);
        let inputs = i64::try_from(self.inputs.len()).unwrap_or(i64::MAX);
        for (position, action) in file.actions.iter().enumerate() {
            self.word(if position == 0 { "|" } else { ";" });
            let expected = match position {
                0 => base,
                _ => inputs.saturating_add(i64::try_from(position - 1).unwrap_or(i64::MAX)),
            };
            // Chains are the rule; anything else is shown as it is.
            if action.input != expected {
                self.word(&format!("on {}", action.input));
            }
            match &action.action {
                Some(action_kind) => self.action(action_kind, action.secondary_input),
                None => self.word("nothing"),
            }
            if action.output > 0 || (action.output == 0 && position + 1 != file.actions.len()) {
                self.word(&format!("->.{}", action.output));
            }
        }
    }

    fn action(&mut self, action: &pb::file_action::Action, secondary: i64) {
        use pb::file_action::Action;
        match action {
            Action::Copy(copy) => {
                let source = self.input(secondary);
                self.word(&format!("copy {source}:{} -> {}", copy.src, copy.dest));
                if !copy.mode_str.is_empty() {
                    self.word(&format!("mode={}", copy.mode_str));
                } else if copy.mode != -1 {
                    self.word(&format!("mode={:04o}", copy.mode));
                }
                for (name, list) in [
                    ("include", &copy.include_patterns),
                    ("exclude", &copy.exclude_patterns),
                    ("required", &copy.required_paths),
                ] {
                    if !list.is_empty() {
                        self.word(&format!("{name}={list:?}"));
                    }
                }
                self.flag("follow", copy.follow_symlink);
                self.flag("contents", copy.dir_copy_contents);
                self.flag("unpack", copy.attempt_unpack_docker_compatibility);
                self.flag("parents", copy.create_dest_path);
                self.flag("wildcard", copy.allow_wildcard);
                self.flag("empty-ok", copy.allow_empty_wildcard);
                self.flag("replace", copy.always_replace_existing_dest_paths);
                self.owner_and_time(copy.owner.as_ref(), copy.timestamp);
            }
            Action::Mkfile(mkfile) => {
                self.word(&format!("mkfile {} {:04o}", mkfile.path, mkfile.mode));
                let text = match std::str::from_utf8(&mkfile.data) {
                    Ok(text) if text.len() <= 80 => format!("{text:?}"),
                    _ => format!("({} bytes {})", mkfile.data.len(), &Digest::of(&mkfile.data).hex()[..12]),
                };
                self.word(&text);
                self.owner_and_time(mkfile.owner.as_ref(), mkfile.timestamp);
            }
            Action::Mkdir(mkdir) => {
                self.word(&format!("mkdir {} {:04o}", mkdir.path, mkdir.mode));
                self.flag("parents", mkdir.make_parents);
                self.owner_and_time(mkdir.owner.as_ref(), mkdir.timestamp);
            }
            Action::Rm(rm) => {
                self.word(&format!("rm {}", rm.path));
                self.flag("missing-ok", rm.allow_not_found);
                self.flag("wildcard", rm.allow_wildcard);
            }
            Action::Symlink(link) => {
                self.word(&format!("symlink {} -> {}", link.newpath, link.oldpath));
                self.owner_and_time(link.owner.as_ref(), link.timestamp);
            }
        }
    }

    fn owner_and_time(&mut self, owner: Option<&pb::ChownOpt>, timestamp: i64) {
        if let Some(owner) = owner {
            let name = |user: &Option<pb::UserOpt>| match user.as_ref().and_then(|user| user.user.as_ref()) {
                None => String::new(),
                Some(pb::user_opt::User::ById(id)) => id.to_string(),
                Some(pb::user_opt::User::ByName(user)) => {
                    format!("{}@{}", user.name, self.input(user.input))
                }
            };
            let text = format!("owner={}:{}", name(&owner.user), name(&owner.group));
            self.word(&text);
        }
        if timestamp != -1 {
            self.word(&format!("time={timestamp}"));
        }
    }
}
