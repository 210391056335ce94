//! Git repositories of a server on loopback, fetched by a stock daemon.
//!
//! # Source
//! `contract/sources.md` 2 to 4 and 9.

mod daemon {
    use std::path::Path;

    use base64::Engine as _;
    use serde_json::json;
    use treenail_test_fixtures::{GitRepo, GitServer};

    use crate::notation::{Values, error, text, value};
    use crate::service::{Service, nonce};

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn service(workdir: &Path) -> Option<Service> {
        Some(Service::start(treenail_test_fixtures::daemon()?, workdir))
    }

    fn none() -> Values {
        Values::default()
    }

    /// `git(url)` of a repository.
    fn git(repo: &GitRepo) -> String {
        format!("git(url: \"{}\")", repo.url())
    }

    fn message(service: &Service, chain: &str, values: &Values) -> String {
        error(service, chain, values)["message"].as_str().expect("a message").to_owned()
    }

    /// A repository with branches, a lightweight and an annotated tag; two commits on `main`.
    struct Sample {
        repo: GitRepo,
        first: String,
        second: String,
    }

    fn sample(server: &GitServer, name: &str) -> Sample {
        let repo = server.repository(name, &nonce());
        let first = repo.git(&["rev-parse", "HEAD"]);
        repo.git(&["tag", "v1.0.0"]);
        repo.git(&["tag", "-a", "-m", "annotated", "v1.1.0-rc.1"]);
        repo.git(&["tag", "sdk/go/v0.1"]);
        repo.git(&["branch", "feature/x#1"]);
        let second = repo.commit("dir/file", "content\n");
        Sample { repo, first, second }
    }

