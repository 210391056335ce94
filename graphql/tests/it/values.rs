//! Values that need no daemon: variables, JSON, errors, addresses. Their meaning is shown in `model`; here, that
//! they are bound, that they cost nothing, and what their errors look like.

use crate::fake_session::Session;

async fn check(document: &str, expected: &str) {
    let session = Session::new();
    let answer = session.answer(document).await;
    assert_eq!(answer, expected, "{document}");
    let counts = session.counts();
    assert_eq!((counts.solves, counts.resolves), (0, 0), "{document}");
}

#[tokio::test]
async fn variables_see_the_client() {
    check(
        r#"{envFile(expand:true){withVariable(name:"M",value:"'x' $MADE_UP"){get(name:"M") raw:get(name:"M",raw:true)}}}"#,
        r#"{"data":{"envFile":{"withVariable":{"get":"x from the client","raw":"'x' $MADE_UP"}}}}"#,
    )
    .await;
    check(
        r#"{envFile{withVariable(name:"M",value:"$NOPE"){exists(name:"M") variables(raw:true){name value}}}}"#,
        r#"{"data":{"envFile":{"withVariable":{"exists":true,"variables":[{"name":"M","value":"$NOPE"}]}}}}"#,
    )
    .await;
    check(
        r#"{envFile{withVariable(name:"M",value:"$NOPE"){variables{name}}}}"#,
        r#"{"errors":[{"message":"M: NOPE: unbound variable","path":["envFile","withVariable","variables"]}],"data":null}"#,
    )
    .await;
}

#[tokio::test]
async fn errors_hold_values_of_any_text() {
    check(
        r#"{error(message:"m"){withValue(name:"a",value:"1"){withValue(name:"b",value:"{"){message values{name value}}}}}"#,
        r#"{"data":{"error":{"withValue":{"withValue":{"message":"m","values":[{"name":"a","value":"1"},{"name":"b","value":"{"}]}}}}}"#,
    )
    .await;
}

#[tokio::test]
async fn json_is_read_and_changed() {
    check(
        r#"{json{withContents(contents:"{\"a\":[1.50,{\"b\":\"x\"}]}"){fields field(path:["a"]){contents asArray{contents}}}}}"#,
        r#"{"data":{"json":{"withContents":{"fields":["a"],"field":{"contents":"[1.5,{\"b\":\"x\"}]","asArray":[{"contents":"1.5"},{"contents":"{\"b\":\"x\"}"}]}}}}}"#,
    )
    .await;
}

#[tokio::test]
async fn a_secret_of_another_provider_has_a_name_and_no_use() {
    check(
        r#"{address(value:"vault:a/b"){secret{uri}}}"#,
        r#"{"data":{"address":{"secret":{"uri":"vault://a/b"}}}}"#,
    )
    .await;
    let session = Session::new();
    let answer = session.answer(r#"{secret(uri:"op://a/b"){plaintext}}"#).await;
    assert!(answer.contains(r#""code":"UNSUPPORTED""#), "{answer}");
}

#[tokio::test]
async fn addresses_out_of_reach_say_so() {
    for document in [
        r#"{address(value:"repository"){gitRepository{id}}}"#,
        r#"{address(value:"tcp://example.com:80"){service{id}}}"#,
        r#"{address(value:"unix:///s"){socket{id}}}"#,
    ] {
        let answer = Session::new().answer(document).await;
        assert!(answer.contains(r#""code":"UNSUPPORTED""#), "{document}\n{answer}");
    }
}

#[tokio::test]
async fn an_address_leads_to_the_call_that_it_stands_for() {
    let session = Session::new();
    let pairs = [
        (
            r#"{v:address(value:"alpine:3.20"){v:container{id}}}"#,
            r#"{v:container{v:from(address:"alpine:3.20"){id}}}"#,
        ),
        (r#"{v:address(value:"file://."){v:directory{id}}}"#, r#"{v:host{v:directory(path:"."){id}}}"#),
    ];
    for (address, plain) in pairs {
        assert_eq!(session.answer(address).await, session.answer(plain).await, "{address}");
    }
}

/// Hostile documents: a long chain stays cheap, a deep value is refused.
#[tokio::test]
async fn long_chains_of_values() {
    let depth = 2000;
    let calls = r#"withVariable(name:"A",value:"'x'$A"){"#.repeat(depth);
    let document = format!("{{envFile{{{calls}exists(name:\"A\"){}}}}}", "}".repeat(depth));
    let answer = Session::new().answer(&document).await;
    assert!(answer.contains(r#""exists":true"#), "{}", &answer[..200]);
    let deep = "[".repeat(100_000);
    let answer =
        Session::new().answer(&format!(r#"{{json{{withContents(contents:"{deep}"){{contents}}}}}}"#)).await;
    assert!(answer.contains("invalid JSON"), "{}", &answer[..200]);
}
