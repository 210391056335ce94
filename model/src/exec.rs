//! Running a command: a container and options become an LLB exec and the container after it.
//!
//! Every command runs under the helper (`treenail-init`), which records what LLB cannot return. Its command line
//! is part of the definition, so it is built here from the helper's contract.

use std::sync::Arc;

use treenail_init as init;
use treenail_llb as llb;

use crate::container::MountKind;
use crate::tree::llb_platform;
use crate::{Container, DEFAULT_PATH, Directory, Invalid, Secret, Sharing, Tree};

pub use treenail_init::{ARCHITECTURES as HELPER_ARCHITECTURES, Expect};

/// Variable that puts the ids of cache volumes into the cache key: the daemon itself leaves them out
/// (`mechanisms.md` 4). The helper removes variables of this prefix before the command starts.
const CACHES_VARIABLE: &str = "TREENAIL_CACHES";

/// Where commands get their helper from.
#[derive(Clone, Debug, Default)]
pub enum Helper {
    /// From the session, as a secret: its bytes are not in the cache key, its id is.
    #[default]
    Secret,
    /// A directory with one file for each architecture, named as OCI names those: its bytes are in the cache key.
    Directory(Directory),
}

/// How a command runs.
#[derive(Clone, Debug)]
pub struct ExecOptions {
    /// Arguments; empty takes the default arguments.
    pub args: Vec<String>,
    /// Put the entrypoint in front.
    pub use_entrypoint: bool,
    /// Text on standard input.
    pub stdin: String,
    /// File on standard input.
    pub redirect_stdin: String,
    /// File that gets a copy of standard output.
    pub redirect_stdout: String,
    /// File that gets a copy of standard error.
    pub redirect_stderr: String,
    /// Which exit codes are a success.
    pub expect: Expect,
    /// Run the command as process 1.
    pub no_init: bool,
    /// Where its helper comes from.
    pub helper: Helper,
}

impl Default for ExecOptions {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            use_entrypoint: false,
            stdin: String::new(),
            redirect_stdin: String::new(),
            redirect_stdout: String::new(),
            redirect_stderr: String::new(),
            expect: Expect::Success,
            no_init: false,
            helper: Helper::Secret,
        }
    }
}

/// What a command left behind besides its file systems.
#[derive(Clone, Debug)]
pub struct ExecOutput {
    /// Tree with the files of `treenail_init`'s contract: outputs and exit record.
    pub tree: Tree,
    /// Whether the command ran as process 1: then its output was not scrubbed, and its exit was not recorded.
    pub no_init: bool,
    /// Secrets that the command saw, for scrubbing by the reader.
    pub secrets: Arc<[Secret]>,
}

impl Container {
    /// The command that options stand for.
    ///
    /// # Errors
    /// `no command has been set`.
    pub fn command_line(&self, args: &[String], use_entrypoint: bool) -> Result<Vec<String>, Invalid> {
        let args = if args.is_empty() { &self.config.command[..] } else { args };
        let entrypoint = if use_entrypoint { &self.config.entrypoint[..] } else { &[] };
        let line: Vec<String> = entrypoint.iter().chain(args).cloned().collect();
        if line.is_empty() { Err(Invalid::new("no command has been set")) } else { Ok(line) }
    }

