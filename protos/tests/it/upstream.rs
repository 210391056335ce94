//! Our `.proto` files say what upstream's say.
//!
//! Every message, field, enum value and method of ours must be there under the same name, number and
//! type. We may leave things out, but for the files marked whole. Upstream is the BuildKit module at
//! [`BUILDKIT`] in Go's module cache (or the folder that `TREENAIL_BUILDKIT_SRC` names), and other
//! modules at the versions its `go.mod` asks for. Without them the test says that it is skipped; where
//! `CI` is set it fails.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, ServiceDescriptorProto};
use protox::file::File;

const BUILDKIT: &str = "github.com/moby/buildkit";
const VERSION: &str = "v0.32.2";

/// One of our files and what it is taken from.
struct Mapping {
    ours: &'static str,
    /// Go module.
    module: &'static str,
    /// Files in the module; several are read as one. A Go file gives the descriptor inside it.
    upstream: &'static [&'static str],
    /// Whether ours leaves nothing out.
    whole: bool,
}

const fn part(ours: &'static str, module: &'static str, upstream: &'static [&'static str]) -> Mapping {
    Mapping { ours, module, upstream, whole: false }
}

/// A new file in `buildkit/` needs a line here.
const MAPPINGS: &[Mapping] = &[
    part("auth.proto", BUILDKIT, &["session/auth/auth.proto"]),
    part("caps.proto", BUILDKIT, &["util/apicaps/pb/caps.proto"]),
    part("content.proto", "github.com/containerd/containerd/api", &["services/content/v1/content.proto"]),
    part("control.proto", BUILDKIT, &["api/services/control/control.proto"]),
    part("errdefs.proto", BUILDKIT, &["solver/errdefs/errdefs.proto"]),
    part("filesync.proto", BUILDKIT, &["session/filesync/filesync.proto"]),
    part("fsutil.proto", "github.com/tonistiigi/fsutil", &["types/stat.proto", "types/wire.proto"]),
    part("gateway.proto", BUILDKIT, &["frontend/gateway/pb/gateway.proto"]),
    Mapping { ours: "ops.proto", module: BUILDKIT, upstream: &["solver/pb/ops.proto"], whole: true },
    part("policy.proto", BUILDKIT, &["sourcepolicy/pb/policy.proto"]),
    part("secrets.proto", BUILDKIT, &["session/secrets/secrets.proto"]),
    part("sshforward.proto", BUILDKIT, &["session/sshforward/ssh.proto"]),
    part("status.proto", "google.golang.org/genproto/googleapis/rpc", &["status/status.pb.go"]),
    part("worker.proto", BUILDKIT, &["api/types/worker.proto"]),
];

fn our_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("buildkit")
}

#[test]
fn every_file_of_ours_has_an_upstream() {
    let mut files: Vec<String> = fs::read_dir(our_folder())
        .expect("the folder of this crate")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".proto"))
        .collect();
    files.sort();
    let listed: Vec<&str> = MAPPINGS.iter().map(|mapping| mapping.ours).collect();
    assert_eq!(files, listed, "MAPPINGS lists the files of buildkit/, sorted");
}

