//! Explains how a request begins: what it is looked up under, and what is stored for it.

use std::sync::Arc;

use forebay_config::{KeyRules, Settings, Strategy};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::answer::Forwarded;
use super::print::written;
use super::reason::Subject;
use super::{Explanation, OfKey, Question, Variant};
use crate::edge::Known;
use crate::event::{Detail, Fwd, Trail};
use crate::key::{Target, query};
use crate::policy::decide::Decision;
use crate::policy::identity;
use crate::policy::look_up::{self, Serving, Use, Wanted};
use crate::policy::request::Plan;
use crate::policy::rest::Turn;
use crate::policy::reuse::Reuse;
use crate::policy::status::cache_status;
use crate::store::shelf::Shelf;
use crate::stored::Stored;
use crate::time::Timestamp;

/// The fields in which the edge tells every origin who asks.
const OF_THE_EDGE: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// A request that a route takes.
pub(super) struct Explainer<'a> {
    pub(super) settings: &'a Settings,
    pub(super) question: &'a Question,
    /// What is asked for.
    pub(super) target: &'a Target,
    pub(super) decision: &'a Decision,
    pub(super) known: Option<&'a Known>,
    pub(super) now: Timestamp,
}

/// How a request begins.
enum Start {
    /// With what is stored.
    Hit(Trail, StatusCode),
    /// At the origin.
    Forward(Trail, Option<Stored>),
    /// Nowhere: it must not go forward.
    Refused(Trail),
}

/// What is found.
pub(super) enum Found<'a> {
    /// Something that answers, so and with that status.
    Usable(Trail, StatusCode),
    /// Nothing that may answer as it is, because of this, though this is stored.
    Forward(Fwd, Option<&'a Stored>),
}

