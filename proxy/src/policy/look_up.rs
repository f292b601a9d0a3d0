//! Decides whether what was found under the key may answer as it is, and what of it.

use forebay_config::Policy;
use http::HeaderMap;

use super::answer::{self, Answer, Facts};
use super::difference::{Version, Work};
use super::encode::{self, Form};
use super::fail::{Trouble, may_stand_in};
use super::forward::personal;
use super::request::Ask;
use super::rest::Turn;
use super::reuse::{self, Reuse};
use super::strategy::network_first;
use crate::event::Fwd;
use crate::field::coding::Coding;
use crate::field::dictionary::DictionaryCoding;
use crate::stored::{Body, Coded, Maker, Stored, StoredHead};
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
    /// The form that the client would have got, had it been made.
    pub missing: Option<Box<Missing>>,
    /// The coding that the body was put into, and by whom; nothing if it is as the origin sent it.
    pub made: Option<(Option<Coding>, Maker)>,
    /// The coding that the body is in where it is what differs from a dictionary.
    pub difference: Option<DictionaryCoding>,
    /// What is to be done so that a later client can get it as that.
    pub work: Option<Box<Work>>,
}

impl Serving {
    /// The name of the coding that the body was put into; nothing if it is in none of the edge's
    /// making.
    #[must_use]
    pub fn coding(&self) -> Option<&'static str> {
        let made = self.made.and_then(|(coding, _)| coding).map(Coding::token);
        self.difference.map(DictionaryCoding::token).or(made)
    }
}

/// A form of a stored response that is not made yet.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Its coding; nothing if it is plain.
    pub coding: Option<Coding>,
    /// Its fields, while it is being made.
    pub fields: HeaderMap,
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
    let version = Version::of(wanted.ask, &stored.head, &kept, form, Some(length));
    let alone = |kept| match form {
        Form::AsIs(_) | Form::AsSent => as_sent(stored, form, kept, wanted),
        Form::Made(coding) => made(stored, coding, kept, wanted),
    };
    match version {
        Some(version) => version.serve(stored, &kept, alone(kept.clone()), wanted),
        None => alone(kept),
    }
}

/// What a client gets of `stored` that likes it best in `coding`.
fn made(stored: &Stored, coding: Option<Coding>, kept: HeaderMap, wanted: &Wanted<'_>) -> Serving {
    let takes_as_sent = encode::takes_as_sent(wanted.ask, &stored.head);
    let form = Form::Made(coding);
    match stored.body.coded(coding) {
        Some(Coded::Kept(made)) => {
            let fields = form.fields(kept.clone(), made.by);
            let mut answer = choose(stored, form, &fields, &made.body, wanted);
            let is_weak = coding.is_some() && made.by != Maker::Best;
            // Parts of what may be other bytes the next time could not be put together: they are
            // cut from the other, if the client can read that.
            if is_weak && answer.is_of_parts() {
                if takes_as_sent {
                    return as_sent(stored, Form::AsSent, kept, wanted);
                }
                answer = Answer::Whole;
            }
            let (body, made) = (made.body.clone(), Some((coding, made.by)));
            Serving { fields, body, answer, missing: None, made, difference: None, work: None }
        }
        Some(Coded::NotSmaller) if !takes_as_sent && coding.is_some() => {
            made(stored, None, kept, wanted)
        }
        Some(Coded::NotSmaller | Coded::Unreadable) => as_sent(stored, Form::AsSent, kept, wanted),
        None => {
            let sent = facts(stored, form, &kept, &stored.body);
            let Opened { fields, answer, missing } = unmade(coding, takes_as_sent, &sent, wanted);
            let body = stored.body.clone();
            Serving { fields, body, answer, missing, made: None, difference: None, work: None }
        }
    }
}

/// What a client gets of an answer that is arriving.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its fields, as the origin sent it, or in the form of which the client has it already.
    pub fields: HeaderMap,
    /// What of it.
    pub answer: Answer,
    /// The form that the client likes best and that is yet to be made of it.
    pub missing: Option<Box<Missing>>,
}

