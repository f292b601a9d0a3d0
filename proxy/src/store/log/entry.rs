//! The entries of the stream that a fleet of edges shares: the commands that write and read them,
//! and what the replies say.

use std::time::Duration;

use redis::{Cmd, Value, cmd};

use super::file::Event;
use super::wish::{Mode, What, Wish};
use crate::store::position::Position;
use crate::time::Timestamp;

/// An entry: where it is, and what happened.
pub(super) type Entry = (Position, Event);

/// The field that says which edge has written an entry.
const EDGE: &str = "edge";
/// The field that says what becomes of what is purged.
const MODE: &str = "mode";
/// The field of an entry with which a log begins.
const BEGIN: &str = "begin";

/// Adds a purge, and lets the oldest entries go past `most` of them.
pub(super) fn append(stream: &str, edge: &str, wish: &Wish, most: usize) -> Cmd {
    let mode = match wish.mode {
        Mode::Soft => "soft",
        Mode::Hard => "hard",
    };
    let mut command = cmd("XADD");
    command.arg(stream).arg("MAXLEN").arg("~").arg(most).arg("*");
    command.arg(EDGE).arg(edge).arg(MODE).arg(mode);
    for (name, text) in wish.what.iter().map(What::parts) {
        command.arg(name).arg(text);
    }
    command
}

/// Adds the entry with which a log begins, at the position `at`.
pub(super) fn begin(stream: &str, edge: &str, at: Position) -> Cmd {
    let mut command = cmd("XADD");
    command.arg(stream).arg(at.to_string()).arg(EDGE).arg(edge).arg(BEGIN).arg("");
    command
}

/// Reads the first entry from `from` up to `to`, if there is one.
pub(super) fn first(stream: &str, from: &str, to: &str) -> Cmd {
    let mut command = cmd("XRANGE");
    command.arg(stream).arg(from).arg(to).arg("COUNT").arg(1);
    command
}

/// Reads the last entry.
pub(super) fn last(stream: &str) -> Cmd {
    let mut command = cmd("XREVRANGE");
    command.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    command
}

/// Reads up to `most` entries after `after`, and waits for one if there is none.
pub(super) fn read(stream: &str, after: Position, most: usize, wait: Duration) -> Cmd {
    let mut command = cmd("XREAD");
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    command.arg("COUNT").arg(most).arg("BLOCK").arg(wait);
    command.arg("STREAMS").arg(stream).arg(after.to_string());
    command
}

/// A reply is not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strange;

/// The entries in the reply to [`read`].
pub(super) fn read_entries(reply: Value) -> Result<Vec<Entry>, Strange> {
    if let Value::Nil = reply {
        return Ok(Vec::new());
    }
    if let Value::Map(mut streams) = reply {
        return entries(streams.pop().ok_or(Strange)?.1);
    }
    let stream = array(reply)?.pop().ok_or(Strange)?;
    entries(array(stream)?.pop().ok_or(Strange)?)
}

/// The entries in the reply to [`first`] and [`last`].
pub(super) fn entries(reply: Value) -> Result<Vec<Entry>, Strange> {
    let entry = |entry| {
        let [id, fields] = <[Value; 2]>::try_from(array(entry)?).map_err(|_parts| Strange)?;
        Ok((position(&id)?, event(fields)))
    };
    array(reply)?.into_iter().map(entry).collect()
}

/// The position that an id says.
pub(super) fn position(id: &Value) -> Result<Position, Strange> {
    text(id)?.parse().map_err(|_no_position| Strange)
}

/// What the fields of an entry say. What nobody here understands may be any purge.
fn event(fields: Value) -> Event {
    let Ok(fields) = pairs(fields) else { return Event::Purge(Wish::all(Mode::Hard)) };
    let value = |name: &str| fields.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    if value(BEGIN).is_some() {
        return Event::Floor;
    }
    let mode = match value(MODE).map(String::as_str) {
        Some("soft") => Some(Mode::Soft),
        Some("hard") => Some(Mode::Hard),
        Some(_) | None => None,
    };
    let what = |(name, text): &(String, String)| What::of_parts(name, text);
    let is_known = |(name, _): &&(String, String)| [EDGE, MODE].contains(&name.as_str());
    let what: Option<Vec<What>> =
        fields.iter().filter(|field| !is_known(field)).map(what).collect();
    let wish = mode.zip(what).map(|(mode, what)| Wish { what, mode });
    let wish = wish.filter(|wish| wish.meanings().is_ok());
    Event::Purge(wish.unwrap_or_else(|| Wish::all(Mode::Hard)))
}

/// The pairs of text in a hash, or in the fields of an entry.
pub(super) fn pairs(reply: Value) -> Result<Vec<(String, String)>, Strange> {
    let pair = |name: &Value, value: &Value| Ok((text(name)?, text(value)?));
    if let Value::Map(pairs) = reply {
        return pairs.iter().map(|(name, value)| pair(name, value)).collect();
    }
    let parts = array(reply)?;
    let (pairs, []) = parts.as_chunks::<2>() else { return Err(Strange) };
    pairs.iter().map(|[name, value]| pair(name, value)).collect()
}

