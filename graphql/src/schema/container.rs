//! Container: the twin of `model/src/container.rs`.

use std::sync::Arc;

use treenail_call::{Argument, Literal, NewCall};
use treenail_engine::{Cause, Resolved, Rule, Stream};
use treenail_model::{
    CacheVolume, Container, Directory, ExecOptions, ExecOutput, Expect, ExposedPort, File,
    HELPER_ARCHITECTURES, Located, MountKind, Object, Owner, Secret, SecretUse, Sharing, Value,
};

use super::files::{self, CopyPatterns, ExistsType};
use super::secret::check_provider;
use crate::binding::{Binding, Call, NoArguments, Outcome, arguments, field, member};

/// The permissions argument as bits.
pub(super) fn mode(permissions: i64) -> Result<u32, Cause> {
    u32::try_from(permissions)
        .ok()
        .filter(|bits| *bits <= 0o7777)
        .ok_or_else(|| Cause::invalid(format!("invalid permissions: {permissions}")))
}

pub(super) fn bindings() -> Vec<Binding> {
    // Configuration is changed in long chains, and a changed copy of it takes room.
    let mut all: Vec<Binding> = configuration().into_iter().map(Binding::pure).collect();
    all.push(field("from", from));
    all.extend(contents());
    all.extend(mounts());
    all.extend(running());
    all
}

// ---- configuration -------------------------------------------------------------------------------------------

arguments!(Name { name: String = "name" });
arguments!(NameValue { name: String = "name", value: String = "value" });
arguments!(SetVariable { name: String = "name", value: String = "value", expand: bool = "expand" });
arguments!(PathArgument { path: String = "path", expand: bool = "expand" });
arguments!(SetEntrypoint { args: Vec<String> = "args", keep: bool = "keepDefaultArgs" });
arguments!(KeepDefaultArgs { keep: bool = "keepDefaultArgs" });
arguments!(Args { args: Vec<String> = "args" });
arguments!(TerminalCommand {
    args: Vec<String> = "args",
    _nesting: bool = "experimentalPrivilegedNesting",
    _insecure: bool = "insecureRootCapabilities",
});
arguments!(SetPort {
    port: i64 = "port",
    protocol: Protocol = "protocol",
    description: Option<Arc<str>> = "description",
    skip: bool = "experimentalSkipHealthcheck",
});
arguments!(ClearPort { port: i64 = "port", protocol: Protocol = "protocol" });
arguments!(Devices { _devices: Vec<String> = "devices" });

