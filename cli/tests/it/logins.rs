//! Logins for registries: where they come from, what they open, and what is left when something goes wrong.
//!
//! # Source
//! `contract/sources.md` 7.

mod daemon {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    use base64::Engine as _;
    use serde_json::{Value, json};

    use crate::notation::{Values, error, evaluate, text};
    use crate::registry::faulty::{Fault, in_front_of};
    use crate::registry::token::IDENTITY;
    use crate::registry::{Guarded, PASSWORD, TokenService, USER, push};
    use crate::service::{Service, nonce};

    /// A way to be logged in.
    struct Way {
        name: &'static str,
        /// The configuration file for a registry.
        config: fn(&str) -> Value,
        /// `DOCKER_AUTH_CONFIG`.
        inline: Option<fn(&str) -> Value>,
        /// Answer of `docker-credential-tests`.
        helper: Option<fn(&str) -> Value>,
    }

    fn nothing(_: &str) -> Value {
        json!({})
    }

    fn entry(host: &str) -> Value {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
        json!({ "auths": { host: { "auth": pair } } })
    }

    fn answer(host: &str) -> Value {
        json!({ "ServerURL": host, "Username": USER, "Secret": PASSWORD })
    }

    /// Passwords, which every registry takes.
    const PASSWORDS: &[Way] = &[
        Way { name: "the entry of a file", config: entry, inline: None, helper: None },
        Way { name: "DOCKER_AUTH_CONFIG", config: nothing, inline: Some(entry), helper: None },
        Way {
            name: "the helper of a registry",
            config: |host| json!({ "credHelpers": { host: "tests" } }),
            inline: None,
            helper: Some(answer),
        },
        Way {
            name: "the general helper",
            config: |host| json!({ "credsStore": "tests", "auths": { host: {} } }),
            inline: None,
            helper: Some(answer),
        },
    ];

    /// Identity tokens, which are exchanged for tokens.
    const IDENTITIES: &[Way] = &[
        Way {
            name: "the identity token of a file",
            config: |host| json!({ "auths": { host: { "identitytoken": IDENTITY } } }),
            inline: None,
            helper: None,
        },
        Way {
            name: "the identity token of a helper",
            config: |host| json!({ "credHelpers": { host: "tests" } }),
            inline: None,
            helper: Some(|host| json!({ "ServerURL": host, "Username": "<token>", "Secret": IDENTITY })),
        },
    ];

    impl Way {
        /// A session that is logged in this way.
        fn service(&self, folder: &Path, host: &str) -> Option<Service> {
            let daemon = treenail_test_fixtures::daemon()?;
            fs::write(folder.join("config.json"), (self.config)(host).to_string()).expect("written");
            if let Some(helper) = self.helper {
                fs::write(folder.join("answer"), helper(host).to_string()).expect("written");
                let script = format!(
                    "#!/bin/sh\nread server\nif [ \"$1 $server\" = 'get {host}' ]; then cat {}; else echo 'credentials not found'; exit 1; fi\n",
                    folder.join("answer").display()
                );
                executable(&folder.join("docker-credential-tests"), &script);
            }
            Some(Service::start_with(daemon, folder, |command| {
                environment(command, folder);
                if let Some(inline) = self.inline {
                    command.env("DOCKER_AUTH_CONFIG", inline(host).to_string());
                }
            }))
        }
    }

