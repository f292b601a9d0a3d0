//! The lines of the file in which an edge on its own logs its purges.
//!
//! Each is a checksum in 16 digits, a space, and what happened in JSON. A line without an end is one
//! that was being written when everything stopped: nobody was told that it was done.

use std::collections::HashSet;
use std::error::Error;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::wish::Wish;
use crate::store::position::Position;

/// What a line says happened, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// The position, as text.
    at: String,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    /// Purges before this are not known: all that was asked for before is gone.
    Floor,
    /// A purge.
    Purge(Wish),
    /// From here on the purges are in a log that other edges share.
    Shared,
}

/// Why a file is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// A line is not as it was written.
    #[error("line {0} is not as it was written")]
    Line(usize),
    /// A line stands before one that was written earlier.
    #[error("line {0} is out of order")]
    Order(usize),
}

impl Line {
    pub(super) fn new(at: Position, event: Event) -> Self {
        Self { at: at.to_string(), event }
    }

    /// The line as it is written, with its end.
    pub(super) fn printed(&self) -> Result<String, serde_json::Error> {
        let text = serde_json::to_string(self)?;
        Ok(format!("{:016x} {text}\n", xxh3_64(text.as_bytes())))
    }

    fn parse(line: &[u8]) -> Result<(Position, Event), Box<dyn Error>> {
        let (sum, text) = std::str::from_utf8(line)?.split_once(' ').ok_or("no checksum")?;
        if sum != format!("{:016x}", xxh3_64(text.as_bytes())) {
            return Err("another checksum".into());
        }
        let line: Self = serde_json::from_str(text)?;
        Ok((line.at.parse()?, line.event))
    }
}

/// Reads lines, each at a later position than the one before and than `after`, and says how many
/// bytes of `text` they are: what is left is a torn line.
pub(super) fn parse(
    text: &[u8],
    after: Position,
) -> Result<(Vec<(Position, Event)>, usize), Broken> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut last = after;
    let mut events = Vec::new();
    let lines = text.get(..whole).unwrap_or_default().split_inclusive(|byte| *byte == b'\n');
    for (number, line) in (1..).zip(lines) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (position, event) = Line::parse(line).map_err(|_cause| Broken::Line(number))?;
        if position <= last {
            return Err(Broken::Order(number));
        }
        last = position;
        events.push((position, event));
    }
    Ok((events, whole))
}