struct Protocol(&'static str);
member!(Protocol, "NetworkProtocol", { "TCP" => Protocol("TCP"), "UDP" => Protocol("UDP") });

const NO_GPU: &str = "GPU support is not enabled, set _EXPERIMENTAL_DAGGER_GPU_SUPPORT";

fn configuration() -> Vec<Binding> {
    type This = Arc<Container>;
    vec![
        field("id", |_: This, _: NoArguments, call: Call| async move { Ok(call.receiver_id()?.into()) }),
        field("platform", |this: This, _: NoArguments, _| text(this.platform.to_string())),
        field("user", |this: This, _: NoArguments, _| text(this.config.user.clone())),
        field("withUser", |this: This, a: Name, _| done(this.with_config(|c| c.user = a.name.into()))),
        field("withoutUser", |this: This, _: NoArguments, _| done(this.with_config(|c| c.user = "".into()))),
        field("workdir", |this: This, _: NoArguments, _| text(this.config.workdir.clone())),
        field("withWorkdir", |this: This, a: PathArgument, _| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            Ok(this.with_config(|c| c.workdir = path.into()).into())
        }),
        field("withoutWorkdir", |this: This, _: NoArguments, _| {
            done(this.with_config(|c| c.workdir = "".into()))
        }),
        field("envVariables", |this: This, _: NoArguments, _| async move {
            let variables = this.config.env.iter().map(|(n, v)| Object::EnvVariable(n.clone(), v.clone()));
            Ok(Value::objects(variables).into())
        }),
        field("envVariable", |this: This, a: Name, _| async move {
            Ok(this.config.env.get(&a.name).map_or(Value::Null, |v| Value::Text(v.clone())).into())
        }),
        field("withEnvVariable", |this: This, a: SetVariable, _| async move {
            let value = if a.expand { this.expand_value(&a.value) } else { a.value };
            Ok(this.with_config(|c| c.env.set(&a.name, &value)).into())
        }),
        field("withoutEnvVariable", |this: This, a: Name, _| {
            done(this.with_config(|c| c.env.remove(&a.name)))
        }),
        field("labels", |this: This, _: NoArguments, _| async move {
            let labels = this.config.labels.iter().map(|(n, v)| Object::Label(n.clone(), v.clone()));
            Ok(Value::objects(labels).into())
        }),
        field("label", |this: This, a: Name, _| async move {
            Ok(this.config.labels.get(a.name.as_str()).map_or(Value::Null, |v| Value::Text(v.clone())).into())
        }),
        field("withLabel", |this: This, a: NameValue, _| {
            done(this.with_config(|c| {
                c.labels.insert(a.name.into(), a.value.into());
            }))
        }),
        field("withoutLabel", |this: This, a: Name, _| {
            done(this.with_config(|c| {
                c.labels.remove(a.name.as_str());
            }))
        }),
        field("entrypoint", |this: This, _: NoArguments, _| texts(this.config.entrypoint.to_vec())),
        field("withEntrypoint", |this: This, a: SetEntrypoint, _| {
            done(this.with_entrypoint(&a.args, a.keep))
        }),
        field("withoutEntrypoint", |this: This, a: KeepDefaultArgs, _| {
            done(this.with_entrypoint(&[], a.keep))
        }),
        field("defaultArgs", |this: This, _: NoArguments, _| texts(this.config.command.to_vec())),
        field("withDefaultArgs", |this: This, a: Args, _| done(this.with_default_args(&a.args))),
        field("withoutDefaultArgs", |this: This, _: NoArguments, _| done(this.without_default_args())),
        field("withDefaultTerminalCmd", |this: This, a: TerminalCommand, _| {
            done(Container { terminal_command: a.args.into(), ..(*this).clone() })
        }),
        field("withAnnotation", |this: This, a: NameValue, _| done(this.with_annotation(&a.name, &a.value))),
        field("withoutAnnotation", |this: This, a: Name, _| done(this.without_annotation(&a.name))),
        field("exposedPorts", |this: This, _: NoArguments, _| async move {
            Ok(Value::objects(this.exposed_ports().into_iter().map(Object::from)).into())
        }),
        field("withExposedPort", |this: This, a: SetPort, _| async move {
            if !(1..=65535).contains(&a.port) {
                return Err(Cause::invalid(format!("invalid port: {}", a.port)));
            }
            let port = ExposedPort {
                port: a.port,
                protocol: a.protocol.0.into(),
                description: a.description,
                skip_health_check: a.skip,
            };
            Ok(this.with_port(port).into())
        }),
        field("withoutExposedPort", |this: This, a: ClearPort, _| {
            done(this.without_port(a.port, a.protocol.0))
        }),
        field("experimentalWithGPU", |_: This, _: Devices, _| async { Err(Cause::invalid(NO_GPU)) }),
        field("experimentalWithAllGPUs", |_: This, _: NoArguments, _| async { Err(Cause::invalid(NO_GPU)) }),
        field("imageRef", |this: This, _: NoArguments, _| async move {
            this.image_ref.clone().map(|reference| Value::Text(reference).into()).ok_or_else(|| {
                Cause::invalid(
                    "Image reference can only be retrieved immediately after the 'Container.From' call. Error in \
                     fetching imageRef as the container image is changed",
                )
            })
        }),
    ]
}

arguments!(From { address: String = "address" });

/// Resolves the address at once; the ID of the result names the image by digest.
async fn from(this: Arc<Container>, args: From, call: Call) -> Outcome {
    let resolved = call.engine.resolve_image(&args.address, &this.platform).await?;
    let pinned = NewCall {
        receiver: call.id.receiver().cloned(),
        field: call.id.field().clone(),
        result: result_type(&call)?,
        args: vec![Argument::new("address", Literal::string(resolved.pinned.as_str()))],
        module: None,
        view: call.id.view().clone(),
    };
    let container = this.from_image(&resolved.pinned, resolved.image.clone());
    Ok(Resolved { value: container.into(), id: Some(pinned.build()) })
}

