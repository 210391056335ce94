//! What git and http cost: names are asked for once, files are fetched when they are needed.

use std::collections::BTreeMap;

use treenail_bridge::SourceMetadata;
use treenail_bridge::fake::Tree;

use crate::fake_session::Session;

#[tokio::test]
async fn a_repository_is_asked_once_and_its_files_are_fetched_when_needed() {
    // (document, questions to the repository, solves)
    let cases: &[(&str, usize, usize)] = &[
        (r#"{git(url:"https://made.up/r"){id}}"#, 1, 0),
        (r#"{git(url:"https://made.up/r"){url head{commit ref id} tags branches}}"#, 1, 0),
        (r#"{git(url:"https://made.up/r"){head{tree{id name}}}}"#, 1, 0),
        (
            r#"{git(url:"https://made.up/r"){branch(name:"main"){tree{withNewFile(path:"a",contents:"b"){id}}}}}"#,
            1,
            0,
        ),
        // The same repository by other arguments is the same question.
        (
            r#"{a:git(url:"https://made.up/r"){url} b:git(url:"https://made.up/r",keepGitDir:false){url}}"#,
            1,
            0,
        ),
        (r#"{a:git(url:"made.up/r"){url} b:git(url:"https://made.up/r"){url}}"#, 1, 0),
        (r#"{address(value:"https://made.up/r#v1.0.0"){gitRef{commit}}}"#, 1, 0),
        // What is no address asks nobody.
        (r#"{git(url:"ftp://made.up/r"){id}}"#, 0, 0),
    ];
    for (document, listed, solves) in cases {
        let session = Session::new();
        let answer = session.answer(document).await;
        let counts = session.counts();
        assert_eq!(
            (session.listed(), counts.solves, counts.resolves),
            (*listed, *solves, 0),
            "{document}\n{answer}"
        );
    }
}

#[tokio::test]
async fn names_and_errors_of_git() {
    for (document, expected) in [
        (
            r#"{git(url:"made.up/r"){url latestVersion{ref commit}}}"#,
            r#"{"data":{"git":{"url":"https://made.up/r","latestVersion":{"ref":"refs/tags/v1.0.0","commit":"2222222222222222222222222222222222222222"}}}}"#,
        ),
        (
            r#"{git(url:"https://made.up/nothing"){id}}"#,
            r#"{"errors":[{"message":"git error: not a git repository","path":["git"]}],"data":null}"#,
        ),
        (
            r#"{directory{withNewFile(path:"f",contents:"x"){asGit{id}}}}"#,
            r#"{"errors":[{"message":"git error: not a git repository","path":["directory","withNewFile","asGit"]}],"data":null}"#,
        ),
        (
            r#"{git(url:"https://made.up/wanted"){id}}"#,
            r#"{"errors":[{"message":"git error: git authentication failed","path":["git"]}],"data":null}"#,
        ),
        // Refused over https, and no agent for ssh.
        (
            r#"{git(url:"made.up/wanted"){id}}"#,
            r#"{"errors":[{"message":"failed to determine Git URL protocol","path":["git"]}],"data":null}"#,
        ),
        (
            r#"{git(url:"git@made.up:r"){id}}"#,
            r#"{"errors":[{"message":"git authentication failed: SSH URLs are not supported without an SSH socket","path":["git"]}],"data":null}"#,
        ),
        (
            r#"{git(url:"https://made.up/r"){branch(name:"-x"){id}}}"#,
            r#"{"errors":[{"message":"repository does not contain ref \"refs/heads/-x\"","path":["git","branch"]}],"data":null}"#,
        ),
    ] {
        assert_eq!(Session::new().answer(document).await, expected, "{document}");
    }
}

#[tokio::test]
async fn a_token_opens_what_nobody_may_see() {
    let session = Session::new();
    let answer = session.answer(r#"{setSecret(name:"n",plaintext:"token\n"){id}}"#).await;
    let id = answer.split('"').nth(7).expect("an ID").to_owned();
    let ask = |options: &str| {
        format!(r#"{{git(url:"https://made.up/wanted",httpAuthToken:"{id}"{options}){{head{{ref}}}}}}"#)
    };
    assert_eq!(session.answer(&ask("")).await, r#"{"data":{"git":{"head":{"ref":"refs/heads/main"}}}}"#);
    let answer = session.answer(r#"{setSecret(name:"two",plaintext:"a\nb"){id}}"#).await;
    let other = answer.split('"').nth(7).expect("an ID").to_owned();
    let answer = session.answer(&ask("").replace(&id, &other)).await;
    assert!(answer.contains("has more than one line"), "{answer}");
}

#[tokio::test]
async fn equal_ids_are_equal_names_of_one_commit() {
    let session = Session::new();
    let id = async |chain: &str| session.answer(chain).await.rsplit('"').nth(1).map(str::to_owned);
    let direct = id(r#"{git(url:"https://made.up/r"){ref(name:"main"){tree{id}}}}"#).await;
    assert_eq!(id(r#"{address(value:"https://made.up/r#main"){directory{id}}}"#).await, direct);
    let loaded = format!(r#"{{loadDirectoryFromID(id:"{}"){{id}}}}"#, direct.clone().expect("an ID"));
    assert_eq!(id(&loaded).await, direct);
    // In another session, where nothing is remembered.
    let other = Session::new();
    assert_eq!(other.answer(&loaded).await.rsplit('"').nth(1).map(str::to_owned), direct);
    assert_eq!(other.listed(), 1);
}

#[tokio::test]
async fn a_file_of_a_server_is_asked_for_once() {
    let session = Session::new();
    let metadata = SourceMetadata {
        http: Some((format!("sha256:{}", "c".repeat(64)), "f.txt".to_owned(), Some(7))),
        ..SourceMetadata::default()
    };
    for url in ["https://made.up/f.txt", "https://made.up/other"] {
        session.bridge.set_metadata(url, metadata.clone());
        session.bridge.set_source(url, Tree::default().with_file("/f.txt", "text"));
    }
    let named = r#"{a:http(url:"https://made.up/f.txt"){id name} b:http(url:"https://made.up/f.txt"){id}}"#;
    session.answer(named).await;
    assert_eq!((session.counts().resolves, session.counts().solves), (1, 0));
    let contents = r#"{http(url:"https://made.up/f.txt"){contents}}"#;
    assert_eq!(session.answer(contents).await, r#"{"data":{"http":{"contents":"text"}}}"#);
    assert_eq!((session.counts().resolves, session.counts().solves), (1, 1));
    // Equal content under an equal name is an equal file.
    let digests = async |document: &str| -> BTreeMap<String, usize> {
        let answer = session.answer(document).await;
        let ids = answer.split('"').filter(|part| part.len() > 60).map(|id| (id[..36].to_owned(), 0));
        ids.collect()
    };
    let two =
        r#"{a:http(url:"https://made.up/f.txt"){id} b:http(url:"https://made.up/other",name:"f.txt"){id}}"#;
    assert_eq!(digests(two).await.len(), 1);
    let missing = session.answer(r#"{http(url:"https://made.up/none"){id}}"#).await;
    assert!(missing.contains("not found"), "{missing}");
}
