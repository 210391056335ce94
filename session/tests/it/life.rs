//! Opening, healing, losing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use treenail_protos::moby::buildkit::secrets::v1::GetSecretRequest;
use treenail_protos::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use treenail_protos::moby::filesync::v1::auth_client::AuthClient;
use treenail_protos::moby::filesync::v1::{CredentialsRequest, GetTokenAuthorityRequest};
use treenail_session::{
    Connect, Credential, Error, MemoryCredentials, MemorySecrets, Receivers, Services, Session,
    SessionOptions, State,
};

use crate::peer::{self, soon};

async fn probe(channel: &tonic::transport::Channel) {
    let mut health = HealthClient::new(channel.clone());
    let answer = health.check(HealthCheckRequest::default()).await.expect("healthy").into_inner();
    assert_eq!(answer.status, 1);
}

#[tokio::test]
async fn tells_the_daemon_who_it_is_and_what_it_serves() {
    let (connect, mut sessions) = peer::daemon();
    let options = SessionOptions { id: "abc".into(), name: "n".into(), shared_key: "k".into() };
    let services = Services::default().with_receivers(Receivers::file("/nowhere"));
    let session = soon(Session::start(connect, options, services)).await.expect("opened");
    let taken = sessions.recv().await.expect("taken");
    let header = |key: &str| taken.metadata.get(key).and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!(header("x-docker-expose-session-uuid").as_deref(), Some("abc"));
    assert_eq!(header("x-docker-expose-session-name").as_deref(), Some("n"));
    assert_eq!(header("x-docker-expose-session-sharedkey").as_deref(), Some("k"));
    let methods: Vec<_> = taken.metadata.get_all("x-docker-expose-session-grpc-method").iter().collect();
    for method in ["/moby.filesync.v1.FileSync/DiffCopy", "/moby.filesync.v1.FileSend/DiffCopy"] {
        assert!(methods.iter().any(|&known| known == method), "{method}");
    }
    assert!(!methods.iter().any(|&known| known == "/moby.sshforward.v1.SSH/CheckAgent"));
    probe(&taken.channel).await;
    soon(session.close()).await;
    assert!(matches!(*session.state().borrow(), State::Closed));
    assert!(session.lost().await.is_none());
}

#[tokio::test]
async fn refuses_ids_that_a_daemon_would_misread() {
    let (connect, _sessions) = peer::daemon();
    for id in ["", "a:b", "ü"] {
        let options = SessionOptions { id: id.into(), name: "n".into(), shared_key: "k".into() };
        let end = Session::start(connect.clone(), options, Services::default()).await;
        assert!(matches!(end, Err(Error::Option { field: "id" })), "{id:?}");
    }
}