    fn executable(path: &Path, script: &str) {
        fs::write(path, script).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    fn environment(command: &mut Command, folder: &Path) {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", folder.display())).env("DOCKER_CONFIG", folder);
        command.env_remove("DOCKER_AUTH_CONFIG");
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    /// Pushes an image and pulls it back, each in a session of its own.
    fn round_trip(way: &Way, registry: &Guarded, repository: &str) {
        let host = registry.address();
        let folder = folder();
        let Some(service) = way.service(folder.path(), host) else { return };
        let word = nonce();
        let made = format!("C.withNewFile(path: \"/word\", contents: \"{word}\")");
        let publish = format!("{made}.publish(address: \"{host}/{repository}:{word}\")");
        let reference = text(&service, &publish, &Values::default());
        assert!(registry.holds(repository, &word), "{}: {reference}", way.name);
        drop(service);
        let Some(service) = way.service(folder.path(), host) else { return };
        let read = format!("container.from(address: \"{reference}\").file(path: \"/word\").contents");
        assert_eq!(text(&service, &read, &Values::default()), word, "{}", way.name);
    }

    #[test]
    fn every_kind_of_password_opens_a_registry_with_a_password() {
        if treenail_test_fixtures::daemon().is_none() {
            return;
        }
        let Some(registry) = Guarded::start() else { return };
        for way in PASSWORDS {
            round_trip(way, &registry, "logins/password");
        }
    }

    #[test]
    fn passwords_and_identity_tokens_open_a_registry_behind_a_token_service() {
        if treenail_test_fixtures::daemon().is_none() {
            return;
        }
        let Some(tokens) = TokenService::start() else { return };
        let Some(registry) = Guarded::behind(&tokens) else { return };
        for way in PASSWORDS.iter().chain(IDENTITIES) {
            round_trip(way, &registry, "logins/tokens");
        }

        // A login of the session goes before the machine's.
        let folder = folder();
        let wrong = Way {
            name: "wrong",
            config: |host| json!({ "auths": { host: { "username": USER, "password": "wrong-password" } } }),
            inline: None,
            helper: None,
        };
        let Some(service) = wrong.service(folder.path(), registry.address()) else { return };
        let host = registry.address();
        let publish = |login: &str| format!("C{login}.publish(address: \"{host}/logins/own:1\")");
        let refused = error(&service, &publish(""), &Values::default());
        let message = refused["message"].as_str().expect("a text");
        assert!(message.contains("failed to fetch oauth token: unauthorized"), "{message}");
        assert!(!message.contains("wrong-password"), "{message}");
        assert!(!registry.holds("logins/own", "1"));
        let values = evaluate(
            &service,
            &[("right", "Secret", "setSecret(name: \"right\", plaintext: \"right-password\")")],
        );
        let login = format!(".withRegistryAuth(address: \"{host}\", username: \"{USER}\", secret: $right)");
        text(&service, &publish(&login), &values.expect("a secret"));
        assert!(registry.holds("logins/own", "1"));
    }

    #[test]
    fn a_login_that_cannot_be_had_says_why() {
        if treenail_test_fixtures::daemon().is_none() {
            return;
        }
        let Some(registry) = Guarded::start() else { return };
        let host = registry.address();
        let broken = Way {
            name: "no helper",
            config: |host| json!({ "credHelpers": { host: "not-installed" } }),
            inline: None,
            helper: None,
        };
        let silent = Way {
            name: "a helper that fails",
            config: |host| json!({ "credHelpers": { host: "fails" } }),
            inline: None,
            helper: None,
        };
        for (way, expected) in [
            (broken, "cannot run `docker-credential-not-installed`"),
            (silent, "`docker-credential-fails` failed: the keyring is locked"),
        ] {
            let folder = folder();
            executable(
                &folder.path().join("docker-credential-fails"),
                "#!/bin/sh\necho the keyring is locked\nexit 1\n",
            );
            let Some(service) = way.service(folder.path(), host) else { return };
            let refused =
                error(&service, &format!("C.publish(address: \"{host}/logins/none:1\")"), &Values::default());
            let message = refused["message"].as_str().expect("a text");
            assert!(message.contains(expected), "{}: {message}", way.name);
        }
        let folder = folder();
        fs::write(folder.path().join("config.json"), "{ no JSON").expect("written");
        let daemon = treenail_test_fixtures::daemon().expect("asked before");
        let service =
            Service::start_with(daemon, folder.path(), |command| environment(command, folder.path()));
        let refused =
            error(&service, &format!("C.publish(address: \"{host}/logins/none:1\")"), &Values::default());
        assert!(
            refused["message"].as_str().expect("a text").contains("is not a Docker configuration"),
            "{refused}"
        );
        assert!(!registry.holds("logins/none", "1"));
    }

    #[test]
    fn a_registry_that_breaks_off_or_lies_leaves_no_name_behind() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let Some(registry) = Guarded::open() else { return };
        let folder = folder();
        let service = Service::start(daemon, folder.path());
        let image = format!("C.withNewFile(path: \"/word\", contents: \"{}\")", nonce());
        // The daemon tries again a few times before it gives up, so all are asked at once.
        std::thread::scope(|scope| {
            for (number, fault) in
                [Fault::CutUploads, Fault::CutNames, Fault::OtherDigests].into_iter().enumerate()
            {
                let (service, registry, image) = (&service, &registry, &image);
                scope.spawn(move || {
                    let address = in_front_of(registry.address(), fault);
                    let name = format!("faulty/{number}");
                    let publish = format!("{image}.publish(address: \"{address}/{name}:1\")");
                    let refused = error(service, &publish, &Values::default());
                    let message = refused["message"].as_str().expect("a text").to_owned();
                    let expected = match fault {
                        Fault::OtherDigests => "got digest sha256:",
                        Fault::CutNames => "/manifests/1\": ",
                        _ => "/blobs/uploads/",
                    };
                    let push = format!("failed to push {address}/{name}:1: ");
                    assert!(message.contains(&push) && message.contains(expected), "{fault:?}: {message}");
                    assert!(!registry.holds(&name, "1"), "{fault:?}");
                    // The same image goes through when the registry is well again.
                    let well = format!("{image}.publish(address: \"{}/{name}:1\")", registry.address());
                    text(service, &well, &Values::default());
                    assert!(registry.holds(&name, "1"), "{fault:?}");
                });
            }
        });
    }

    #[test]
    fn what_is_pulled_has_the_digest_that_was_asked_for() {
        let Some(daemon) = treenail_test_fixtures::daemon() else { return };
        let Some(registry) = Guarded::open() else { return };
        let folder = folder();
        let service = Service::start(daemon, folder.path());
        for (fault, repository) in
            [(Fault::OtherManifests, "faulty/manifest"), (Fault::OtherBlobs, "faulty/layer")]
        {
            // The daemon must not have it already.
            let word = nonce();
            fs::write(folder.path().join("word"), &word).expect("written");
            let layer = Command::new("tar").arg("-C").arg(folder.path()).args(["-cf", "-", "word"]).output();
            let digest = push(registry.address(), repository, "1", &layer.expect("an archive").stdout);
            let read = |address: &str| {
                format!(
                    "container.from(address: \"{address}/{repository}:1@{digest}\").file(path: \"/word\").contents"
                )
            };
            let refused = error(&service, &read(&in_front_of(registry.address(), fault)), &Values::default());
            let message = refused["message"].as_str().expect("a text");
            assert!(message.contains("digest") || message.contains("validation"), "{fault:?}: {message}");
        }
    }
}