/// The time in the reply to `TIME`.
pub(super) fn time(reply: Value) -> Result<Timestamp, Strange> {
    let [seconds, micros] = <[Value; 2]>::try_from(array(reply)?).map_err(|_parts| Strange)?;
    let number = |value| text(value)?.parse::<i64>().map_err(|_no_number| Strange);
    let millis = number(&seconds)?.saturating_mul(1000).saturating_add(number(&micros)? / 1000);
    Ok(Timestamp::from_millis(millis))
}

fn array(value: Value) -> Result<Vec<Value>, Strange> {
    if let Value::Array(parts) = value { Ok(parts) } else { Err(Strange) }
}

fn text(value: &Value) -> Result<String, Strange> {
    if let Value::SimpleString(text) = value {
        return Ok(text.clone());
    }
    let Value::BulkString(bytes) = value else { return Err(Strange) };
    String::from_utf8(bytes.clone()).map_err(|_no_text| Strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    /// An entry at the position 7-1 with these fields.
    fn entry(fields: &[&str]) -> Value {
        let fields = fields.iter().map(|field| bulk(field)).collect();
        Value::Array(vec![bulk("7-1"), Value::Array(fields)])
    }

    #[track_caller]
    fn check(fields: &[&str], expected: &Event) {
        let read = entries(Value::Array(vec![entry(fields)])).unwrap();
        assert_eq!(read, [("7-1".parse().unwrap(), expected.clone())], "{fields:?}");
    }

    fn purge(what: &[What], mode: Mode) -> Event {
        Event::Purge(Wish { what: what.to_vec(), mode })
    }

    #[test]
    fn reads_what_an_edge_has_written() {
        check(&["edge", "a", "begin", ""], &Event::Floor);
        let tag = purge(&[What::Tag("shoes".to_owned())], Mode::Soft);
        check(&["edge", "a", "mode", "soft", "tag", "shoes"], &tag);
        let tags = [What::Tag("shoes".to_owned()), What::Tag("boots".to_owned())];
        let tags = purge(&tags, Mode::Soft);
        check(&["edge", "a", "mode", "soft", "tag", "shoes", "tag", "boots"], &tags);
        let url = purge(&[What::Url("http://a.example/".to_owned())], Mode::Hard);
        check(&["edge", "a", "mode", "hard", "url", "http://a.example/"], &url);
        check(&["edge", "a", "mode", "hard", "all", ""], &purge(&[What::All], Mode::Hard));
    }

    #[test]
    fn takes_what_it_does_not_understand_for_a_purge_of_everything() {
        let all = purge(&[What::All], Mode::Hard);
        for fields in [
            &[][..],
            &["edge", "a"],
            &["mode", "soft"],
            &["mode", "soft", "colour", "red"],
            &["mode", "gentle", "tag", "shoes"],
            &["tag", "shoes"],
            &["mode", "soft", "tag", "shoes", "colour", "red"],
            &["mode", "soft", "url", "shoes"],
            &["mode"],
        ] {
            check(fields, &all);
        }
        let bytes = Value::BulkString(vec![0xff]);
        let fields = Value::Array(vec![bulk("mode"), bulk("soft"), bulk("tag"), bytes]);
        assert_eq!(event(fields), all);
    }

    #[test]
    fn reads_replies_of_both_protocols() {
        let of = || Value::Array(vec![entry(&["begin", ""])]);
        let expected = Ok(vec![("7-1".parse().unwrap(), Event::Floor)]);
        let old = Value::Array(vec![Value::Array(vec![bulk("forebay:purges"), of()])]);
        assert_eq!(read_entries(old), expected);
        assert_eq!(read_entries(Value::Map(vec![(bulk("forebay:purges"), of())])), expected);
        assert_eq!(read_entries(Value::Nil), Ok(Vec::new()));
    }

    #[test]
    fn takes_nothing_else_for_a_reply() {
        for strange in [
            Value::Int(1),
            Value::Okay,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Array(vec![bulk("7-1")])]),
        ] {
            assert_eq!(entries(strange.clone()), Err(Strange), "{strange:?}");
            assert_eq!(read_entries(strange.clone()), Err(Strange), "{strange:?}");
            assert_eq!(time(strange.clone()), Err(Strange), "{strange:?}");
        }
        let nameless = Value::Array(vec![bulk("7"), Value::Array(vec![])]);
        assert_eq!(entries(Value::Array(vec![nameless])), Err(Strange));
        let now = Value::Array(vec![bulk("12"), bulk("345678")]);
        assert_eq!(time(now), Ok(Timestamp::from_millis(12_345)));
    }
}