/// The same in fewer lines, `most` at most: of purges of the same, the last; and where that is not
/// enough, a floor for the oldest. Those of URLs are done, and need not be known again. The last line
/// stays, so that no later position is smaller.
pub(super) fn compacted(events: Vec<(Position, Event)>, most: usize) -> Vec<(Position, Event)> {
    let last = events.last().map(|(position, _)| *position);
    let mut seen = HashSet::new();
    let mut is_covered = false;
    let mut kept = Vec::new();
    for (position, event) in events.into_iter().rev() {
        let is_needed = match &event {
            Event::Floor => true,
            Event::Shared => false,
            Event::Purge(wish) => !wish.is_of_urls() && seen.insert(wish.clone()),
        };
        if is_covered || !(is_needed || last == Some(position)) {
            continue;
        }
        is_covered = event == Event::Floor;
        kept.push((position, event));
    }
    if kept.len() > most {
        let dropped = kept.split_off(most.saturating_sub(1));
        let newest = dropped.first().map(|(position, _)| (*position, Event::Floor));
        kept.extend(newest);
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wish::{Mode, What};
    use super::*;

    fn wish(what: What) -> Event {
        Event::Purge(Wish { what: vec![what], mode: Mode::Hard })
    }

    fn event() -> impl Strategy<Value = Event> {
        let mode = prop_oneof![Just(Mode::Soft), Just(Mode::Hard)];
        let what = prop_oneof![
            ".{0,20}".prop_map(What::Url),
            "[a-c]".prop_map(What::Prefix),
            "[a-c]|.{0,20}".prop_map(What::Tag),
            Just(What::All),
        ];
        prop_oneof![
            8 => (prop::collection::vec(what, 1..3), mode).prop_map(|(what, mode)| Event::Purge(Wish { what, mode })),
            1 => Just(Event::Floor),
            1 => Just(Event::Shared),
        ]
    }

    fn events() -> impl Strategy<Value = Vec<(Position, Event)>> {
        prop::collection::vec(event(), 0..20)
            .prop_map(|events| (1..).map(Position::from_number).zip(events).collect())
    }

    fn printed(events: &[(Position, Event)]) -> String {
        events.iter().map(|(at, event)| Line::new(*at, event.clone()).printed().unwrap()).collect()
    }

    #[test]
    fn believes_no_line_that_is_not_as_it_was_written() {
        let one = (Position::from_number(1), wish(What::All));
        let two = (Position::from_number(2), wish(What::Tag("a".to_owned())));
        let text = printed(&[one.clone(), two.clone()]);
        assert_eq!(
            parse(text.replace("tag", "url").as_bytes(), Position::START),
            Err(Broken::Line(2))
        );
        assert_eq!(parse(format!("\n{text}").as_bytes(), Position::START), Err(Broken::Line(1)));
        let twice = printed(&[one.clone(), one.clone()]);
        assert_eq!(parse(twice.as_bytes(), Position::START), Err(Broken::Order(2)));
        assert_eq!(parse(printed(&[two, one]).as_bytes(), Position::START), Err(Broken::Order(2)));
    }

    #[test]
    fn lets_the_oldest_be_gone_where_there_are_too_many() {
        let at = |number: u64| (Position::from_number(number), wish(What::Tag(number.to_string())));
        let events: Vec<_> = (1..=10).map(at).collect();
        let floor = (Position::from_number(8), Event::Floor);
        assert_eq!(compacted(events, 3), [floor, at(9), at(10)]);
    }

    proptest! {
        #[test]
        fn reads_what_was_written(events in events()) {
            let text = printed(&events);
            let length = text.len();
            prop_assert_eq!(parse(text.as_bytes(), Position::START), Ok((events, length)));
        }

        #[test]
        fn cuts_a_torn_line_off(events in events(), torn in 1..100_usize) {
            let text = printed(&events);
            let cut = text.len().saturating_sub(torn);
            let (read, length) = parse(&text.as_bytes()[..cut], Position::START).unwrap();
            let whole = &text.as_bytes()[..length];
            prop_assert!(length <= cut && (whole.is_empty() || whole.ends_with(b"\n")));
            prop_assert_eq!(&events[..read.len()], read);
        }

        #[test]
        fn believes_no_byte_that_was_changed(events in events(), at: usize, flip in 1..=255_u8) {
            let mut text = printed(&events).into_bytes();
            prop_assume!(!text.is_empty());
            let at = at % text.len();
            text[at] ^= flip;
            // Only the end of the last line may be taken for a torn one.
            if let Ok((read, _)) = parse(&text, Position::START) {
                prop_assert_eq!(at, text.len() - 1);
                prop_assert_eq!(&events[..events.len() - 1], read);
            }
        }

        #[test]
        fn means_as_much_in_fewer_lines(events in events(), most in 1..20_usize) {
            let short = compacted(events.clone(), most);
            prop_assert!(short.len() <= most);
            prop_assert_eq!(events.last().map(|last| last.0), short.last().map(|last| last.0));
            let floor = short.iter().filter(|(_, event)| *event == Event::Floor);
            let floor = floor.map(|(at, _)| *at).max().unwrap_or_default();
            for (at, event) in &events {
                let is_still_said = short.iter().any(|(later, said)| later >= at && said == event);
                let is_url = matches!(event, Event::Purge(wish) if wish.is_of_urls());
                let is_done = is_url || *event == Event::Shared;
                prop_assert!(is_still_said || is_done || *at <= floor, "{event:?}");
            }
            prop_assert_eq!(parse(printed(&short).as_bytes(), Position::START).unwrap().0, short);
        }
    }
}