    #[test]
    fn names_lead_to_commits() {
        let (workdir, server) = (folder(), GitServer::start());
        let Some(service) = service(workdir.path()) else { return };
        let Sample { repo, first, second } = sample(&server, "names");
        let git = git(&repo);
        let asked = |chain: &str| value(&service, &format!("{git}.{chain}.{{commit ref}}"), &none());
        for (chain, commit, full) in [
            ("head", &second, "refs/heads/main"),
            ("branch(name: \"main\")", &second, "refs/heads/main"),
            ("branch(name: \"refs/heads/main\")", &second, "refs/heads/main"),
            ("branch(name: \"feature/x#1\")", &first, "refs/heads/feature/x#1"),
            ("tag(name: \"v1.0.0\")", &first, "refs/tags/v1.0.0"),
            ("tag(name: \"v1.1.0-rc.1\")", &first, "refs/tags/v1.1.0-rc.1"),
            ("ref(name: \"v1.0.0\")", &first, "refs/tags/v1.0.0"),
            ("ref(name: \"heads/main\")", &second, "refs/heads/main"),
            ("ref(name: \"HEAD\")", &second, "refs/heads/main"),
            ("latestVersion", &first, "refs/tags/v1.1.0-rc.1"),
        ] {
            assert_eq!(asked(chain), json!({"commit": commit, "ref": full}), "{chain}");
        }
        assert_eq!(asked(&format!("commit(id: \"{first}\")")), json!({"commit": first, "ref": first}));
        assert_eq!(asked(&format!("ref(name: \"{first}\")")), json!({"commit": first, "ref": first}));
        assert_eq!(value(&service, &format!("{git}.url"), &none()), json!(repo.url()));
        assert_eq!(
            value(&service, &format!("{git}.tags"), &none()),
            json!(["sdk/go/v0.1", "v1.0.0", "v1.1.0-rc.1"])
        );
        assert_eq!(
            value(&service, &format!("{git}.tags(patterns: [\"v0.1\"])"), &none()),
            json!(["sdk/go/v0.1"])
        );
        assert_eq!(
            value(&service, &format!("{git}.branches(patterns: [])"), &none()),
            json!(["feature/x#1", "main"])
        );
        // All of it was one question.
        assert_eq!(server.requests(&repo), 2);
        for (chain, problem) in [
            ("branch(name: \"v1.0.0\").commit", r#"repository does not contain ref "refs/heads/v1.0.0""#),
            ("tag(name: \"main\").commit", r#"repository does not contain ref "refs/tags/main""#),
            ("ref(name: \"--upload-pack=x\").commit", r#"repository does not contain ref "--upload-pack=x""#),
            ("ref(name: \"main\\nx\").commit", r#"repository does not contain ref "main\nx""#),
            ("commit(id: \"abc\").commit", r#"invalid commit SHA: "abc""#),
        ] {
            assert_eq!(message(&service, &format!("{git}.{chain}"), &none()), problem, "{chain}");
        }
    }

    #[test]
    fn a_branch_is_checked_out_by_its_name_and_others_are_detached() {
        let (workdir, server) = (folder(), GitServer::start());
        let Some(service) = service(workdir.path()) else { return };
        let Sample { repo, first, second } = sample(&server, "trees");
        let git = git(&repo);
        let read = |of: &str, path: &str| {
            text(&service, &format!("{git}.{of}.tree.file(path: \"{path}\").contents"), &none())
        };
        let entries = |of: &str, path: &str| {
            value(&service, &format!("{git}.{of}.tree.entries(path: \"{path}\")"), &none())
        };
        assert_eq!(
            value(&service, &format!("{git}.head.tree.{{name entries}}"), &none()),
            json!({
                "name": "/", "entries": [".git/", "README", "dir/"]
            })
        );
        assert_eq!(read("head", "dir/file"), "content\n");
        assert_eq!(read("head", ".git/HEAD"), "ref: refs/heads/main\n");
        assert_eq!(read("head", ".git/refs/heads/main"), format!("{second}\n"));
        assert_eq!(read("head", ".git/ORIG_HEAD"), format!("{second}\n"));
        assert_eq!(read("head", ".git/shallow"), format!("{second}\n"));
        assert!(read("head", ".git/config").contains(&format!("url = {}", repo.url())));
        assert_eq!(entries("head", ".git/refs/heads"), json!(["main"]));
        assert_eq!(entries("head", ".git/refs/tags"), json!([]));
        let odd = "branch(name: \"feature/x#1\")";
        assert_eq!(read(odd, ".git/HEAD"), "ref: refs/heads/feature/x#1\n");
        assert_eq!(entries(odd, ".git/refs/heads/feature"), json!(["x#1"]));
        for (tag, name) in [("v1.0.0", "v1.0.0"), ("v1.1.0-rc.1", "v1.1.0-rc.1")] {
            let of = format!("tag(name: \"{tag}\")");
            assert_eq!(read(&of, ".git/HEAD"), format!("{first}\n"));
            assert_eq!(entries(&of, ".git/refs/tags"), json!([name]));
            assert_eq!(entries(&of, ".git/refs/heads"), json!([]));
        }
        let commit = format!("commit(id: \"{first}\")");
        assert_eq!(entries(&commit, "."), json!([".git/", "README"]));
        assert_eq!(read(&commit, ".git/HEAD"), format!("{first}\n"));
        let all = value(&service, &format!("{git}.head.tree.glob(pattern: \".git/*\")"), &none()).to_string();
        assert!(!all.contains("FETCH_HEAD") && all.contains(".git/logs/"), "{all}");

        let bare = format!("{git}.head.tree(discardGitDir: true).entries");
        assert_eq!(value(&service, &bare, &none()), json!(["README", "dir/"]));
        let without = format!("git(url: \"{}\", keepGitDir: false).head.tree.entries", repo.url());
        assert_eq!(value(&service, &without, &none()), json!(["README", "dir/"]));

        // What git itself says of it.
        let out = workdir.path().join("out");
        let exported = format!("{git}.head.tree.export(path: \"{}\")", out.display());
        text(&service, &exported, &none());
        let run = |arguments: &[&str]| {
            let output = std::process::Command::new("git")
                .args(["-c", "safe.directory=*"])
                .args(arguments)
                .current_dir(&out)
                .output()
                .expect("git starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
        };
        assert_eq!(run(&["status", "--porcelain", "--branch"]), "## main");
        assert_eq!(run(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
        assert_eq!(run(&["rev-list", "--count", "HEAD"]), "1");
        assert_eq!(run(&["remote", "get-url", "origin"]), repo.url());
        run(&["fsck"]);
    }

    #[test]
    fn a_second_session_fetches_nothing_and_a_moved_branch_changes_nothing() {
        let server = GitServer::start();
        let first_dir = folder();
        let Some(first) = service(first_dir.path()) else { return };
        let Sample { repo, second, .. } = sample(&server, "moved");
        let read = format!("{}.branch(name: \"main\").tree.file(path: \"dir/file\").contents", git(&repo));
        let tree = text(&first, &format!("{}.branch(name: \"main\").tree.id", git(&repo)), &none());
        let third = repo.commit("dir/file", "changed\n");
        // The session has seen the branch before.
        assert_eq!(text(&first, &read, &none()), "content\n");
        let requests = server.requests(&repo);

        let second_dir = folder();
        let other = service(second_dir.path()).expect("there is a daemon");
        let old = format!("{}.commit(id: \"{second}\").tree(discardGitDir: true).entries", git(&repo));
        assert_eq!(text(&other, &read, &none()), "changed\n");
        assert_eq!(value(&other, &format!("{}.head.commit", git(&repo)), &none()), json!(third));
        let listed = server.requests(&repo);
        assert!(listed > requests);
        drop(first);
        let third_dir = folder();
        let last = service(third_dir.path()).expect("there is a daemon");
        assert_eq!(text(&last, &read, &none()), "changed\n");
        // Names were asked for; the files were there.
        assert_eq!(server.requests(&repo), listed + 2);
        assert_eq!(value(&last, &old, &none()), json!(["README", "dir/"]));
        // A recipe of another session names the branch, not what it was.
        let values = none().with("tree", "Directory", tree);
        let chain = "loadDirectoryFromID(id: $tree).file(path: \"dir/file\").contents";
        assert_eq!(text(&last, chain, &values), "changed\n");
    }

    #[test]
    fn submodules_come_along() {
        let (workdir, server) = (folder(), GitServer::start());
        let Some(service) = service(workdir.path()) else { return };
        let inner = server.repository("inner", &nonce());
        let outer = server.repository("outer", &nonce());
        outer.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.url(), "sub"]);
        outer.commit("after", "submodule");
        for options in ["", "(discardGitDir: true)"] {
            let chain = format!("{}.head.tree{options}.entries(path: \"sub\")", git(&outer));
            let listed = value(&service, &chain, &none()).to_string();
            assert!(listed.contains("README"), "{options}: {listed}");
        }
        let chain = format!("{}.head.tree.file(path: \".git/config\").contents", git(&outer));
        assert!(text(&service, &chain, &none()).contains("[submodule \"sub\"]"));
    }

    #[test]
    fn a_private_repository_wants_its_token() {
        let (workdir, server) = (folder(), GitServer::start());
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let home = folder();
        let start = || {
            Service::start_with(daemon, workdir.path(), |command| {
                command.env("HOME", home.path());
            })
        };
        let service = start();
        let repo = server.repository("private", &nonce());
        let basic = |pair: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let url = repo.url();
        let entries =
            |options: &str| format!("git(url: \"{url}\"{options}).head.tree(discardGitDir: true).entries");
        let secret = |service: &Service, name: &str, value: &str| {
            let chain = format!("setSecret(name: \"{name}\", plaintext: \"{value}\").id");
            none().with("secret", "Secret", text(service, &chain, &none()))
        };
        let readme = json!(["README"]);

        server.guard(&repo, &basic("x-access-token:right"));
        assert_eq!(message(&service, &entries(""), &none()), "git error: git authentication failed");
        let wrong = secret(&service, "wrong", "wrong-token");
        let refused = message(&service, &entries(", httpAuthToken: $secret"), &wrong);
        assert_eq!(refused, "git error: git authentication failed");
        let right = secret(&service, "right", "right");
        assert_eq!(value(&service, &entries(", httpAuthToken: $secret"), &right), readme);

        repo.commit("README", &nonce());
        server.guard(&repo, &basic("someone:right"));
        let named = entries(", httpAuthUsername: \"someone\", httpAuthToken: $secret");
        assert_eq!(value(&service, &named, &right), readme);

        repo.commit("README", &nonce());
        server.guard(&repo, "Bearer whole");
        let header = secret(&service, "header", "Bearer whole");
        assert_eq!(value(&service, &entries(", httpAuthHeader: $secret"), &header), readme);
        let id = text(&service, &format!("git(url: \"{url}\", httpAuthHeader: $secret).id"), &header);
        let id = base64::engine::general_purpose::STANDARD.decode(id).expect("base64");
        assert!(!String::from_utf8_lossy(&id).contains("whole"));

        // A login in the address, and one of the machine.
        repo.commit("README", &nonce());
        server.guard(&repo, &basic("user:pass"));
        let inside = url.replace("http://", "http://user:pass@");
        let chain = format!("git(url: \"{inside}\").{{url head{{tree(discardGitDir: true){{entries}}}}}}");
        let answer = value(&service, &chain, &none());
        assert_eq!(answer["url"], json!(url));
        assert_eq!(answer["head"]["tree"]["entries"], readme);

        repo.commit("README", &nonce());
        std::fs::write(home.path().join(".netrc"), "machine 127.0.0.1 login user password pass\n")
            .expect("written");
        assert_eq!(value(&start(), &entries(""), &none()), readme);

        repo.commit("README", &nonce());
        server.guard(&repo, &basic("helped:by-helper"));
        let helper =
            "[credential]\n\thelper = \"!f() { echo username=helped; echo password=by-helper; }; f\"\n";
        std::fs::write(home.path().join(".gitconfig"), helper).expect("written");
        assert_eq!(value(&start(), &entries(""), &none()), readme);
    }

    #[test]
    fn what_is_no_repository_says_so() {
        let (workdir, server) = (folder(), GitServer::start());
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let service = Service::start_with(daemon, workdir.path(), |command| {
            command.env_remove("SSH_AUTH_SOCK");
        });
        let repo = server.repository("plain", &nonce());
        for (url, problem) in [
            ("ftp://x/y", "failed to parse Git URL: invalid protocol \"ftp\"".to_owned()),
            ("file:///etc", "failed to parse Git URL: invalid protocol \"file\"".to_owned()),
            ("--upload-pack=touch /x", "failed to parse Git URL: ".to_owned()),
            ("http://127.0.0.1/a\\nb", "failed to parse Git URL: ".to_owned()),
            ("ssh://-oProxyCommand=x/r", "failed to parse Git URL: invalid host".to_owned()),
            (
                "git@127.0.0.1:r",
                "git authentication failed: SSH URLs are not supported without an SSH socket".to_owned(),
            ),
            (&repo.url().replace("plain", "nothing"), "git error: exit status 128: repository".to_owned()),
        ] {
            let said = message(&service, &format!("git(url: \"{url}\").head.commit"), &none());
            assert!(said.starts_with(&problem), "{url}: {said}");
        }
        let unknown = "0123456789".repeat(4);
        let chain = format!("{}.commit(id: \"{unknown}\").tree.entries", git(&repo));
        let said = message(&service, &chain, &none());
        assert!(said.starts_with(&format!("failed to fetch remote {}: git error: ", repo.url())), "{said}");

        let empty = server.repository("empty", "");
        empty.git_served(&["update-ref", "-d", "refs/heads/main"]);
        let said = message(&service, &format!("{}.head.commit", git(&empty)), &none());
        assert_eq!(said, "repository does not contain ref \"HEAD\"");
        assert_eq!(value(&service, &format!("{}.branches", git(&empty)), &none()), json!([]));
    }

    #[test]
    fn addresses_lead_to_repositories() {
        let (workdir, server) = (folder(), GitServer::start());
        let Some(service) = service(workdir.path()) else { return };
        let Sample { repo, first, second } = sample(&server, "addressed");
        let url = repo.url();
        let address = |fragment: &str, chain: &str| format!("address(value: \"{url}{fragment}\").{chain}");
        for (fragment, chain, expected) in [
            ("", "gitRepository.url", json!(url)),
            ("", "gitRef.commit", json!(second)),
            ("#v1.0.0", "gitRef.commit", json!(first)),
            ("#main:dir", "directory.entries", json!(["file"])),
            ("#v1.0.0", "directory.entries", json!([".git/", "README"])),
            ("#main:dir/file", "file.contents", json!("content\n")),
        ] {
            assert_eq!(value(&service, &address(fragment, chain), &none()), expected, "{fragment} {chain}");
        }
        for (fragment, chain, problem) in [
            ("#main", "gitRepository.url", "git repository address cannot contain ref"),
            ("#:dir", "gitRepository.url", "git repository address cannot contain subdir"),
            ("#main:dir", "gitRef.commit", "git ref address cannot contain subdir"),
            ("#main", "file.contents", "no file path specified within git repository"),
            ("#nope", "directory.entries", "repository does not contain ref \"nope\""),
        ] {
            assert_eq!(message(&service, &address(fragment, chain), &none()), problem, "{fragment} {chain}");
        }
        let direct = text(&service, &format!("git(url: \"{url}\").ref(name: \"main\").tree.id"), &none());
        assert_eq!(text(&service, &address("#main", "directory.id"), &none()), direct);
    }
}