impl Explainer<'_> {
    /// Says in `out` what becomes of the request, and of the answer to it.
    pub(super) fn fill(&self, out: &mut Explanation) {
        let fields = self.fields();
        if self.decision.plan == Plan::LookUp {
            out.key = Some(self.of_key(&fields));
            out.stored = self.known.map(|known| self.variants(known, &fields));
        }
        let subject = self.subject(None);
        match self.start(&fields) {
            Start::Hit(trail, status) => {
                out.status = Some(status.as_u16());
                out.cache_status = cache_status(&trail);
                let left = written(trail.ttl.unwrap_or(0).unsigned_abs());
                out.because = match trail.detail {
                    Some(detail) => subject.reason(detail),
                    None => format!("what is stored is fresh for {left} more"),
                };
            }
            Start::Refused(trail) => {
                out.status = Some(StatusCode::GATEWAY_TIMEOUT.as_u16());
                out.cache_status = cache_status(&trail);
                out.because = trail.detail.map_or_else(String::new, |it| subject.reason(it));
            }
            Start::Forward(trail, stored) => {
                Forwarded { explainer: self, fields: &fields, stored: stored.as_ref() }
                    .fill(out, trail);
            }
        }
    }

    /// The fields of the request as all that is decided later sees them.
    fn fields(&self) -> HeaderMap {
        let mut fields = self.question.fields.clone();
        identity::apply(&self.decision.edits, &mut fields);
        fields
    }

    /// What the sentences speak about, with what is `stored` in hand.
    pub(super) fn subject<'a>(&'a self, stored: Option<&'a Stored>) -> Subject<'a> {
        Subject {
            fields: &self.question.fields,
            ask: &self.decision.ask,
            rules: &self.decision.route.policy,
            response: self.question.response.as_ref(),
            stored,
            nobody_looked: self.known.is_none(),
        }
    }

    fn start(&self, fields: &HeaderMap) -> Start {
        let Decision { plan, ask, .. } = self.decision;
        if let Plan::Pass(fwd, detail) = *plan {
            return Start::Forward(Trail { fwd: Some(fwd), detail, ..Trail::default() }, None);
        }
        let shelf = self.known.and_then(|known| known.shelf.as_ref());
        let turn = self.known.and_then(|known| known.turn).unwrap_or(Turn::Ask);
        let (why, stored) = match self.found(shelf, fields, turn) {
            Found::Usable(trail, status) => return Start::Hit(trail, status),
            Found::Forward(why, stored) => (why, stored.cloned()),
        };
        if ask.directives.only_if_cached {
            let detail = Some(Detail::OnlyIfCached);
            return Start::Refused(Trail { detail, ..Trail::default() });
        }
        let is_alone = !ask.goes_alone() && self.known.is_some_and(|known| known.is_alone);
        let alone = is_alone.then_some(Detail::HitForMiss);
        let detail = alone.or(Reuse::Validate(why).detail());
        Start::Forward(Trail { fwd: Some(why), detail, ..Trail::default() }, stored)
    }

    /// The variant that a request with `fields` selects.
    fn select<'a>(&self, shelf: &'a Shelf, fields: &HeaderMap) -> Option<&'a Stored> {
        let names: Vec<_> = identity::selecting(&self.decision.route.policy.key).collect();
        shelf.select(fields, &names)
    }

    /// What a request with `fields` wants.
    pub(super) fn wanted<'a>(&'a self, fields: &'a HeaderMap) -> Wanted<'a> {
        let Decision { ask, route, .. } = self.decision;
        Wanted { ask, fields, rules: &route.policy }
    }

    /// How a request with `fields` is answered from `shelf`, or why it goes forward; `turn` says
    /// whether it does where the route asks the origin first.
    pub(super) fn found<'a>(
        &self,
        shelf: Option<&'a Shelf>,
        fields: &HeaderMap,
        turn: Turn,
    ) -> Found<'a> {
        let Some(shelf) = shelf else { return Found::Forward(Fwd::UriMiss, None) };
        let Some(stored) = self.select(shelf, fields) else {
            return Found::Forward(Fwd::VaryMiss, None);
        };
        let first = self.decision.route.policy.strategy == Strategy::NetworkFirst;
        let turn = first.then_some(|| turn);
        match look_up::judge(stored, &self.wanted(fields), turn, self.now) {
            Use::Answer(reuse, Serving { answer, .. }) => {
                let ttl = Some(stored.head.freshness.ttl(self.now));
                let trail = Trail { hit: true, detail: reuse.detail(), ttl, ..Trail::default() };
                Found::Usable(trail, answer.status(stored.head.status))
            }
            Use::Forward(why) => Found::Forward(why, Some(stored)),
        }
    }

    fn of_key(&self, fields: &HeaderMap) -> OfKey {
        let Decision { key, target, route, edits, .. } = self.decision;
        let target = target.as_ref().unwrap_or(self.target);
        let rules = &route.policy.key;
        let newest = self.known.and_then(|known| known.shelf.as_ref()?.newest().cloned());
        let names = newest.map_or_else(Vec::new, |newest| newest.head.selecting.names().to_vec());
        let said = |value: &HeaderValue| value.as_bytes().escape_ascii().to_string();
        let selected = identity::vary(names, rules).into_iter().map(|name| {
            let value = fields.get(&name).map(said);
            (name.to_string(), value)
        });
        OfKey {
            text: key.to_string(),
            left_out: left_out(self.target, rules),
            origin_is_asked: target.path_and_query().to_owned(),
            selected_by: selected.collect(),
            rewritten: edits
                .iter()
                // In these the edge speaks, whatever the client said.
                .filter(|(name, _)| !OF_THE_EDGE.contains(&name.as_str()))
                .map(|(name, value)| (name.to_string(), value.as_ref().map(said)))
                .collect(),
        }
    }

    fn variants(&self, known: &Known, fields: &HeaderMap) -> Vec<Variant> {
        let Some(shelf) = &known.shelf else { return Vec::new() };
        let selected = self.select(shelf, fields).map(|stored| &stored.head);
        let variant = |stored: &Stored| Variant {
            status: stored.head.status.as_u16(),
            length: stored.body.length(),
            age: stored.head.freshness.age(self.now).0,
            ttl: stored.head.freshness.ttl(self.now),
            selected_by: stored.head.selecting.names().iter().map(ToString::to_string).collect(),
            is_selected: selected.is_some_and(|head| Arc::ptr_eq(head, &stored.head)),
        };
        shelf.iter().map(variant).collect()
    }
}

/// The parameters of `target` that do not count, as the client wrote them.
fn left_out(target: &Target, rules: &KeyRules) -> Vec<String> {
    let parameters = query::parameters(target.query().unwrap_or_default());
    let out = parameters.filter(|parameter| !rules.query.keeps(&parameter.name));
    out.map(|parameter| parameter.written.to_owned()).collect()
}
