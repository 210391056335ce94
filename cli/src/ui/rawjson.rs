//! Progress for programs: one JSON object for each event, in the shape of BuildKit's own `rawjson`.
//!
//! # Source
//! BuildKit v0.32.2 `client/graph.go`: a `SolveStatus` with one entry.

use std::io::{self, Write};

use base64::Engine as _;
use serde_json::{Value, json};
use treenail_bridge::StatusEvent;

use super::steps::{Change, Steps};
use super::{Event, Renderer, Stream, pass_through};

/// Writes JSON lines.
pub(super) struct RawJson<W> {
    out: W,
}

impl<W: Write + Send> RawJson<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out }
    }

    fn write(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")
    }
}

impl<W: Write + Send> Renderer for RawJson<W> {
    fn event(&mut self, event: &Event, _: Option<Change>, _: &Steps) -> io::Result<()> {
        match event {
            Event::Status(status) => self.write(&of_status(status)),
            Event::Skipped(count) => self.write(&json!({ "skipped": count })),
            Event::Failed(failed) => {
                let chain = failed.call().map(ToString::to_string);
                self.write(&json!({ "failed": { "message": failed.to_string(), "call": chain } }))
            }
            Event::Note(line) => self.write(&json!({ "note": line })),
            Event::Output(to @ Stream::Stdout, bytes) => pass_through(*to, bytes),
            Event::Output(Stream::Stderr, bytes) => self.out.write_all(bytes),
            Event::Finished(_) => Ok(()),
        }
    }
}

fn of_status(event: &StatusEvent) -> Value {
    match event {
        StatusEvent::Vertex { digest, name, inputs, started, completed, cached, error, group: _ } => {
            let mut vertex = json!({ "digest": digest, "name": name });
            let mut set = |key: &str, value: Value| vertex[key] = value;
            if !inputs.is_empty() {
                set("inputs", json!(inputs));
            }
            if let Some(started) = started {
                set("started", date(*started).into());
            }
            if let Some(completed) = completed {
                set("completed", date(*completed).into());
            }
            if *cached {
                set("cached", true.into());
            }
            if !error.is_empty() {
                set("error", error.as_str().into());
            }
            json!({ "vertexes": [vertex] })
        }
        StatusEvent::Transfer { vertex, id, current, total, completed } => {
            let mut status = json!({ "id": id, "vertex": vertex, "current": current, "total": total });
            if let Some(completed) = completed {
                status["completed"] = date(*completed).into();
            }
            json!({ "statuses": [status] })
        }
        StatusEvent::Log { vertex, stream, data, time } => {
            let data = base64::engine::general_purpose::STANDARD.encode(data);
            json!({ "logs": [{ "vertex": vertex, "stream": stream, "data": data, "timestamp": date(*time) }] })
        }
        StatusEvent::Warning { vertex, short } => {
            let short = base64::engine::general_purpose::STANDARD.encode(short);
            json!({ "warnings": [{ "vertex": vertex, "short": short }] })
        }
    }
}

/// A time as RFC 3339 writes it, in UTC.
fn date(nanoseconds: i64) -> String {
    const DAY: i64 = 86_400;
    let (seconds, fraction) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    // Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(date(951_827_696_000_000_001), "2000-02-29T12:34:56.000000001Z");
        assert_eq!(date(1_772_323_199_500_000_000), "2026-02-28T23:59:59.500000000Z");
        assert_eq!(date(-1), "1969-12-31T23:59:59.999999999Z");
    }
}