pub(super) fn result_type(call: &Call) -> Result<treenail_call::Type, Cause> {
    call.id.result_type().cloned().ok_or_else(|| Cause::Bug("a call without a type".to_owned()))
}

// ---- contents ------------------------------------------------------------------------------------------------

arguments!(Exists {
    path: String = "path",
    expected: Option<ExistsType> = "expectedType",
    no_follow: bool = "doNotFollowSymlinks",
});
arguments!(StatArguments { path: String = "path", no_follow: bool = "doNotFollowSymlinks" });
arguments!(WithRootfs { directory: Arc<Directory> = "directory" });
arguments!(WithDirectory {
    path: String = "path",
    source: Arc<Directory> = "source",
    exclude: Vec<String> = "exclude",
    include: Vec<String> = "include",
    gitignore: bool = "gitignore",
    owner: String = "owner",
    expand: bool = "expand",
});
arguments!(WithFile {
    path: String = "path",
    source: Arc<File> = "source",
    permissions: Option<i64> = "permissions",
    owner: String = "owner",
    expand: bool = "expand",
});
arguments!(WithFiles {
    path: String = "path",
    sources: Vec<Arc<File>> = "sources",
    permissions: Option<i64> = "permissions",
    owner: String = "owner",
    expand: bool = "expand",
});
arguments!(WithNewFile {
    path: String = "path",
    contents: String = "contents",
    permissions: i64 = "permissions",
    owner: String = "owner",
    expand: bool = "expand",
});
arguments!(Paths { paths: Vec<String> = "paths", expand: bool = "expand" });
arguments!(WithSymlink { target: String = "target", link: String = "linkName", expand: bool = "expand" });
arguments!(ErrorText { err: String = "err" });