/// What a client gets of an answer with `head` that is arriving, and whose body will have `length`
/// if that is known. `is_shared` if it is being stored; if not, it is for this client alone.
#[must_use]
pub fn open(
    head: &StoredHead,
    length: Option<u64>,
    is_shared: bool,
    wanted: &Wanted<'_>,
) -> Opened {
    let kept = head.fields.to_map();
    // A part came because this very part was asked for.
    if head.part.is_some() {
        return Opened { fields: kept, answer: Answer::Whole, missing: None };
    }
    let Wanted { ask, fields: asked, rules } = wanted;
    let form = if is_shared {
        encode::form(ask, head, &kept, length, rules)
    } else {
        encode::form_for_one(ask, asked, head, &kept, length, rules)
    };
    let has_forms = !matches!(form, Form::AsIs(_));
    let sent = Facts { status: head.status, fields: &kept, length, part: None, has_forms };
    let version = Version::of(ask, head, &kept, form, length).filter(|_| is_shared);
    let mut opened = match form {
        Form::AsIs(_) | Form::AsSent => {
            let answer = answer::choose(&ask.method, asked, &sent);
            Opened { fields: form.fields(kept, Maker::Origin), answer, missing: None }
        }
        Form::Made(coding) => unmade(coding, encode::takes_as_sent(ask, head), &sent, wanted),
    };
    if let Some(version) = version {
        let missing = opened.missing.iter_mut().map(|missing| &mut missing.fields);
        missing.chain([&mut opened.fields]).for_each(|fields| version.tell(fields, None));
    }
    opened
}

/// What a client gets of what was `sent`, which likes it best in a form that is not made yet, and
/// may take it as it is.
fn unmade(
    coding: Option<Coding>,
    takes_as_sent: bool,
    sent: &Facts<'_>,
    wanted: &Wanted<'_>,
) -> Opened {
    let choose = |facts: &Facts<'_>| answer::choose(&wanted.ask.method, wanted.fields, facts);
    let fields = Form::Made(coding).fields(sent.fields.clone(), Maker::Quick);
    // That a client has it in this form can be told without a body.
    if choose(&Facts { fields: &fields, ..*sent }) == Answer::NotModified {
        return Opened { fields, answer: Answer::NotModified, missing: None };
    }
    // A part of the other is right as well, or that the client has it, if the client can read it.
    let answer = if takes_as_sent { choose(sent) } else { Answer::Whole };
    let wants_whole = answer == Answer::Whole;
    Opened {
        fields: Form::AsSent.fields(sent.fields.clone(), Maker::Origin),
        answer,
        missing: wants_whole.then(|| Box::new(Missing { coding, fields })),
    }
}

/// What a client gets of the body of `stored` itself, under the fields of `form`.
fn as_sent(stored: &Stored, form: Form, kept: HeaderMap, wanted: &Wanted<'_>) -> Serving {
    let (fields, body) = (form.fields(kept, Maker::Origin), stored.body.clone());
    let answer = choose(stored, form, &fields, &body, wanted);
    Serving { fields, body, answer, missing: None, made: None, difference: None, work: None }
}

/// What of `stored`, in this form with these fields and this body, answers what is `wanted`.
fn choose(
    stored: &Stored,
    form: Form,
    fields: &HeaderMap,
    body: &Body,
    wanted: &Wanted<'_>,
) -> Answer {
    answer::choose(&wanted.ask.method, wanted.fields, &facts(stored, form, fields, body))
}

/// `stored` in this form, as far as it decides the answer, with these fields and this body.
fn facts<'a>(stored: &'a Stored, form: Form, fields: &'a HeaderMap, body: &Body) -> Facts<'a> {
    Facts {
        status: stored.head.status,
        fields,
        length: Some(body.length()),
        part: stored.head.part.as_ref(),
        has_forms: !matches!(form, Form::AsIs(_)),
    }
}
