//! Decides whether what was found under the key may answer as it is, and what of it.

use forebay_config::Policy;
use http::HeaderMap;

use super::answer::{self, Answer, Facts};
use super::encode::{self, Form};
use super::fail::{Trouble, may_stand_in};
use super::forward::personal;
use super::request::Ask;
use super::rest::Turn;
use super::reuse::{self, Reuse};
use super::strategy::network_first;
use crate::event::Fwd;
use crate::field::coding::Coding;
use crate::stored::{Body, Coded, Stored};
use crate::time::Timestamp;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What the request asks of the cache.
    pub ask: &'a Ask,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// The rules of its route.
    pub rules: &'a Policy,
}

/// What a client gets of a stored response.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Its fields, in the form that this client gets.
    pub fields: HeaderMap,
    /// Its body in that form.
    pub body: Body,
    /// What of it.
    pub answer: Answer,
    /// The coding that the client would have got, had it been made.
    pub missing: Option<Coding>,
}

/// What a stored response is good for.
#[derive(Clone, Debug)]
pub enum Use {
    /// It may answer, with this.
    Answer(Reuse, Serving),
    /// It may not as it is, because of this.
    Forward(Fwd),
}

/// Says what `stored` is good for, which was selected for what is `wanted`. Where the route asks
/// the origin first, `turn` says whether this request does; it is asked only if that decides.
#[must_use]
pub fn judge(
    stored: &Stored,
    wanted: &Wanted<'_>,
    turn: Option<impl FnOnce() -> Turn>,
    now: Timestamp,
) -> Use {
    let (freshness, directives) = (&stored.head.freshness, &wanted.ask.directives);
    let reuse = match turn {
        Some(turn) if !directives.only_if_cached => {
            network_first(freshness, directives, turn(), now)
        }
        Some(_) | None => reuse::decide(freshness, directives, now),
    };
    let selecting = stored.head.selecting.names();
    match reuse {
        Reuse::Validate(why) => return Use::Forward(why),
        // It is revalidated in nobody's name, and would come back as another variant.
        Reuse::WhileRevalidate
            if personal(&wanted.rules.key).any(|name| selecting.contains(&name)) =>
        {
            return Use::Forward(Fwd::Stale);
        }
        Reuse::Fresh | Reuse::Tolerated | Reuse::WhileRevalidate | Reuse::Resting => {}
    }
    let serving = serve(stored, wanted);
    if serving.answer == Answer::Missing {
        return Use::Forward(Fwd::Partial);
    }
    Use::Answer(reuse, serving)
}

/// Whether `stored` answers what is `wanted` in place of an origin that was asked and met with
/// `trouble`.
#[must_use]
pub fn stands_in(stored: &Stored, wanted: &Wanted<'_>, trouble: Trouble, now: Timestamp) -> bool {
    may_stand_in(&stored.head.freshness, &wanted.ask.directives, trouble, now)
        && serve(stored, wanted).answer != Answer::Missing
}

/// What a client gets of `stored` for what is `wanted`.
#[must_use]
pub fn serve(stored: &Stored, wanted: &Wanted<'_>) -> Serving {
    let kept = stored.head.fields.to_map();
    let length = stored.body.length();
    let form = encode::form(wanted.ask, &stored.head, &kept, Some(length), wanted.rules);
    let Form::Coded(coding) = form else { return as_it_is(stored, form, kept, wanted) };
    match stored.body.coded(coding) {
        Some(Coded::Kept(bytes)) => {
            let (fields, body) = (form.fields(kept), Body::new(vec![bytes.clone()]));
            let answer = choose(stored, &fields, &body, wanted);
            Serving { fields, body, answer, missing: None }
        }
        Some(Coded::NotSmaller) => as_it_is(stored, Form::Plain, kept, wanted),
        None => {
            // That a client has it in this coding can be told without a body.
            let fields = form.fields(kept.clone());
            let has_it = choose(stored, &fields, &stored.body, wanted) == Answer::NotModified;
            let form = if has_it { form } else { Form::Plain };
            Serving { missing: Some(coding), ..as_it_is(stored, form, kept, wanted) }
        }
    }
}

/// What a client gets of the body of `stored` itself, under the fields of `form`.
fn as_it_is(stored: &Stored, form: Form, kept: HeaderMap, wanted: &Wanted<'_>) -> Serving {
    let (fields, body) = (form.fields(kept), stored.body.clone());
    let answer = choose(stored, &fields, &body, wanted);
    Serving { fields, body, answer, missing: None }
}

/// What of `stored`, with these fields and this body, answers what is `wanted`.
fn choose(stored: &Stored, fields: &HeaderMap, body: &Body, wanted: &Wanted<'_>) -> Answer {
    let facts = Facts {
        status: stored.head.status,
        fields,
        length: Some(body.length()),
        part: stored.head.part.as_ref(),
    };
    answer::choose(&wanted.ask.method, wanted.fields, &facts)
}