    /// The container after a command. Nothing runs.
    ///
    /// # Errors
    /// Two sources of standard input, or options that exclude each other.
    ///
    /// # Source
    /// `contract/container.md` 5.
    pub fn with_exec(&self, options: &ExecOptions) -> Result<Self, Invalid> {
        if !options.stdin.is_empty() && !options.redirect_stdin.is_empty() {
            return Err(Invalid::new("cannot set both stdin and redirectStdin"));
        }
        // 0.19.11 notices a missing command only when the result is needed.
        let command = match self.command_line(&options.args, options.use_entrypoint) {
            Ok(command) => command,
            Err(missing) => return Ok(self.poisoned(&missing.0.into())),
        };
        if options.no_init && options.expect != Expect::Success {
            return Err(Invalid::new(
                "noInit cannot be combined with expect: nothing records the exit code of process 1; leave noInit out",
            ));
        }
        if options.no_init && !(options.redirect_stdout.is_empty() && options.redirect_stderr.is_empty()) {
            return Err(Invalid::new(
                "noInit cannot be combined with redirectStdout or redirectStderr: nothing copies the output of \
                 process 1; leave noInit out, or redirect inside the command",
            ));
        }
        if let Some(poisoned) = self.poison() {
            return Ok(self.poisoned(&poisoned));
        }

        let spec = self.helper_spec(options, &command);
        let mut exec = llb::Exec::new(self.root_output(), spec.to_args_with_program());
        exec.hostname = "dagger".to_owned();
        exec.env = self.exec_env();
        exec.secret_env = self
            .secret_variables
            .iter()
            .map(|(name, secret)| llb::SecretEnv {
                id: secret.id.to_string(),
                name: name.to_string(),
                optional: false,
            })
            .collect();
        exec.options = llb::OpOptions::named(format!("withExec {}", command.join(" ")))
            .with_platform(llb_platform(&self.platform));

        let output_mount = exec.mounts.len();
        exec.mounts.push(llb::Mount::bind(init::OUTPUT_DIR, None::<llb::Output>));
        exec.mounts.push(self.helper_mount(&options.helper)?);
        if !options.stdin.is_empty() {
            exec.mounts.push(stdin_mount(&options.stdin));
        }
        let mut kept = Vec::new();
        for (position, mount) in self.mounts.iter().enumerate() {
            if matches!(mount.kind, MountKind::Directory(_) | MountKind::File(_)) {
                kept.push((position, exec.mounts.len()));
            }
            exec.mounts.push(lower_mount(&mount.target, &mount.kind)?);
        }
        for file in &self.secret_files {
            let secret = llb::Secret {
                id: file.secret.id.to_string(),
                uid: file.owner.uid,
                gid: file.owner.gid,
                mode: file.mode,
                optional: false,
            };
            exec.mounts.push(llb::Mount::new(&*file.target, secret));
        }

        let execution = exec.run().map_err(|error| Invalid::new(error.to_string()))?;
        let mut next = self.changed();
        let root = self.root().tree.after_command(execution.root());
        next.rootfs = Some(Directory::whole(root, self.platform.clone()));
        for (position, index) in kept {
            let mut mount = self.mounts[position].clone();
            let output = execution.output(index);
            match &mut mount.kind {
                MountKind::Directory(directory) => directory.tree = directory.tree.after_command(output),
                MountKind::File(file) => file.tree = file.tree.after_command(output),
                MountKind::Cache { .. } | MountKind::Temp { .. } => {}
            }
            next.mounts.set(position, mount);
        }
        next.last_exec = Some(ExecOutput {
            tree: Tree::of(execution.output(output_mount)),
            no_init: options.no_init,
            secrets: self.secrets(),
        });
        Ok(next)
    }

    /// What the helper is told.
    fn helper_spec(&self, options: &ExecOptions, command: &[String]) -> init::ExecSpec {
        let path = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let stdin = if !options.stdin.is_empty() {
            init::Stdin::File(init::STDIN_FILE.to_owned())
        } else if let Some(path) = path(&options.redirect_stdin) {
            init::Stdin::File(path)
        } else {
            init::Stdin::Empty
        };
        init::ExecSpec {
            args: command.to_vec(),
            cwd: if self.config.workdir.is_empty() { "/".to_owned() } else { self.absolute(".") },
            user: self.config.user.to_string(),
            stdin,
            redirect_stdout: path(&options.redirect_stdout),
            redirect_stderr: path(&options.redirect_stderr),
            expect: options.expect,
            scrub_env: self.secret_variables.iter().map(|(name, _)| name.to_string()).collect(),
            scrub_files: self.secret_files.iter().map(|file| file.target.to_string()).collect(),
            hide_env: Vec::new(),
            keep_home: self.sets("HOME"),
            no_init: options.no_init,
        }
    }

    /// Is a variable set, in the open or as a secret?
    fn sets(&self, name: &str) -> bool {
        self.config.env.get(name).is_some() || self.secret_variables.iter().any(|(known, _)| **known == *name)
    }

    fn helper_mount(&self, helper: &Helper) -> Result<llb::Mount, Invalid> {
        let architecture = &self.platform.architecture;
        match helper {
            Helper::Secret => {
                let mut secret = llb::Secret::new(init::secret_id(architecture));
                secret.mode = init::HELPER_MODE;
                Ok(llb::Mount::new(init::HELPER_PATH, secret))
            }
            Helper::Directory(directory) => {
                let path = directory.inside(architecture);
                let bind = llb::Bind { access: llb::Access::Read, ..bind(&directory.tree, &path)? };
                Ok(llb::Mount::new(init::HELPER_PATH, bind))
            }
        }
    }