fn contents() -> Vec<Binding> {
    type This = Arc<Container>;
    vec![
        field("rootfs", |this: This, _: NoArguments, _| async move { Ok(this.root().into()) }),
        field("withRootfs", |this: This, a: WithRootfs, _| done(this.with_rootfs(&a.directory))),
        field("directory", |this: This, a: PathArgument, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let shown = if a.expand { this.expand(&a.path).map_err(Cause::invalid)? } else { a.path };
            match this.locate(&path).map_err(Cause::invalid)? {
                Located::File(_) => Err(Cause::invalid(format!("path {shown} is a file, not a directory"))),
                Located::In(directory, below) => {
                    files::check(&call.engine, &directory, &below, &shown, true).await?;
                    Ok(directory.sub(&below).into())
                }
            }
        }),
        field("file", |this: This, a: PathArgument, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let shown = if a.expand { this.expand(&a.path).map_err(Cause::invalid)? } else { a.path };
            match this.locate(&path).map_err(Cause::invalid)? {
                Located::File(file) => Ok(file.into()),
                Located::In(directory, below) => {
                    if directory.tree.is_scratch() && this.rootfs.is_none() {
                        return Err(Cause::invalid("container rootfs is not set"));
                    }
                    files::check(&call.engine, &directory, &below, &shown, false).await?;
                    Ok(directory.file(&below).into())
                }
            }
        }),
        field("exists", |this: This, a: Exists, call: Call| async move {
            match this.locate(&this.absolute(&a.path)).map_err(Cause::invalid)? {
                Located::File(_) => {
                    Ok(Value::Bool(a.expected.is_none_or(|kind| kind == ExistsType::Regular)).into())
                }
                Located::In(directory, below) => {
                    files::exists(&call.engine, &directory, &below, a.expected, a.no_follow).await
                }
            }
        }),
        field("stat", |this: This, a: StatArguments, call: Call| async move {
            match this.locate(&this.absolute(&a.path)).map_err(Cause::invalid)? {
                Located::File(file) => files::stat_file(&call.engine, &file).await,
                Located::In(directory, below) => {
                    files::stat(&call.engine, &directory, &below, &a.path, a.no_follow).await
                }
            }
        }),
        field("withDirectory", |this: This, a: WithDirectory, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let owner = call.engine.owner_in(&this, &a.owner).await?;
            let patterns = CopyPatterns { include: a.include, exclude: a.exclude, gitignore: a.gitignore };
            let filter = files::filter(&call.engine, &a.source, patterns).await?;
            edited(
                this.edit(&path, false, |base, below| {
                    Ok(base.with_directory(below, &a.source, &filter, owner))
                }),
            )
        }),
        field("withFile", |this: This, a: WithFile, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let owner = call.engine.owner_in(&this, &a.owner).await?;
            let permissions = a.permissions.map(mode).transpose()?;
            edited(
                this.edit(&path, true, |base, below| {
                    Ok(base.with_file(below, &a.source, permissions, owner))
                }),
            )
        }),
        field("withFiles", |this: This, a: WithFiles, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let owner = call.engine.owner_in(&this, &a.owner).await?;
            let permissions = a.permissions.map(mode).transpose()?;
            let mut next = (*this).clone();
            for source in &a.sources {
                let target = format!("{}/{}", path.trim_end_matches('/'), source.name());
                next = next
                    .edit(&target, true, |base, below| Ok(base.with_file(below, source, permissions, owner)))
                    .map_err(Cause::invalid)?;
            }
            Ok(next.into())
        }),
        field("withNewFile", |this: This, a: WithNewFile, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let owner = call.engine.owner_in(&this, &a.owner).await?;
            let permissions = mode(a.permissions)?;
            edited(this.edit(&path, true, |base, below| {
                Ok(files::with_new_file(&call.engine, base, below, &a.contents, permissions, owner))
            }))
        }),
        field("withoutDirectory", |this: This, a: PathArgument, _| async move {
            without(&this, &[a.path], a.expand)
        }),
        field(
            "withoutFile",
            |this: This, a: PathArgument, _| async move { without(&this, &[a.path], a.expand) },
        ),
        field("withoutFiles", |this: This, a: Paths, _| async move { without(&this, &a.paths, a.expand) }),
        field("withSymlink", |this: This, a: WithSymlink, _| async move {
            let path = absolute(&this, &a.link, a.expand)?;
            let target = if a.expand { this.expand(&a.target).map_err(Cause::invalid)? } else { a.target };
            edited(this.edit(&path, true, |base, below| Ok(base.with_symlink(&target, below))))
        }),
        field("withError", |this: This, a: ErrorText, _| async move {
            if a.err.is_empty() {
                Ok(Object::Container(this).into_value())
            } else {
                Err(Cause::Invalid(a.err))
            }
        }),
    ]
}

fn without(this: &Container, removed: &[String], expand: bool) -> Outcome {
    let mut next = this.clone();
    for path in removed {
        let path = absolute(this, path, expand)?;
        next = next.edit(&path, true, |base, below| base.without(below)).map_err(Cause::invalid)?;
    }
    Ok(next.into())
}

// ---- mounts --------------------------------------------------------------------------------------------------

arguments!(MountDirectory {
    path: String = "path",
    source: Arc<Directory> = "source",
    owner: String = "owner",
    expand: bool = "expand",
});
arguments!(MountFile {
    path: String = "path",
    source: Arc<File> = "source",
    owner: String = "owner",
    expand: bool = "expand",
});
arguments!(MountCache {
    path: String = "path",
    cache: Arc<CacheVolume> = "cache",
    source: Option<Arc<Directory>> = "source",
    sharing: Sharing = "sharing",
    owner: String = "owner",
    expand: bool = "expand",
});
arguments!(MountTemp { path: String = "path", size: Option<i64> = "size", expand: bool = "expand" });
arguments!(MountSecret {
    path: String = "path",
    source: Arc<Secret> = "source",
    owner: String = "owner",
    mode: i64 = "mode",
    expand: bool = "expand",
});
arguments!(SecretVariable { name: String = "name", secret: Arc<Secret> = "secret" });