#[test]
fn names_numbers_and_types_are_those_of_upstream() {
    let modules = match Modules::find() {
        Ok(modules) => modules,
        Err(missing) => return skip(&missing),
    };
    let mut problems = Vec::new();
    for mapping in MAPPINGS {
        let folder = match modules.folder(mapping.module) {
            Ok(folder) => folder,
            Err(missing) => {
                skip(&format!("{}: {missing}", mapping.ours));
                continue;
            }
        };
        let ours = parse(&our_folder().join(mapping.ours));
        let files = mapping.upstream.iter().map(|file| parse(&folder.join(file))).collect();
        let mut comparison = Comparison { whole: mapping.whole, problems: Vec::new() };
        comparison.file(&ours, &merge(files));
        let named = comparison.problems.into_iter();
        problems.extend(named.map(|problem| format!("{}: {problem}", mapping.ours)));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// A file that differs in each way a file can is found out in each.
#[test]
fn the_comparison_sees_every_kind_of_difference() {
    let parse = |text: &str| {
        let file = File::from_source("x.proto", text).expect("valid text");
        file.file_descriptor_proto().clone()
    };
    let upstream = parse(
        "syntax = \"proto3\"; package a; message M { int32 x = 1; string y = 2; oneof c { int32 z = 3; } \
         map<string, int32> m = 4; N n = 5; repeated int32 r = 6; int32 gone = 7; } message N {} \
         enum E { A = 0; B = 1; } service S { rpc F(M) returns (stream N); }",
    );
    let mut same = Comparison { whole: true, problems: Vec::new() };
    same.file(&upstream, &upstream);
    assert_eq!(same.problems, [""; 0]);

    let ours = parse(
        "syntax = \"proto3\"; package b; message M { int32 x = 8; bytes y = 2; int32 z = 3; \
         map<string, string> m = 4; M n = 5; int32 r = 6; int32 more = 9; } message O {} \
         enum E { A = 0; B = 2; } service S { rpc F(M) returns (N); rpc G(M) returns (N); } message N {}",
    );
    let mut other = Comparison { whole: true, problems: Vec::new() };
    other.file(&ours, &upstream);
    let expected = [
        "package",
        "M.x:",
        "M.y:",
        "M.z:",
        "M.MEntry.value:",
        "M.n:",
        "M.r:",
        "M.more:",
        "M.gone:",
        "O:",
        "E.B:",
        "S.F:",
        "S.G:",
    ];
    for name in expected {
        let count = other.problems.iter().filter(|problem| problem.starts_with(name)).count();
        assert_eq!(count, 1, "{name} in {:#?}", other.problems);
    }
    assert_eq!(other.problems.len(), expected.len(), "{:#?}", other.problems);
}

#[expect(clippy::print_stderr, reason = "a skip is said where the reader of the test run looks")]
fn skip(reason: &str) {
    assert!(env::var_os("CI").is_none(), "not compared with upstream, and CI skips nothing: {reason}");
    eprintln!("SKIPPED: not compared with upstream: {reason}");
    if let Some(path) = env::var_os("TREENAIL_TEST_SKIPS")
        && let Ok(mut file) = fs::OpenOptions::new().append(true).create(true).open(path)
    {
        // The run of all tests counts these; a lost line costs a count, not a result.
        let _ = file.write_all(format!("not compared with upstream: {reason}\n").as_bytes());
    }
}

/// Where Go keeps its modules, and which versions BuildKit asks for.
struct Modules {
    cache: PathBuf,
    buildkit: PathBuf,
    versions: BTreeMap<String, String>,
}

impl Modules {
    fn find() -> Result<Self, String> {
        let cache = module_cache();
        let named = env::var_os("TREENAIL_BUILDKIT_SRC").map(PathBuf::from);
        let buildkit = named.unwrap_or_else(|| cache.join(format!("{BUILDKIT}@{VERSION}")));
        let list = fs::read_to_string(buildkit.join("go.mod"))
            .map_err(|error| format!("no BuildKit module at {}: {error}", buildkit.display()))?;
        let pairs = list.lines().filter_map(|line| line.trim().split_once(" v"));
        let versions = pairs.map(|(name, version)| {
            let version = version.split_whitespace().next().unwrap_or_default();
            (name.trim_start_matches("require ").to_owned(), format!("v{version}"))
        });
        Ok(Self { cache, versions: versions.collect(), buildkit })
    }

    fn folder(&self, module: &str) -> Result<PathBuf, String> {
        if module == BUILDKIT {
            return Ok(self.buildkit.clone());
        }
        let version = self.versions.get(module);
        let version = version.ok_or_else(|| format!("BuildKit does not ask for {module}"))?;
        let folder = self.cache.join(format!("{module}@{version}"));
        if folder.is_dir() { Ok(folder) } else { Err(format!("no module at {}", folder.display())) }
    }
}

fn module_cache() -> PathBuf {
    let said = env::var_os("GOMODCACHE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let asked = || {
        let output = Command::new("go").args(["env", "GOMODCACHE"]).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?;
        (!path.trim().is_empty()).then(|| PathBuf::from(path.trim()))
    };
    let usual = || env::home_dir().unwrap_or_default().join("go/pkg/mod");
    said.or_else(asked).unwrap_or_else(usual)
}

/// A file's descriptor, with names of types as they are written.
fn parse(path: &Path) -> FileDescriptorProto {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    if path.extension().is_some_and(|extension| extension == "go") {
        return FileDescriptorProto::decode(go_descriptor(&text).as_slice())
            .unwrap_or_else(|error| panic!("no descriptor in {}: {error}", path.display()));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = File::from_source(&name, &text)
        .unwrap_or_else(|error| panic!("cannot parse {}: {error}", path.display()));
    file.file_descriptor_proto().clone()
}

/// The bytes of the variable `…_rawDesc` in a generated Go file.
fn go_descriptor(text: &str) -> Vec<u8> {
    let (_, list) = text.split_once("_rawDesc = []byte{").expect("a generated Go file");
    let (list, _) = list.split_once('}').expect("a closed list");
    let bytes = list.split(',').map(str::trim).filter(|byte| !byte.is_empty());
    let byte = |text: &str| u8::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    bytes.map(|text| byte(text).expect("hexadecimal bytes")).collect()
}

fn merge(files: Vec<FileDescriptorProto>) -> FileDescriptorProto {
    let merged = files.into_iter().reduce(|mut all, file| {
        all.message_type.extend(file.message_type);
        all.enum_type.extend(file.enum_type);
        all.service.extend(file.service);
        all
    });
    merged.expect("a mapping names a file")
}

struct Comparison {
    whole: bool,
    problems: Vec<String>,
}

impl Comparison {
    fn file(&mut self, ours: &FileDescriptorProto, upstream: &FileDescriptorProto) {
        if ours.package() != upstream.package() {
            self.problems.push(format!("package is {}", upstream.package()));
        }
        self.messages("", &ours.message_type, &upstream.message_type);
        self.enums("", &ours.enum_type, &upstream.enum_type);
        for service in &ours.service {
            match upstream.service.iter().find(|other| other.name() == service.name()) {
                Some(other) => self.service(service, other),
                None => self.problems.push(format!("{}: no such service", service.name())),
            }
        }
    }

    fn missing<'a>(
        &mut self,
        prefix: &str,
        ours: impl Iterator<Item = &'a str> + Clone,
        upstream: impl Iterator<Item = &'a str>,
    ) {
        if self.whole {
            let left_out = upstream.filter(|name| !ours.clone().any(|own| own == *name));
            self.problems.extend(left_out.map(|name| format!("{prefix}{name}: left out")));
        }
    }

    fn messages(&mut self, prefix: &str, ours: &[DescriptorProto], upstream: &[DescriptorProto]) {
        for message in ours {
            match upstream.iter().find(|other| other.name() == message.name()) {
                Some(other) => self.message(&format!("{prefix}{}.", message.name()), message, other),
                None => self.problems.push(format!("{prefix}{}: no such message", message.name())),
            }
        }
        self.missing(
            prefix,
            ours.iter().map(DescriptorProto::name),
            upstream.iter().map(DescriptorProto::name),
        );
    }

    fn message(&mut self, prefix: &str, ours: &DescriptorProto, upstream: &DescriptorProto) {
        for field in &ours.field {
            let found = upstream.field.iter().find(|other| other.name() == field.name());
            let Some(other) = found else {
                self.problems.push(format!("{prefix}{}: no such field", field.name()));
                continue;
            };
            let choice = |message: &DescriptorProto, index: Option<i32>| {
                let index = usize::try_from(index?).ok()?;
                message.oneof_decl.get(index).map(|choice| choice.name().to_owned())
            };
            let facts = |message: &DescriptorProto, field: &prost_types::FieldDescriptorProto| {
                format!(
                    "number {}, type {}, {:?}, choice {:?}",
                    field.number(),
                    kind(field),
                    field.label(),
                    choice(message, field.oneof_index),
                )
            };
            let (own, theirs) = (facts(ours, field), facts(upstream, other));
            if own != theirs {
                let name = field.name();
                self.problems.push(format!("{prefix}{name}: {own}; upstream {theirs}"));
            }
        }
        self.missing(
            prefix,
            ours.field.iter().map(|field| field.name()),
            upstream.field.iter().map(|field| field.name()),
        );
        self.messages(prefix, &ours.nested_type, &upstream.nested_type);
        self.enums(prefix, &ours.enum_type, &upstream.enum_type);
    }

    fn enums(&mut self, prefix: &str, ours: &[EnumDescriptorProto], upstream: &[EnumDescriptorProto]) {
        for own in ours {
            let name = own.name();
            let Some(other) = upstream.iter().find(|other| other.name() == name) else {
                self.problems.push(format!("{prefix}{name}: no such enum"));
                continue;
            };
            for value in &own.value {
                let found = other.value.iter().find(|other| other.name() == value.name());
                if found.map(|value| value.number()) != Some(value.number()) {
                    let value = value.name();
                    self.problems.push(format!("{prefix}{name}.{value}: another number or none"));
                }
            }
            self.missing(
                &format!("{prefix}{name}."),
                own.value.iter().map(|value| value.name()),
                other.value.iter().map(|value| value.name()),
            );
        }
        self.missing(
            prefix,
            ours.iter().map(EnumDescriptorProto::name),
            upstream.iter().map(EnumDescriptorProto::name),
        );
    }

    fn service(&mut self, ours: &ServiceDescriptorProto, upstream: &ServiceDescriptorProto) {
        for method in &ours.method {
            let name = format!("{}.{}", ours.name(), method.name());
            let found = upstream.method.iter().find(|other| other.name() == method.name());
            let Some(other) = found else {
                self.problems.push(format!("{name}: no such method"));
                continue;
            };
            let facts = |method: &prost_types::MethodDescriptorProto| {
                (
                    last(method.input_type()).to_owned(),
                    last(method.output_type()).to_owned(),
                    method.client_streaming(),
                    method.server_streaming(),
                )
            };
            if facts(method) != facts(other) {
                self.problems.push(format!("{name}: other messages or streams"));
            }
        }
    }
}

/// A field's type: a scalar by its kind, anything else by its bare name, since packages are imported
/// under other file names here.
fn kind(field: &prost_types::FieldDescriptorProto) -> String {
    match field.type_name.as_deref() {
        Some(name) if !name.is_empty() => last(name).to_owned(),
        _ => format!("{:?}", field.r#type()),
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