#[tokio::test]
async fn answers_secrets_by_id_and_hides_them_elsewhere() {
    let secrets = MemorySecrets::default();
    secrets.set("token", "hunter2");
    let (_session, taken) = peer::open(Services::default().with_secrets(Arc::new(secrets.clone()))).await;
    let mut client = SecretsClient::new(taken.channel);
    let ask = |id: &str| GetSecretRequest { id: id.to_owned(), ..GetSecretRequest::default() };
    let answer = client.get_secret(ask("token")).await.expect("known").into_inner();
    assert_eq!(&answer.data[..], b"hunter2");
    let status = client.get_secret(ask("other")).await.expect_err("unknown");
    assert_eq!((status.code(), status.message()), (tonic::Code::NotFound, "secret `other` not found"));
    assert_eq!(format!("{secrets:?}"), r#"{"token"}"#);
    secrets.set("big", vec![0; 16 << 20]);
    let status = client.get_secret(ask("big")).await.expect_err("too large");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
}

#[tokio::test]
async fn answers_logins_and_lets_the_daemon_fetch_tokens() {
    let credentials = MemoryCredentials::default();
    credentials.set("docker.io", Credential::Password { username: "u".into(), password: "p".into() });
    credentials.set("ghcr.io", Credential::IdentityToken("t".into()));
    let (_session, taken) = peer::open(Services::default().with_credentials(Arc::new(credentials))).await;
    let mut client = AuthClient::new(taken.channel);
    for (host, username, secret) in
        [("registry-1.docker.io", "u", "p"), ("ghcr.io", "", "t"), ("quay.io", "", "")]
    {
        let answer = client.credentials(CredentialsRequest { host: host.into() }).await.expect("answered");
        let answer = answer.into_inner();
        assert_eq!((answer.username.as_str(), answer.secret.as_str()), (username, secret), "{host}");
    }
    let status =
        client.get_token_authority(GetTokenAuthorityRequest::default()).await.expect_err("not served");
    assert_eq!(status.code(), tonic::Code::Unimplemented);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_heals_under_the_same_id() {
    let (connect, mut sessions) = peer::daemon();
    let session =
        Session::start(connect, SessionOptions::new("n", "k"), Services::default()).await.expect("opened");
    for heal in 1..=3 {
        let taken = sessions.recv().await.expect("taken");
        assert_eq!(taken.metadata.get("x-docker-expose-session-uuid").expect("an id"), session.id());
        probe(&taken.channel).await;
        taken.cut.cancel();
        let mut state = session.state();
        state.wait_for(|state| matches!(state, State::Healing)).await.expect("watched");
        state.wait_for(|state| matches!(state, State::Open)).await.expect("watched");
        assert_eq!(session.heals(), heal);
    }
    let taken = sessions.recv().await.expect("taken");
    probe(&taken.channel).await;
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_stays_away_loses_the_session() {
    let (connect, mut sessions) = peer::daemon();
    let away = Arc::new(AtomicBool::new(false));
    let gone = away.clone();
    let connect: Connect = Arc::new(move || {
        if gone.load(Ordering::Relaxed) {
            return async { Err("nobody is there".into()) }.boxed();
        }
        connect()
    });
    let session =
        Session::start(connect, SessionOptions::new("n", "k"), Services::default()).await.expect("opened");
    let taken = sessions.recv().await.expect("taken");
    probe(&taken.channel).await;
    let before = tokio::time::Instant::now();
    away.store(true, Ordering::Relaxed);
    taken.cut.cancel();
    let reason = session.lost().await.expect("lost");
    assert!(matches!(*reason, Error::Connect(_)), "{reason}");
    assert_eq!(before.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_never_probed_is_lost() {
    let (connect, mut sessions) = peer::daemon();
    let session =
        Session::start(connect, SessionOptions::new("n", "k"), Services::default()).await.expect("opened");
    let _taken = sessions.recv().await.expect("taken");
    let before = tokio::time::Instant::now();
    let reason = session.lost().await.expect("lost");
    assert!(matches!(*reason, Error::Unprobed { seconds: 20 }), "{reason}");
    assert_eq!(before.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn probes_keep_a_session_alive() {
    let (session, taken) = peer::open(Services::default()).await;
    for _ in 0..20 {
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
        probe(&taken.channel).await;
    }
    assert!(matches!(*session.state().borrow(), State::Open));
    assert_eq!(session.heals(), 0);
}

#[tokio::test]
async fn a_daemon_that_refuses_is_named() {
    let connect: Connect = Arc::new(|| {
        async {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let routes = tonic::service::Routes::default();
            let incoming = futures::stream::iter([Ok::<_, std::io::Error>(theirs)]);
            tokio::spawn(
                tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming),
            );
            let mut ours = Some(hyper_util::rt::TokioIo::new(ours));
            let endpoint = tonic::transport::Endpoint::from_static("http://localhost");
            let connector = tower::service_fn(move |_| {
                let io = ours.take();
                async move { io.ok_or_else(|| std::io::Error::other("once")) }
            });
            Ok(endpoint.connect_with_connector(connector).await?)
        }
        .boxed()
    });
    let end = soon(Session::start(connect, SessionOptions::new("n", "k"), Services::default())).await;
    assert!(matches!(end, Err(Error::Refused(_))), "{end:?}");
}

#[tokio::test]
async fn what_is_not_served_is_unimplemented() {
    let (_session, taken) = peer::open(Services::default()).await;
    let mut client = treenail_protos::moby::sshforward::v1::ssh_client::SshClient::new(taken.channel);
    let status = client.check_agent(Request::new(Default::default())).await.expect_err("not served");
    assert_eq!(status.code(), tonic::Code::Unimplemented);
}
