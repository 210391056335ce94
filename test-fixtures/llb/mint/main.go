// Command mint prints definitions made by BuildKit's own Go client, as JSON.
//
// Each graph here has a twin of the same name in llb/tests/it/graphs.rs. Run
//
//	go run . > ../golden.json
//
// in this folder after a change, or after raising the version in go.mod.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log"
	"net"
	"os"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/llbbuild"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/protobuf/proto"
)

type graph struct {
	name  string
	state llb.State
	opts  []llb.ConstraintsOpt
}

type golden struct {
	Name string `json:"name"`
	// Digest of each vertex, for the reader.
	Digests []digest.Digest `json:"digests"`
	// Definition is the whole message; its source maps are left out unless the graph has some.
	Definition string `json:"definition"`
}

const (
	alpine = "docker.io/library/alpine:3.22"
	sum    = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func args(a ...string) llb.RunOption { return llb.Args(a) }

func main() {
	var out []golden
	for _, g := range graphs() {
		opts := append([]llb.ConstraintsOpt{llb.LinuxAmd64}, g.opts...)
		def, err := g.state.Marshal(context.Background(), opts...)
		if err != nil {
			log.Fatalf("%s: %v", g.name, err)
		}
		message := def.ToPB()
		if message.Source != nil {
			if len(message.Source.Infos) == 0 {
				message.Source = nil
			} else {
				for d, l := range message.Source.Locations {
					if len(l.Locations) == 0 {
						delete(message.Source.Locations, d)
					}
				}
			}
		}
		bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		if err != nil {
			log.Fatal(err)
		}
		item := golden{Name: g.name, Definition: base64.StdEncoding.EncodeToString(bytes)}
		for _, op := range def.Def {
			item.Digests = append(item.Digests, digest.FromBytes(op))
		}
		out = append(out, item)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(out); err != nil {
		log.Fatal(err)
	}
}

func graphs() []graph {
	list := sources()
	list = append(list, execs()...)
	list = append(list, files()...)
	return append(list, others()...)
}

func sources() []graph {
	return []graph{
		{name: "image", state: llb.Image(alpine)},
		{name: "image-options", state: llb.Image(alpine, llb.ResolveModeForcePull, llb.MarkImageInternal,
			llb.WithLayerLimit(3), llb.WithImageChecksum(digest.Digest(sum)))},
		{name: "image-local", state: llb.Image(alpine, llb.ResolveModePreferLocal)},
		{name: "image-platform", state: llb.Image(alpine, llb.LinuxArmhf)},
		{name: "image-windows", state: llb.Image(alpine, llb.Platform(ocispecs.Platform{
			OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348", OSFeatures: []string{"win32k"}}))},
		{name: "git-https", state: llb.Git("https://git.example/owner/../repo.git", "main")},
		{name: "git-plain", state: llb.Git("git.example/owner/repo", "")},
		{name: "git-ssh", state: llb.Git("git@git.example:owner/repo.git", "v1:sub/dir",
			llb.KnownSSHHosts("git.example ssh-ed25519 AAAA"), llb.MountSSHSock("agent"))},
		{name: "git-ssh-default", state: llb.Git("ssh://git@git.example/owner/repo.git", "",
			llb.KnownSSHHosts("git.example ssh-ed25519 AAAA"))},
		{name: "git-options", state: llb.Git("https://user@git.example:8443/repo.git", "", llb.GitRef("v1"),
			llb.GitSubDir("docs"), llb.KeepGitDir(), llb.AuthTokenSecret("token"), llb.AuthHeaderSecret("header"),
			llb.GitChecksum("0123456789012345678901234567890123456789"), llb.GitSkipSubmodules(),
			llb.GitMTimeCommit(), llb.GitFetchByCommit())},
		{name: "git-bundle", state: llb.Git("https://git.example/repo.git", "",
			llb.GitChecksum("0123456789012345678901234567890123456789"),
			llb.GitBundleURL("oci-layout+blob://store@"+sum, llb.GitBundleOCIStore("session", "store")),
			llb.GitCheckoutBundle())},
		{name: "http", state: llb.HTTP("https://files.example/a.tar.gz")},
		{name: "http-options", state: llb.HTTP("http://files.example/a", llb.Checksum(digest.Digest(sum)),
			llb.Filename("b"), llb.Chmod(0o755), llb.Chown(1000, 1001), llb.AuthHeaderSecret("header"),
			llb.Header(llb.HTTPHeader{Accept: "text/plain", UserAgent: "ua/1"}),
			llb.VerifyPGPSignature(llb.HTTPSignatureInfo{PubKey: []byte("key"), Signature: []byte("sig")}))},
		{name: "local", state: llb.Local("context", llb.SessionID("session"))},
		{name: "local-options", state: llb.Local("context", llb.SessionID("session"),
			llb.IncludePatterns([]string{"src/**", "a<b>&\"c\\"}), llb.ExcludePatterns([]string{"**/*.o", "!keep"}),
			llb.FollowPaths([]string{"link"}), llb.SharedKeyHint("hint"), llb.Differ(llb.DiffNone, true),
			llb.MetadataOnlyTransfer([]string{"go.mod"}))},
		{name: "local-unique", state: llb.Local("context", llb.LocalUniqueID("unique"),
			llb.Differ(llb.DiffMetadata, false), llb.MetadataOnlyTransfer(nil))},
		{name: "oci-layout", state: llb.OCILayout("name@"+sum, llb.OCIStore("session", "store"), llb.OCILayerLimit(2))},
		{name: "source", state: llb.NewState(llb.NewSource("custom://x", map[string]string{
			"z": "1", "a": "", "m": "é"}, llb.Constraints{}).Output())},
	}
}

func execs() []graph {
	base := llb.Image(alpine)
	tools := llb.Image("docker.io/library/busybox:1.37")
	mounted := base.Run(args("true"))
	mounted.AddMount("/z", llb.Scratch())
	second := mounted.AddMount("/a", tools)
	return []graph{
		{name: "exec", state: base.Run(args("sh", "-c", "echo hi")).Root()},
		{name: "exec-scratch", state: llb.Scratch().Run(args("/bin/true")).Root()},
		{name: "exec-meta", state: base.Dir("/work").User("node:staff").AddEnv("B", "2").AddEnv("A", "1=x").AddEnv("E", "").
			Hostname("box").AddExtraHost("db", net.ParseIP("10.0.0.2")).AddExtraHost("v6", net.ParseIP("fe80::1")).
			AddUlimit(llb.UlimitNofile, 1024, 2048).WithCgroupParent("group").
			Run(args("true"), llb.ValidExitCodes(0, 3, 255), llb.WithProxy(llb.ProxyEnv{
				HTTPProxy: "http://h", HTTPSProxy: "http://s", FTPProxy: "http://f", NoProxy: "n", AllProxy: "http://a"})).Root()},
		{name: "exec-host-insecure", state: base.Network(llb.NetModeHost).Security(llb.SecurityModeInsecure).Run(args("true")).Root()},
		{name: "exec-no-network", state: base.Network(llb.NetModeNone).Run(args("true")).Root()},
		{name: "exec-mounts", state: base.Run(args("true"),
			llb.AddMount("/w", tools),
			llb.AddMount("/r", tools, llb.Readonly, llb.SourcePath("/bin"), llb.ContentCache(llb.MountContentCacheOn)),
			llb.AddMount("/d", llb.Scratch(), llb.ForceNoOutput, llb.ContentCache(llb.MountContentCacheOff)),
			llb.AddMount("/c1", llb.Scratch(), llb.AsPersistentCacheDir("one", llb.CacheMountShared)),
			llb.AddMount("/c2", tools, llb.AsPersistentCacheDir("two", llb.CacheMountPrivate), llb.SourcePath("/etc")),
			llb.AddMount("/c3", llb.Scratch(), llb.AsPersistentCacheDir("three", llb.CacheMountLocked), llb.Readonly),
			llb.AddMount("/t", llb.Scratch(), llb.Tmpfs(llb.TmpfsSize(1<<20))),
			llb.AddMount("/e", llb.Scratch(), llb.Tmpfs()),
			llb.AddMount("/b", base),
		).Root()},
		{name: "exec-secrets", state: base.AddEnv("SSH_AUTH_SOCK", "/agent").Run(args("true"),
			llb.AddSSHSocket(llb.SSHID("agent"), llb.SSHSocketOpt("/agent", 1, 2, 0o666), llb.SSHOptional),
			llb.AddSecret("/z", llb.SecretID("one"), llb.SecretFileOpt(3, 4, 0o440)),
			llb.AddSecret("/a", llb.SecretID("two"), llb.SecretOptional),
			llb.AddMount("/x", tools, llb.Readonly)).Root()},
		{name: "exec-secret-env", state: base.Run(args("true"),
			llb.AddSecretWithDest("id", nil, llb.SecretAsEnvName("TOKEN")),
			llb.AddSecretWithDest("other", nil, llb.SecretAsEnvName("OTHER"), llb.SecretOptional)).Root()},
		{name: "exec-devices", state: base.Run(args("true"),
			llb.AddCDIDevice(llb.CDIDeviceName("vendor.example/gpu=0")),
			llb.AddCDIDevice(llb.CDIDeviceName("vendor.example/nic=all"), llb.CDIDeviceOptional)).Root()},
		{name: "exec-second-output", state: second},
		{name: "exec-readonly-root", state: func() llb.State {
			e := base.Run(args("true"), llb.ReadonlyRootFS())
			return e.AddMount("/out", llb.Scratch())
		}()},
		{name: "exec-platform", state: llb.Image(alpine, llb.LinuxArm64).
			File(llb.Mkdir("/x", 0o755)).Run(args("true")).Root()},
		{name: "exec-resources", state: base.Run(args("true"), llb.WithLinuxResources(llb.LinuxResources{
			Memory: 1 << 30, MemorySwap: 2 << 30, CPUShares: 512, CPUPeriod: 100000, CPUQuota: 50000,
			CpusetCpus: "0-1", CpusetMems: "0"})).Root()},
	}
}

func files() []graph {
	base := llb.Image(alpine)
	from := llb.Local("context", llb.SessionID("session"))
	when := time.Unix(1700000000, 5)
	return []graph{
		{name: "file-small", state: llb.Scratch().File(llb.Mkdir("/a", 0o755).
			Mkfile("/a/f", 0o600, []byte("data\x00\xff")).Symlink("f", "/a/l").Rm("/a/f"))},
		{name: "file-options", state: base.File(
			llb.Mkdir("/a/b", 0o1777, llb.WithParents(true), llb.WithUIDGID(1, 2), llb.WithCreatedTime(when)).
				Mkfile("/a/e", 0, nil, llb.WithUIDGID(0, 0), llb.WithCreatedTime(when)).
				Symlink("x", "/a/l", llb.WithUIDGID(5, 6), llb.WithCreatedTime(when)).
				Rm("/tmp/*", llb.WithAllowWildcard(true), llb.WithAllowNotFound(true)))},
		{name: "file-owner-name", state: base.File(
			llb.Mkdir("/a", 0o755, llb.WithUser("node:staff")).Mkfile("/a/f", 0o644, []byte("x"), llb.WithUser("node")))},
		{name: "file-copy", state: base.File(llb.Copy(from, "/src", "/dst/"))},
		{name: "file-copy-scratch", state: llb.Scratch().File(llb.Copy(llb.Scratch(), "/", "/"))},
		{name: "file-copy-self", state: base.File(llb.Copy(base, "/etc", "/etc2"))},
		{name: "file-copy-options", state: base.File(llb.Copy(from, "/s*", "/d/.", &llb.CopyInfo{
			Mode: &llb.ChmodOpt{Mode: 0o640}, FollowSymlinks: true, CopyDirContentsOnly: true,
			IncludePatterns: []string{"b", "a"}, ExcludePatterns: []string{"z", "y"}, RequiredPaths: []string{"b"},
			AttemptUnpack: true, CreateDestPath: true, AllowWildcard: true, AllowEmptyWildcard: true,
			AlwaysReplaceExistingDestPaths: true}, llb.WithUIDGID(7, 8), llb.WithCreatedTime(when)))},
		{name: "file-copy-mode-text", state: base.File(llb.Copy(from, "/s", "/d",
			llb.ChmodOpt{ModeStr: "u=rwX,go=rX"}, llb.WithUser("node:staff")))},
		{name: "file-chain", state: base.File(llb.Mkdir("/a", 0o755)).
			File(llb.Copy(from, "/x", "/a/x")).File(llb.Mkfile("/a/y", 0o644, []byte("y")))},
	}
}

func others() []graph {
	base := llb.Image(alpine)
	one := base.File(llb.Mkfile("/1", 0o644, []byte("1")))
	two := base.File(llb.Mkfile("/2", 0o644, []byte("2")))
	twin := func() llb.State { return llb.Image(alpine).File(llb.Mkfile("/1", 0o644, []byte("1"))) }
	source := llb.NewSourceMap(nil, "build.graphql", "GraphQL", []byte("{ container }"))
	// Merges and diffs without a name get one from us, since the daemon's grow with the graph.
	four, three := llb.WithCustomName("merge of 4 trees"), llb.WithCustomName("merge of 3 trees")
	changes := llb.WithCustomName("diff of two trees")
	ranges := []*pb.Range{{Start: &pb.Position{Line: 1, Character: 2}, End: &pb.Position{Line: 1, Character: 11}}}
	return []graph{
		{name: "merge", state: llb.Merge([]llb.State{base, one, two, one}, four)},
		{name: "diff", state: llb.Diff(base, one, changes)},
		{name: "diff-to-scratch", state: llb.Diff(base, llb.Scratch(), changes)},
		{name: "merge-of-diffs", state: llb.Merge([]llb.State{llb.Image("docker.io/library/busybox:1.37"),
			llb.Scratch(), llb.Diff(base, one, changes), llb.Diff(base, two, changes)}, three)},
		{name: "build", state: base.With(llbbuild.Build())},
		{name: "build-filename", state: base.With(llbbuild.Build(llbbuild.WithFilename("x.llb")))},
		{name: "metadata", state: base.Run(args("true"), llb.IgnoreCache, llb.WithCustomName("a name"),
			llb.WithDescription(map[string]string{"k": "v"}), llb.WithoutExportCache(),
			llb.ProgressGroup("id", "group", true)).Root().
			File(llb.Mkdir("/a", 0o755), llb.WithExportCache(), llb.WithCustomName("b name"))},
		{name: "worker", state: llb.Image(alpine, llb.Require("a==b")).Run(args("true"), llb.Require("c==d")).Root(),
			opts: []llb.ConstraintsOpt{llb.Require("all==x")}},
		{name: "twins", state: llb.Merge([]llb.State{twin(), twin(), two}, three)},
		{name: "locations", state: llb.Image(alpine, source.Location(ranges)).
			Run(args("true"), source.Location(ranges), source.Location(nil)).Root()},
	}
}
