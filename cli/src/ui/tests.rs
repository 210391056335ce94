//! Scripted events in, exact drawings out.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use treenail_bridge::StatusEvent;
use treenail_call::{Argument, CallId, Literal, Type};
use treenail_engine::{Cause, ExecError, Failed};

use super::mode::Detail;
use super::steps::Steps;
use super::style::Style;
use super::summary::Summary;
use super::{Ending, Event, Renderer, Stream, plain, rawjson, report, tty};

/// A place to write to that can be looked at afterwards.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tenths of a second, as the daemon counts time.
const TENTH: i64 = 100_000_000;
const DETAIL: Detail = Detail { logs: true, internal: false };

struct Vertex(StatusEvent);

fn vertex(digest: &str, name: &str) -> Vertex {
    Vertex(StatusEvent::Vertex {
        digest: digest.into(),
        name: name.to_owned(),
        inputs: Vec::new(),
        started: None,
        completed: None,
        cached: false,
        error: String::new(),
        group: None,
    })
}

impl Vertex {
    fn ran(mut self, from: i64, to: Option<i64>) -> Event {
        if let StatusEvent::Vertex { started, completed, .. } = &mut self.0 {
            *started = Some(from * TENTH);
            *completed = to.map(|to| to * TENTH);
        }
        Event::Status(self.0)
    }

    fn cached(mut self, at: i64) -> Event {
        if let StatusEvent::Vertex { cached, .. } = &mut self.0 {
            *cached = true;
        }
        self.ran(at, Some(at))
    }

    fn failed(mut self, from: i64, to: i64, why: &str) -> Event {
        if let StatusEvent::Vertex { error, .. } = &mut self.0 {
            why.clone_into(error);
        }
        self.ran(from, Some(to))
    }
}

fn log(digest: &str, text: &'static str, at: i64) -> Event {
    Event::Status(StatusEvent::Log {
        vertex: digest.into(),
        stream: 1,
        data: Bytes::from_static(text.as_bytes()),
        time: at * TENTH,
    })
}

/// A session in which one step is cached, one runs, one is interrupted by another, one fails.
fn session() -> Vec<Event> {
    vec![
        vertex("a", "from alpine").cached(1),
        vertex("i", "[internal] load").cached(1),
        vertex("b", "withExec sh -c echo 1\necho 2").ran(10, None),
        log("b", "one\ntw", 11),
        vertex("c", "withExec false").ran(11, None),
        log("b", "o\nrest", 12),
        vertex("c", "withExec false").failed(
            11,
            14,
            "process \"/.init -- false\" did not complete successfully: exit code: 1",
        ),
        vertex("b", "withExec sh -c echo 1\necho 2").ran(10, Some(15)),
        // Told again, by an export of the same tree.
        vertex("b", "withExec sh -c echo 1\necho 2").cached(30),
        Event::Status(vertex("w", "never started").0),
    ]
}

fn play(renderer: &mut dyn Renderer, events: impl IntoIterator<Item = Event>) -> Steps {
    let mut steps = Steps::default();
    for event in events {
        let change = match &event {
            Event::Status(status) => steps.apply(status),
            _ => None,
        };
        renderer.event(&event, change, &steps).expect("memory takes all");
    }
    steps
}

fn failed_exec() -> Failed {
    let string = |text: &str| Literal::string(text);
    let args = |words: &[&str]| {
        vec![Argument::new("args", Literal::List(words.iter().map(|word| string(word)).collect()))]
    };
    let container = || Type::required("Container");
    let call = CallId::root("container", container())
        .select("from", container(), vec![Argument::new("address", string("alpine"))])
        .select("withExec", container(), args(&["sh", "-c", "exit 3"]))
        .select("withUser", container(), vec![Argument::new("name", string("app"))])
        .select("stdout", Type::required("String"), Vec::new());
    let exec = ExecError {
        command: ["tini", "sh", "-c", "exit 3"].map(str::to_owned).to_vec(),
        exit_code: 3,
        stdout: (1..=25).map(|line| line.to_string()).collect::<Vec<_>>().join("\n"),
        stderr: "broken".to_owned(),
        reason: None,
        vertex: "sha256:x".into(),
    };
    Failed::new(Some(call), Cause::Exec(Arc::new(exec)))
}

#[test]
fn plain_is_lines() {
    let page = Page::default();
    let mut plain = plain::Plain::new(page.clone(), Style::without_colour(), DETAIL);
    play(&mut plain, session().into_iter().chain([Event::Finished(Ending::Summary)]));
    assert_eq!(
        page.text(),
        r"1   : from alpine CACHED [0.0s]

3   : withExec sh -c echo 1\necho 2
3   : [0.1s] | one

4   : withExec false

3   : [0.2s] | two

4   : withExec false ERROR [0.3s]
4   : ! exit code: 1

3   : [0.5s] | rest
3   : withExec sh -c echo 1\necho 2 DONE [0.5s]

4 vertices: 2 run, 2 cached
"
    );
}

#[test]
fn plain_without_logs_and_with_internal_steps() {
    let page = Page::default();
    let detail = Detail { logs: false, internal: true };
    play(&mut plain::Plain::new(page.clone(), Style::without_colour(), detail), session());
    let text = page.text();
    assert!(!text.contains('|') && text.contains("[internal] load CACHED"), "{text}");
}

