//! Long chains: linear work, constant stack.

use crate::fake_session::Session;

/// A chain of `length` calls of one kind around a leaf.
fn chain(length: usize, call: impl Fn(usize) -> String, leaf: &str) -> String {
    let mut document = String::from("{container");
    for index in 0..length {
        document.push('{');
        document.push_str(&call(index));
    }
    document.push('{');
    document.push_str(leaf);
    document.push_str(&"}".repeat(length + 2));
    document
}

/// Runs on a stack that a recursion of this depth would overflow.
fn on_a_small_stack(test: impl FnOnce(&tokio::runtime::Runtime) + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(512 << 10)
        .spawn(|| {
            test(&tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"))
        })
        .expect("a thread")
        .join()
        .expect("the chain is walked without recursion");
}

#[test]
fn ten_thousand_pure_calls_are_answered() {
    on_a_small_stack(|runtime| {
        let session = Session::new();
        let document = chain(
            10_000,
            |index| format!("withEnvVariable(name:\"V{index}\",value:\"{index}\")"),
            "envVariable(name:\"V9999\")",
        );
        let answer = runtime.block_on(session.answer(&document));
        assert!(answer.contains("\"envVariable\":\"9999\""), "{}", &answer[..answer.len().min(300)]);
        assert_eq!(session.counts().solves, 0);
    });
}

#[test]
fn the_id_of_ten_thousand_calls_loads_in_a_new_session() {
    on_a_small_stack(|runtime| {
        let document = chain(10_000, |index| format!("withLabel(name:\"l\",value:\"{index}\")"), "id");
        let answer = runtime.block_on(Session::new().answer(&document));
        let id = answer.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
        let load = format!("{{loadContainerFromID(id:\"{id}\"){{label(name:\"l\")}}}}");
        let loaded = runtime.block_on(Session::new().answer(&load));
        assert_eq!(loaded, r#"{"data":{"loadContainerFromID":{"label":"9999"}}}"#);
    });
}

#[test]
fn two_fields_at_each_of_two_thousand_depths() {
    on_a_small_stack(|runtime| {
        let session = Session::new();
        let mut document = String::from("{container");
        for index in 0..2_000 {
            document.push_str(&format!("{{user withUser(name:\"u{index}\")"));
        }
        document.push_str("{user");
        document.push_str(&"}".repeat(2_002));
        let answer = runtime.block_on(session.answer(&document));
        assert!(answer.contains("\"user\":\"u1999\""), "{}", &answer[..answer.len().min(300)]);
    });
}

#[test]
fn five_hundred_commands_are_one_solve() {
    on_a_small_stack(|runtime| {
        let session = Session::new();
        let body = chain(500, |index| format!("withExec(args:[\"step\",\"{index}\"])"), "stdout");
        let document = body.replacen("{container{", "{container{from(address:\"alpine:3.20\"){", 1) + "}";
        let answer = runtime.block_on(session.answer(&document));
        assert!(answer.contains("out"), "{}", &answer[..answer.len().min(300)]);
        let counts = session.counts();
        assert_eq!((counts.solves, counts.execs), (1, 500));
    });
}