    /// Environment of a command: the configuration's, a search path if it has none, and what is in the key for
    /// our own reasons.
    fn exec_env(&self) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> =
            self.config.env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        if self.config.env.get("PATH").is_none() {
            env.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
        }
        let caches: Vec<String> = self
            .mounts
            .iter()
            .filter_map(|mount| match &mount.kind {
                MountKind::Cache { volume, owner, .. } => {
                    Some(format!("{}={}", mount.target, volume.daemon_id(*owner)))
                }
                _ => None,
            })
            .collect();
        if !caches.is_empty() {
            env.push((CACHES_VARIABLE.to_owned(), caches.join("\n")));
        }
        env
    }

    fn secrets(&self) -> Arc<[Secret]> {
        let variables = self.secret_variables.iter().map(|(_, secret)| secret.clone());
        variables.chain(self.secret_files.iter().map(|file| file.secret.clone())).collect()
    }

    /// Root of a command as a whole snapshot.
    fn root_output(&self) -> Option<llb::Output> {
        let root = self.root().rebased();
        root.tree.output().ok().flatten().cloned()
    }

    /// The first tree among what a command needs that cannot exist.
    fn poison(&self) -> Option<Arc<str>> {
        let mounted = self.mounts.iter().filter_map(|mount| match &mount.kind {
            MountKind::Directory(directory) => directory.tree.poison().cloned(),
            MountKind::File(file) => file.tree.poison().cloned(),
            MountKind::Cache { source: Some(source), .. } => source.tree.poison().cloned(),
            _ => None,
        });
        self.rootfs.iter().filter_map(|root| root.tree.poison().cloned()).chain(mounted).next()
    }

    fn poisoned(&self, message: &Arc<str>) -> Self {
        let tree = Tree::poisoned(message.clone());
        let mut next = self.changed();
        next.rootfs = Some(Directory::whole(tree.clone(), self.platform.clone()));
        next.last_exec = Some(ExecOutput { tree, no_init: false, secrets: Arc::new([]) });
        next
    }
}

fn selector(path: &str) -> String {
    if path == "/" { String::new() } else { path.to_owned() }
}

fn stdin_mount(text: &str) -> llb::Mount {
    let name = "/stdin";
    let file = llb::MkfileAction::new(name, 0o444, text.as_bytes().to_vec());
    let source = llb::Output::file(None, file, llb::OpOptions::named("stdin"));
    let bind = llb::Bind {
        source: Some(source),
        selector: name.to_owned(),
        access: llb::Access::Read,
        ..llb::Bind::default()
    };
    llb::Mount::new(init::STDIN_FILE, bind)
}

fn bind(tree: &Tree, path: &str) -> Result<llb::Bind, Invalid> {
    let source = tree.output().map_err(|message| Invalid::new(&*message))?.cloned();
    Ok(llb::Bind { source, selector: selector(path), ..llb::Bind::default() })
}

fn lower_mount(target: &str, kind: &MountKind) -> Result<llb::Mount, Invalid> {
    Ok(match kind {
        MountKind::Directory(directory) => llb::Mount::new(target, bind(&directory.tree, &directory.path)?),
        MountKind::File(file) => llb::Mount::new(target, bind(&file.tree, &file.path)?),
        MountKind::Temp { size } => llb::Mount::tmpfs(target, *size),
        MountKind::Cache { volume, source, sharing, owner } => {
            let (source, selector) = cache_base(source.as_ref(), *owner)?;
            let cache = llb::Cache {
                id: volume.daemon_id(*owner),
                sharing: match sharing {
                    Sharing::Shared => llb::Sharing::Shared,
                    Sharing::Private => llb::Sharing::Private,
                    Sharing::Locked => llb::Sharing::Locked,
                },
                source,
                selector,
                read_only: false,
            };
            llb::Mount::new(target, cache)
        }
    })
}

/// What a new volume holds: the source as it is, or under the asked owner.
fn cache_base(
    source: Option<&Directory>,
    owner: Option<crate::Owner>,
) -> Result<(Option<llb::Output>, String), Invalid> {
    let Some(owner) = owner else {
        let Some(source) = source else { return Ok((None, String::new())) };
        let bind = bind(&source.tree, &source.path)?;
        return Ok((bind.source, bind.selector));
    };
    // The root of a snapshot keeps its owner whatever is copied into it, so the volume starts one level below.
    let inner = "/volume";
    let mut mkdir = llb::MkdirAction::new(inner, 0o755);
    mkdir.owner = Some(llb::Owner::ids(owner.uid, owner.gid));
    let mut tree = llb::Output::file(None, mkdir, llb::OpOptions::named("new cache volume"));
    if let Some(source) = source {
        let from = source.tree.output().map_err(|message| Invalid::new(&*message))?.cloned();
        if from.is_some() {
            let mut copy = llb::CopyAction::new(from, &*source.path, inner);
            copy.dir_contents_only = true;
            copy.owner = Some(llb::Owner::ids(owner.uid, owner.gid));
            tree = llb::Output::file(tree, copy, llb::OpOptions::named("fill cache volume"));
        }
    }
    Ok((Some(tree), inner.to_owned()))
}