member!(Sharing, "CacheSharingMode", {
    "SHARED" => Sharing::Shared,
    "PRIVATE" => Sharing::Private,
    "LOCKED" => Sharing::Locked,
});

fn mounts() -> Vec<Binding> {
    type This = Arc<Container>;
    vec![
        field("mounts", |this: This, _: NoArguments, _| {
            texts(this.mounts.iter().map(|mount| mount.target.clone()).collect::<Vec<_>>())
        }),
        field("withMountedDirectory", |this: This, a: MountDirectory, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let owner = call.engine.owner_in(&this, &a.owner).await?;
            let mounted =
                owner.map_or_else(|| (*a.source).clone(), |owner| a.source.rebased().chown("/", owner));
            Ok(this.with_mount(&path, MountKind::Directory(mounted)).into())
        }),
        field("withMountedFile", |this: This, a: MountFile, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let owner = call.engine.owner_in(&this, &a.owner).await?;
            let mounted = owner.map_or_else(|| (*a.source).clone(), |owner| a.source.with_owner(owner));
            Ok(this.with_mount(&path, MountKind::File(mounted)).into())
        }),
        field("withMountedCache", |this: This, a: MountCache, call: Call| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let owner = call.engine.owner_in(&this, &a.owner).await?;
            let kind = MountKind::Cache {
                volume: (*a.cache).clone(),
                source: a.source.map(|source| (*source).clone()),
                sharing: a.sharing,
                owner,
            };
            Ok(this.with_mount(&path, kind).into())
        }),
        field("withMountedTemp", |this: This, a: MountTemp, _| async move {
            let path = absolute(&this, &a.path, a.expand)?;
            let size = a.size.unwrap_or(0);
            if size < 0 {
                return Err(Cause::invalid(format!("invalid size of a temporary mount: {size}")));
            }
            Ok(this.with_mount(&path, MountKind::Temp { size }).into())
        }),
        field("withMountedSecret", |this: This, a: MountSecret, call: Call| async move {
            check_provider(&a.source)?;
            let target = absolute(&this, &a.path, a.expand)?;
            let owner = call.engine.owner_in(&this, &a.owner).await?.unwrap_or(Owner { uid: 0, gid: 0 });
            let secret =
                SecretUse { target: target.into(), secret: (*a.source).clone(), owner, mode: mode(a.mode)? };
            Ok(this.with_secret_file(secret).into())
        }),
        field("withoutMount", |this: This, a: PathArgument, _| async move {
            Ok(this.without_mount(&absolute(&this, &a.path, a.expand)?).into())
        }),
        field("withSecretVariable", |this: This, a: SecretVariable, _| async move {
            check_provider(&a.secret)?;
            done(this.with_secret_variable(&a.name, (*a.secret).clone())).await
        }),
        field("withoutSecretVariable", |this: This, a: Name, _| done(this.without_secret_variable(&a.name))),
    ]
}

// ---- running -------------------------------------------------------------------------------------------------

arguments!(WithExec {
    args: Vec<String> = "args",
    use_entrypoint: bool = "useEntrypoint",
    stdin: String = "stdin",
    redirect_stdin: String = "redirectStdin",
    redirect_stdout: String = "redirectStdout",
    redirect_stderr: String = "redirectStderr",
    expect: Expect = "expect",
    nesting: bool = "experimentalPrivilegedNesting",
    insecure: bool = "insecureRootCapabilities",
    expand: bool = "expand",
    no_init: bool = "noInit",
});

member!(Expect, "ReturnType", {
    "SUCCESS" => Expect::Success,
    "FAILURE" => Expect::Failure,
    "ANY" => Expect::Any,
});

fn running() -> Vec<Binding> {
    type This = Arc<Container>;
    vec![
        field("withExec", with_exec),
        field("stdout", |this: This, _: NoArguments, call: Call| output(this, call, Stream::Stdout)),
        field("stderr", |this: This, _: NoArguments, call: Call| output(this, call, Stream::Stderr)),
        field("combinedOutput", |this: This, _: NoArguments, call: Call| {
            output(this, call, Stream::Combined)
        }),
        field("exitCode", exit_code),
        field("sync", |this: This, _: NoArguments, call: Call| async move {
            call.engine.solve(&this.root().tree).await?;
            for mount in &this.mounts {
                match &mount.kind {
                    MountKind::Directory(directory) => call.engine.solve(&directory.tree).await?,
                    MountKind::File(file) => call.engine.solve(&file.tree).await?,
                    MountKind::Cache { .. } | MountKind::Temp { .. } => None,
                };
            }
            Ok(call.receiver_id()?.into())
        }),
    ]
}

