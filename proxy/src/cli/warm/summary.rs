//! What came of the requests, as a table.

use std::collections::BTreeMap;
use std::fmt;

/// How many failures are told one by one.
const MOST_TOLD: usize = 20;

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was stored before.
    Hit,
    /// It is stored now.
    Stored,
    /// It is not, and why.
    NotStored(String),
    /// It could not be had, and why.
    Failed(String),
}

/// What came of all requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    hit: usize,
    stored: usize,
    /// By their reasons.
    not_stored: BTreeMap<String, usize>,
    failed: usize,
    /// The first that failed, with their reasons.
    failures: Vec<(String, String)>,
}

impl Summary {
    /// Adds what came of the request for `url`.
    pub(super) fn add(&mut self, url: &str, outcome: Outcome) {
        match outcome {
            Outcome::Hit => self.hit += 1,
            Outcome::Stored => self.stored += 1,
            Outcome::NotStored(reason) => *self.not_stored.entry(reason).or_default() += 1,
            Outcome::Failed(reason) => {
                self.failed += 1;
                if self.failures.len() < MOST_TOLD {
                    self.failures.push((url.to_owned(), reason));
                }
            }
        }
    }

    /// How many failed.
    pub(super) const fn failed(&self) -> usize {
        self.failed
    }

    /// How many there were.
    pub(super) fn asked(&self) -> usize {
        self.hit + self.stored + self.not_stored.values().sum::<usize>() + self.failed
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not_stored: usize = self.not_stored.values().sum();
        let mut reasons: Vec<_> = self.not_stored.iter().collect();
        reasons.sort_by(|one, other| other.1.cmp(one.1));
        let reasons: Vec<_> =
            reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        writeln!(out, "{:<12} {:>8}", "asked", self.asked())?;
        writeln!(out, "{:<12} {:>8}", "hit already", self.hit)?;
        writeln!(out, "{:<12} {:>8}", "stored", self.stored)?;
        let line = format!("{:<12} {not_stored:>8}  {}", "not stored", reasons.join(", "));
        writeln!(out, "{}", line.trim_end())?;
        writeln!(out, "{:<12} {:>8}", "failed", self.failed)?;
        for (url, reason) in &self.failures {
            writeln!(out, "  {url}  {reason}")?;
        }
        match self.failed - self.failures.len() {
            0 => Ok(()),
            more => writeln!(out, "  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_came_of_each() {
        let mut summary = Summary::default();
        summary.add("a", Outcome::Hit);
        summary.add("b", Outcome::Stored);
        for reason in ["private", "no-store", "no-store"] {
            summary.add("c", Outcome::NotStored(reason.to_owned()));
        }
        for number in 0..=MOST_TOLD {
            summary.add(&format!("u{number}"), Outcome::Failed("answered 502".to_owned()));
        }
        assert_eq!((summary.asked(), summary.failed()), (26, 21));
        let text = summary.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "asked              26",
                "hit already         1",
                "stored              1",
                "not stored          3  no-store 2, private 1",
                "failed             21",
                "  u0  answered 502",
            ]
        );
        assert_eq!(*lines.last().unwrap(), "  and 1 more");
        assert_eq!(lines.len(), 5 + MOST_TOLD + 1);
    }
}