#[test]
fn a_failed_call_shows_its_chain_and_the_end_of_its_output() {
    let page = Page::default();
    let mut quiet = report::Quiet::new(page.clone(), Style::without_colour());
    play(
        &mut quiet,
        session().into_iter().chain([Event::Failed(failed_exec()), Event::Finished(Ending::Summary)]),
    );
    let lines: Vec<String> = (6..=25).map(|line| format!("    {line}\n")).collect();
    assert_eq!(
        page.text(),
        format!(
            r#"! exit code: 3
  command: tini sh -c exit 3
  in the chain of calls
    container
    .from(address: "alpine")
    .withExec(args: ["sh", "-c", "exit 3"])  ← failed
    .withUser(name: "app")
    .stdout
  stdout (last 20 of 25 lines)
{}  stderr
    broken
"#,
            lines.concat()
        )
    );
}

#[test]
fn rawjson_is_an_object_a_line() {
    let page = Page::default();
    let events = session().into_iter().chain([Event::Skipped(2), Event::Failed(failed_exec())]);
    play(&mut rawjson::RawJson::new(page.clone()), events);
    let text = page.text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines.len(), session().len() + 2);
    assert_eq!(
        lines[0],
        serde_json::json!({ "vertexes": [{ "digest": "a", "name": "from alpine", "cached": true,
            "started": "1970-01-01T00:00:00.100000000Z", "completed": "1970-01-01T00:00:00.100000000Z" }] })
    );
    assert_eq!(lines[3]["logs"][0]["data"], "b25lCnR3");
    assert_eq!(lines[lines.len() - 1]["failed"]["message"], "exit code: 3");
}

#[test]
fn reports_come_at_the_end() {
    let page = Page::default();
    let mut dots = report::Report::new(page.clone(), Style::without_colour(), true);
    let steps = play(&mut dots, session());
    assert_eq!(page.text(), ".X..");
    let end = Event::Finished(Ending::Silent);
    dots.event(&end, None, &steps).expect("written");
    assert_eq!(
        page.text(),
        ".X..\n$ from alpine CACHED [0.0s]\n✔ withExec sh -c echo 1\\necho 2 DONE [0.5s]\n✘ withExec false ERROR [0.3s]\n  \
         ! exit code: 1\n"
    );
}

#[test]
fn a_terminal_keeps_what_has_ended_and_redraws_what_runs() {
    let page = Page::default();
    let screen = tty::Screen::fixed(Box::new(page.clone()), (24, 40), 20 * TENTH);
    let mut tty = tty::Tty::new(screen, Style::without_colour(), DETAIL);
    let mut steps = play(
        &mut tty,
        [
            vertex("a", "from alpine").cached(1),
            vertex("b", "withExec a command that is far too long for this terminal").ran(10, None),
            log("b", "1\n2\n\u{1b}[2J3\rprogress 4\nx", 11),
        ],
    );
    tty.tick(&steps).expect("drawn");
    let frame = "[+] 1 running, 1 done\n => withExec a command that is fa… 1.0s\n    | progress 4\n    | x\n";
    assert_eq!(page.text(), format!("✔ from alpine CACHED 0.0s\n{frame}"));

    let output = Event::Output(Stream::Stderr, Bytes::from_static(b"from the program\n"));
    tty.event(&output, None, &steps).expect("drawn");
    let up = "\u{1b}[1A\u{1b}[2K".repeat(4);
    assert!(page.text().ends_with(&format!("{frame}{up}from the program\n{frame}")), "{:?}", page.text());

    let Event::Status(end) = vertex("b", "").ran(10, Some(25)) else { panic!("a status") };
    let change = steps.apply(&end);
    tty.event(&Event::Status(end), change, &steps).expect("drawn");
    tty.event(&Event::Finished(Ending::Summary), None, &steps).expect("drawn");
    let end = format!("{frame}{up}✔ withExec a command that is far … 1.5s\n2 vertices: 1 run, 1 cached\n");
    assert!(page.text().ends_with(&end), "{:?}", page.text());
}

#[test]
fn what_is_redrawn_fits_the_terminal() {
    let page = Page::default();
    let screen = tty::Screen::fixed(Box::new(page.clone()), (6, 80), 20 * TENTH);
    let mut tty = tty::Tty::new(screen, Style::without_colour(), DETAIL);
    let names: Vec<String> = (0..50).map(|step| format!("step{step}")).collect();
    let steps = play(&mut tty, names.iter().map(|name| vertex(name, name).ran(10, None)));
    tty.tick(&steps).expect("drawn");
    assert_eq!(page.text().lines().count(), 5);
    assert!(page.text().ends_with("    … 47 lines more\n"), "{}", page.text());
}

#[test]
fn the_summary_counts_what_ran() {
    let page = Page::default();
    let steps = play(&mut rawjson::RawJson::new(page), session());
    let summary = Summary::new(&steps, Duration::from_millis(1500));
    let json: serde_json::Value = serde_json::from_slice(&summary.to_json()).expect("JSON");
    assert_eq!(json["execs_started_uncached"], 2);
    assert_eq!(json["vertices"], 4);
    assert_eq!(json["cached"], 2);
    assert_eq!(json["seconds"], 1.5);
    let exec = &json["steps"][2];
    assert_eq!((&exec["cached"], &exec["seconds"]), (&false.into(), &0.5.into()));
}