async fn with_exec(this: Arc<Container>, args: WithExec, call: Call) -> Outcome {
    if args.nesting {
        return Err(Cause::unsupported(
            "Container.withExec(experimentalPrivilegedNesting:)",
            "commands cannot talk back to this release; run the nested steps from the pipeline itself",
        ));
    }
    if args.insecure {
        return Err(Cause::unsupported(
            "Container.withExec(insecureRootCapabilities:)",
            "privileged commands are not in this release; run the command without it",
        ));
    }
    if !HELPER_ARCHITECTURES.contains(&this.platform.architecture.as_str()) {
        return Err(Cause::Unsupported {
            field: "Container.withExec".to_owned(),
            capability: format!("helper for {}", this.platform.architecture),
            since: String::new(),
            hint: format!(
                "this release runs commands on {} only, and this container is for {}; ask for the image of another \
                 platform with container(platform:)",
                HELPER_ARCHITECTURES.join(", "),
                this.platform
            ),
        });
    }
    let command = args
        .args
        .iter()
        .map(|argument| if args.expand { this.expand(argument) } else { Ok(argument.clone()) })
        .collect::<Result<Vec<_>, _>>()
        .map_err(Cause::invalid)?;
    let path = |text: String| if args.expand { this.expand(&text) } else { Ok(text) };
    let options = ExecOptions {
        args: command,
        use_entrypoint: args.use_entrypoint,
        stdin: args.stdin,
        redirect_stdin: path(args.redirect_stdin).map_err(Cause::invalid)?,
        redirect_stdout: path(args.redirect_stdout).map_err(Cause::invalid)?,
        redirect_stderr: path(args.redirect_stderr).map_err(Cause::invalid)?,
        expect: args.expect,
        no_init: args.no_init,
        helper: call.engine.host().helper(),
    };
    edited(this.with_exec(&options))
}

fn last_exec(this: &Container) -> Result<&ExecOutput, Cause> {
    this.last_exec.as_ref().ok_or_else(|| Cause::invalid("no command has been set"))
}

async fn output(this: Arc<Container>, call: Call, stream: Stream) -> Outcome {
    let text = call.engine.exec_output(last_exec(&this)?, stream).await?;
    Ok(Value::text(text).into())
}

async fn exit_code(this: Arc<Container>, _: NoArguments, call: Call) -> Outcome {
    Ok(Value::Int(call.engine.exit_code(last_exec(&this)?).await?).into())
}

// ---- small helpers -------------------------------------------------------------------------------------------

async fn done(container: Container) -> Outcome {
    Ok(container.into())
}

async fn text(text: impl Into<Arc<str>>) -> Outcome {
    Ok(Value::text(text).into())
}

async fn texts<T: Into<Arc<str>>>(list: Vec<T>) -> Outcome {
    Ok(Value::texts(list).into())
}

fn edited(result: Result<Container, treenail_model::Invalid>) -> Outcome {
    result.map(Into::into).map_err(Cause::invalid)
}

/// A path argument as an absolute path of the container.
fn absolute(this: &Container, path: &str, expand: bool) -> Result<String, Cause> {
    let path = if expand { this.expand(path).map_err(Cause::invalid)? } else { path.to_owned() };
    Ok(this.absolute(&path))
}

/// An object as it is, as an answer.
pub(super) trait IntoResolved {
    /// Wraps it.
    fn into_value(self) -> Resolved;
}

impl IntoResolved for Object {
    fn into_value(self) -> Resolved {
        Value::Object(self).into()
    }
}

/// The rule of fields that run at each call.
pub(super) fn per_call(_: &treenail_call::CallId) -> Rule {
    Rule::PerCall
}
