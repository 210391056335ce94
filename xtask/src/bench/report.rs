//! The table that people read and the JSON that programs read.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::measure::{Measured, Samples};

/// A case fails the check beyond this many times its aim.
const TOLERANCE: f64 = 2.0;

/// What a case aims at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    /// Our median divided by theirs.
    Ratio(f64),
    /// At most so much, in the unit given.
    Most(f64, &'static str),
}

/// All that was measured.
pub(super) struct Report {
    address: String,
    /// Milliseconds that starting each program costs: ours, theirs.
    starts: (Samples, Samples),
    rows: Vec<Row>,
}

struct Row {
    name: String,
    aim: Aim,
    measured: Measured,
}

impl Report {
    pub(super) fn new(address: String, starts: (Samples, Samples)) -> Self {
        Self { address, starts, rows: Vec::new() }
    }

    pub(super) fn heading(&self) -> String {
        format!(
            "start of a process   treenail {:.1} ms, buildctl {:.1} ms (left out of `net`)\n\n\
             {:<40} {:>8} {:>8} {:>8}   {:>8} {:>8} {:>8}  {:>6} {:>6} {:>9}\n\
             {:<40} {:>8} {:>8} {:>8}   {:>8} {:>8} {:>8}\n",
            self.starts.0.median(),
            self.starts.1.median(),
            "",
            "treenail",
            "",
            "",
            "buildctl",
            "",
            "",
            "ratio",
            "net",
            "aim",
            "",
            "min",
            "median",
            "max",
            "min",
            "median",
            "max",
        )
    }

    /// Takes a row and gives its lines.
    pub(super) fn add(&mut self, name: &str, aim: Aim, measured: Measured) -> String {
        let row = Row { name: name.to_owned(), aim, measured };
        let mut text = self.line(&row);
        for note in &row.measured.notes {
            let _ = writeln!(text, "    {note}");
        }
        self.rows.push(row);
        text
    }

    fn line(&self, row: &Row) -> String {
        let three = |samples: &Samples| {
            format!("{:>8.1} {:>8.1} {:>8.1}", samples.min(), samples.median(), samples.max())
        };
        let theirs = row.measured.theirs.as_ref().map_or_else(String::new, three);
        let two = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let aim = match row.aim {
            Aim::Ratio(aim) => format!("{aim:.2}"),
            Aim::Most(aim, unit) => format!("{aim} {unit}"),
        };
        format!(
            "{:<40} {}   {theirs:<26}  {:>6} {:>6} {aim:>9}  {}\n",
            row.name,
            three(&row.measured.ours),
            two(row.ratio()),
            two(row.net(&self.starts)),
            row.verdict(),
        )
    }

    /// The names of cases that fail a check.
    pub(super) fn beyond(&self) -> Vec<&str> {
        self.rows.iter().filter(|row| row.excess() > TOLERANCE).map(|row| row.name.as_str()).collect()
    }

    /// Everything, samples included.
    pub(super) fn json(&self) -> Value {
        let samples = |samples: &Samples| {
            json!({
                "min": samples.min(), "median": samples.median(), "max": samples.max(), "samples": samples.values(),
            })
        };
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let (kind, aim, unit) = match row.aim {
                    Aim::Ratio(aim) => ("ratio", aim, "ms"),
                    Aim::Most(aim, unit) => ("most", aim, unit),
                };
                json!({
                    "name": row.name,
                    "unit": unit,
                    "treenail": samples(&row.measured.ours),
                    "buildctl": row.measured.theirs.as_ref().map(samples),
                    "ratio": row.ratio(),
                    "net_ratio": row.net(&self.starts),
                    "aim": { "kind": kind, "value": aim },
                    "excess": row.excess(),
                    "verdict": row.verdict(),
                    "notes": row.measured.notes,
                })
            })
            .collect();
        json!({
            "daemon": self.address,
            "process_start_ms": { "treenail": samples(&self.starts.0), "buildctl": samples(&self.starts.1) },
            "cases": rows,
        })
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        Some(self.measured.ours.median() / self.measured.theirs.as_ref()?.median())
    }

    /// The ratio without what starting the programs costs; only where that leaves something to divide by.
    fn net(&self, starts: &(Samples, Samples)) -> Option<f64> {
        let ours = self.measured.ours.median() - starts.0.median();
        let theirs = self.measured.theirs.as_ref()?.median() - starts.1.median();
        (theirs > 1.0).then(|| ours / theirs)
    }

    /// How many times the aim was needed.
    fn excess(&self) -> f64 {
        match self.aim {
            // Without their number there is no ratio, and no aim to be held to.
            Aim::Ratio(aim) => self.ratio().unwrap_or_default() / aim,
            Aim::Most(aim, _) => self.measured.ours.median() / aim,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.excess() {
            excess if excess > TOLERANCE => "BEYOND TWICE",
            excess if excess > 1.0 => "over",
            _ => "ok",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report::new("unix:///x".into(), (Samples::one(2.0), Samples::one(6.0)))
    }

    fn pair(ours: f64, theirs: f64) -> Measured {
        Measured { ours: Samples::one(ours), theirs: Some(Samples::one(theirs)), notes: Vec::new() }
    }

    #[test]
    fn aims_are_judged() {
        let mut report = report();
        for (name, aim, measured, verdict) in [
            ("a", Aim::Ratio(1.0), pair(10.0, 10.0), "  ok\n"),
            ("b", Aim::Ratio(1.0), pair(15.0, 10.0), "  over\n"),
            ("c", Aim::Ratio(1.0), pair(30.0, 10.0), "  BEYOND TWICE\n"),
            ("d", Aim::Most(20.0, "MB"), Measured::alone(Samples::one(10.0)), "  ok\n"),
            ("e", Aim::Most(20.0, "MB"), Measured::alone(Samples::one(41.0)), "  BEYOND TWICE\n"),
        ] {
            let line = report.add(name, aim, measured);
            assert!(line.ends_with(verdict), "{line}");
        }
        assert_eq!(report.beyond(), ["c", "e"]);
    }

    #[test]
    fn the_net_ratio_leaves_the_start_of_processes_out() {
        let mut report = report();
        report.add("x", Aim::Ratio(1.0), pair(12.0, 26.0).with_note("why"));
        report.add("no time left", Aim::Ratio(1.0), pair(12.0, 6.0));
        let json = report.json();
        assert_eq!(json["cases"][0]["net_ratio"], json!(0.5));
        assert_eq!(json["cases"][0]["notes"], json!(["why"]));
        assert_eq!(json["cases"][1]["net_ratio"], Value::Null);
    }
}
