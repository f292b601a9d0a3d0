//! Prints an explanation for a person to read.

use std::fmt;
use std::time::Duration;

use forebay_config::text;
use http::StatusCode;

use super::{Explanation, OfKey, OfResponse, PassedOver, Variant};

/// The width of the first column.
const MARGIN: usize = 11;
impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} {}\n", self.method, self.url)?;
        match &self.route {
            Some(route) => line(
                out,
                "route",
                &format!(
                    "{} ({}): policy {}, {}, origin {}",
                    route.name, route.at, route.policy, route.strategy, route.origin
                ),
            )?,
            None => line(out, "route", "none")?,
        }
        of_passed_over(out, self)?;
        if let Some(key) = &self.key {
            of_key(out, key)?;
        }
        if let Some(stored) = &self.stored {
            of_stored(out, stored)?;
        }
        if let Some(response) = &self.response {
            of_response(out, response)?;
        }
        if let Some(status) = self.status {
            line(out, "client", &format!("gets {status}{}", name_of(status)))?;
        }
        line(out, "this time", &format!("Cache-Status: {}", self.cache_status))?;
        if let Some(next) = &self.next {
            line(out, "next time", &format!("Cache-Status: {next}"))?;
        }
        writeln!(out)?;
        writeln!(out, "Because {}.", self.because)?;
        for note in &self.notes {
            writeln!(out, "Note: {note}.")?;
        }
        match &self.to_make_it_cacheable {
            Some(remedy) => writeln!(out, "To make it cacheable: {remedy}."),
            None => Ok(()),
        }
    }
}

/// A line with `head` in the first column.
fn line(out: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    writeln!(out, "{head:MARGIN$}{text}")
}

fn of_passed_over(out: &mut fmt::Formatter<'_>, explained: &Explanation) -> fmt::Result {
    for PassedOver { name, at, mismatch } in &explained.passed_over {
        line(out, "", &format!("not {name} ({at}), whose {mismatch} does not match"))?;
    }
    match explained.others_passed_over {
        0 => Ok(()),
        1 => line(out, "", "nor one other before it"),
        others => line(out, "", &format!("nor {others} others before it")),
    }
}

fn of_key(out: &mut fmt::Formatter<'_>, key: &OfKey) -> fmt::Result {
    line(out, "key", &key.text)?;
    if !key.left_out.is_empty() {
        line(out, "", &format!("left out: {}", key.left_out.join(", ")))?;
    }
    line(out, "origin", &format!("is asked for {}", key.origin_is_asked))?;
    for (name, value) in &key.rewritten {
        let text = match value {
            Some(value) => format!("is told {name}: {value}"),
            None => format!("is not told {name}"),
        };
        line(out, "", &text)?;
    }
    for (name, value) in &key.selected_by {
        let value = value.as_deref().unwrap_or("(not there)");
        line(out, "variant", &format!("{name}: {value}"))?;
    }
    Ok(())
}

fn of_stored(out: &mut fmt::Formatter<'_>, variants: &[Variant]) -> fmt::Result {
    if variants.is_empty() {
        return line(out, "stored", "nothing");
    }
    for (place, variant) in variants.iter().enumerate() {
        let Variant { status, length, age, ttl, .. } = variant;
        let left = match u64::try_from(*ttl) {
            Ok(left) if left > 0 => format!("fresh for {} more", written(left)),
            Ok(_) | Err(_) => format!("stale for {}", written(ttl.unsigned_abs())),
        };
        let by = match variant.selected_by.as_slice() {
            [] => String::new(),
            names => format!(", selected by {}", names.join(", ")),
        };
        let mark = if variant.is_selected { "" } else { " (another variant)" };
        let text = format!("{status}, {length} bytes, {} old, {left}{by}{mark}", written(*age));
        line(out, if place == 0 { "stored" } else { "" }, &text)?;
    }
    Ok(())
}

fn of_response(out: &mut fmt::Formatter<'_>, response: &OfResponse) -> fmt::Result {
    let fate = if response.stored { "stored" } else { "not stored" };
    line(out, "response", &format!("{}, {fate}", response.status))?;
    if let (Some(lifetime), Some(by)) = (response.lifetime, &response.by) {
        line(out, "", &format!("fresh for {} by {by}", written(lifetime)))?;
    }
    if response.always_validated {
        line(out, "", "validated before each use")?;
    }
    if response.stored && response.stale_while_revalidate > 0 {
        let limit = written(response.stale_while_revalidate);
        line(out, "", &format!("answers stale for {limit} more while it is revalidated"))?;
    }
    if let Some(limit) = response.stale_if_error.filter(|_| response.stored) {
        let limit = written(limit);
        line(out, "", &format!("answers stale for {limit} more if the origin fails"))?;
    }
    if !response.selected_by.is_empty() {
        line(out, "", &format!("selected by {}", response.selected_by.join(", ")))?;
    }
    if let Some(compressed) = &response.compressed {
        line(out, "", compressed)?;
    }
    match &response.clients_are_told {
        Some(told) => line(out, "", &format!("clients are told Cache-Control: {told}")),
        None => Ok(()),
    }
}

/// The name of a status behind a blank, if it has one.
fn name_of(status: u16) -> String {
    let name = StatusCode::from_u16(status).map_or(None, |status| status.canonical_reason());
    name.map_or_else(String::new, |name| format!(" {name}"))
}

/// A number of seconds as a settings file writes it.
pub(super) fn written(seconds: u64) -> String {
    text::write_duration(Duration::from_secs(seconds))
}
