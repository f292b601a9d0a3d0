//! Explains what becomes of the answer to a request that goes forward.

use std::sync::Arc;

use forebay_config::{Route, Strategy, TtlMode};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;

use super::print::written;
use super::request::{Explainer, Found};
use super::{Explanation, Response};
use crate::event::{Detail, Failure, Fwd, Trail};
use crate::field::dictionary::Pattern;
use crate::field::number;
use crate::field::range::ContentRange;
use crate::key::Target;
use crate::policy::admit::{Admission, Arrival, admit};
use crate::policy::answer::{self, Answer, Facts, told};
use crate::policy::dictionary::Bundle;
use crate::policy::encode::{self, Form};
use crate::policy::fail::{Trouble, is_error};
use crate::policy::forward::{Purpose, purpose};
use crate::policy::lifetime::Word;
use crate::policy::request::{Ask, Plan};
use crate::policy::rest::Turn;
use crate::policy::reuse::Reuse;
use crate::policy::sanitised::Sanitised;
use crate::policy::status::cache_status;
use crate::policy::{freshen, group, invalidate, look_up, partial, passed_on, post};
use crate::store::shelf::Shelf;
use crate::stored::{Body, Stored, StoredHead};

/// What becomes of an answer.
#[derive(Clone, Debug, Serialize)]
pub struct OfResponse {
    /// Its status.
    pub status: u16,
    /// Whether it is stored.
    pub stored: bool,
    /// The fact that keeps it from being stored.
    pub detail: Option<&'static str>,
    /// How long it is fresh, in seconds; nothing if nobody says.
    pub lifetime: Option<u64>,
    /// By whose word.
    pub by: Option<String>,
    /// How long past its lifetime it may answer while it is revalidated, in seconds.
    pub stale_while_revalidate: u64,
    /// How long past its lifetime it may answer in place of an error, in seconds, if anybody says.
    pub stale_if_error: Option<u64>,
    /// Whether it must be validated before each use.
    pub always_validated: bool,
    /// The request fields that select it.
    pub selected_by: Vec<String>,
    /// The `Cache-Control` that clients are told in place of the origin's.
    pub clients_are_told: Option<String>,
    /// What the edge makes of its body for such a request, once it is stored, and why; nothing if
    /// it is not stored.
    pub compressed: Option<String>,
}

/// A request that goes forward.
pub(super) struct Forwarded<'a> {
    pub(super) explainer: &'a Explainer<'a>,
    /// Its fields, as all that is decided later sees them.
    pub(super) fields: &'a HeaderMap,
    /// What is stored for it, though it may not answer as it is.
    pub(super) stored: Option<&'a Stored>,
}

impl Forwarded<'_> {
    /// Says in `out` what becomes of it, and of the answer, if one is given; it begins as `trail`
    /// says.
    pub(super) fn fill(&self, out: &mut Explanation, mut trail: Trail) {
        let subject = self.explainer.subject(self.stored);
        let rule = trail.detail.filter(|_| trail.fwd == Some(Fwd::Bypass));
        out.because = match (rule, trail.fwd) {
            (Some(detail), _) => subject.reason(detail),
            (None, fwd) => fwd.map_or_else(String::new, |fwd| subject.of_forward(fwd)),
        };
        if trail.detail == Some(Detail::HitForMiss) {
            out.notes.push(subject.reason(Detail::HitForMiss));
        }
        out.to_make_it_cacheable = rule.and_then(|detail| subject.remedy(detail));
        if let Some(response) = &self.explainer.question.response {
            match self.explainer.decision.plan {
                Plan::LookUp => self.answered(out, &mut trail, response),
                Plan::Pass(..) => self.passed(out, &mut trail, response),
            }
        }
        out.cache_status = cache_status(&trail);
    }

    /// An answer that goes back as it is.
    fn passed(&self, out: &mut Explanation, trail: &mut Trail, response: &Response) {
        let Explainer { decision, target, .. } = self.explainer;
        let clean = Sanitised::new(&response.fields);
        let arrival = self.arrival(response.status, &clean.fields, false);
        let rules = &decision.route.policy;
        let kept = post::kept(&decision.ask, target, self.fields, &arrival, rules);
        out.status = Some(response.status.as_u16());
        trail.fwd_status = out.status;
        trail.stored = kept.is_some();
        let method = &decision.ask.method;
        for target in invalidate::targets(method, target, response.status, &response.fields) {
            let note = format!("the answer invalidates what is stored for {target}");
            if !out.notes.contains(&note) {
                out.notes.push(note);
            }
        }
        let groups = group::outdated(method, response.status, &response.fields);
        if !groups.is_empty() {
            let groups = groups.join(", ");
            out.notes.push(format!("the answer invalidates the cache groups {groups} of its site"));
        }
        let form =
            passed_on::form(&decision.ask, self.fields, response.status, &clean.fields, rules);
        let compressed = compressed(form);
        if let Some(admission) = kept {
            "the response says in Content-Location that it is what GET would get, and is stored \
             for that"
                .clone_into(&mut out.because);
            let mut of_response = self.of_response(response.status, &admission, Ok(()));
            of_response.compressed = Some(compressed);
            out.response = Some(of_response);
        } else {
            out.notes.push(format!("the answer is passed on, {compressed}"));
        }
    }

    /// An answer that the cache asked for.
    fn answered(&self, out: &mut Explanation, trail: &mut Trail, response: &Response) {
        let ask = &self.explainer.decision.ask;
        let kept = self.stored.map(|stored| stored.head.fields.to_map());
        let held = self.stored.zip(kept.as_ref());
        let why = trail.fwd.unwrap_or(Fwd::UriMiss);
        let purpose = purpose(ask, self.fields, why, held);
        let not_modified = response.status == StatusCode::NOT_MODIFIED;
        match (held, &purpose) {
            (Some(held), Purpose::Validate(_)) if not_modified => {
                self.validated(out, trail, response, held);
            }
            (Some(held), Purpose::Complete(..))
                if response.status == StatusCode::PARTIAL_CONTENT =>
            {
                self.completed(out, trail, response, held);
            }
            _ if not_modified => self.unusable(out, trail),
            _ if is_error(response.status) && self.stands_in(out, trail, Trouble::Error) => {
                trail.fwd_status = Some(response.status.as_u16());
            }
            _ => self.taken_in(out, trail, response, matches!(purpose, Purpose::Part)),
        }
    }

    /// A 304 to the conditions of the cache.
    fn validated(
        &self,
        out: &mut Explanation,
        trail: &mut Trail,
        response: &Response,
        (stored, kept): (&Stored, &HeaderMap),
    ) {
        if !freshen::applies(kept, &response.fields) {
            return ask_again(out, "the 304 speaks of another version than that which is stored");
        }
        let answer = Sanitised::new(&response.fields).update(self.explainer.now);
        let fields = freshen::updated(kept, &answer);
        let ask = Ask::read(&Method::GET, &HeaderMap::new(), false);
        let admission = self.admit(&ask, stored.head.status, &fields, false);
        let own = if self.explainer.decision.ask.authorized {
            Err(Detail::Authorization)
        } else {
            Ok(())
        };
        let verdict = admission.verdict.and(own);
        trail.note_answer(StatusCode::NOT_MODIFIED.as_u16(), verdict);
        let mut head =
            Sanitised { fields }.stored(stored.head.status, &admission, self.fields, self.place());
        head.part = stored.head.part;
        let fresh = Stored { head: Arc::new(head), body: stored.body.clone() };
        out.status = Some(self.status_of(&fresh).as_u16());
        "what is stored still stands, as the origin says with 304".clone_into(&mut out.because);
        out.response = Some(self.of_response(stored.head.status, &admission, verdict));
        let shelf = self.shelf().map(|shelf| shelf.with_update(stored, fresh, self.most()));
        if let Some(shelf) = shelf.filter(|_| verdict.is_ok()) {
            self.next(out, &shelf, StatusCode::NOT_MODIFIED);
        }
    }

    /// A part that was asked for since it is missing in what is stored.
    fn completed(
        &self,
        out: &mut Explanation,
        trail: &mut Trail,
        response: &Response,
        (stored, kept): (&Stored, &HeaderMap),
    ) {
        let answer = Sanitised::new(&response.fields).fields;
        let mut fields = freshen::updated(kept, &answer);
        fields.remove(CONTENT_RANGE);
        let admission = self.admit(&self.explainer.decision.ask, StatusCode::OK, &fields, true);
        let part = ContentRange::parse(&answer);
        let fit = stored.head.part.as_ref().zip(part.as_ref());
        let fit = fit.and_then(|(held, new)| partial::fit((kept, held), (&answer, new)));
        if fit.is_none_or(|fit| fit.part.is_some()) || admission.verdict.is_err() {
            return ask_again(out, "the part does not make what is stored whole");
        }
        trail.note_answer(response.status.as_u16(), Ok(()));
        let ask = &self.explainer.decision.ask;
        let length = stored.head.part.and_then(|part| part.complete);
        let facts = Facts {
            status: StatusCode::OK,
            fields: &fields,
            length,
            part: None,
            has_forms: admission.compressible,
        };
        let answer = answer::choose(&ask.method, self.fields, &facts);
        out.status = Some(answer.status(StatusCode::OK).as_u16());
        "the part makes what is stored whole".clone_into(&mut out.because);
        out.response = Some(self.of_response(StatusCode::OK, &admission, Ok(())));
    }

    /// A 304 that nobody asked for.
    fn unusable(&self, out: &mut Explanation, trail: &mut Trail) {
        if !self.stands_in(out, trail, Trouble::Disconnected) {
            trail.detail = Some(Failure::Invalid.detail());
            out.status = Some(Failure::Invalid.status().as_u16());
            "nothing was asked that a 304 could answer".clone_into(&mut out.because);
        }
    }

    /// Whether something stored answers in place of an origin that met with `trouble`.
    fn stands_in(&self, out: &mut Explanation, trail: &mut Trail, trouble: Trouble) -> bool {
        let Explainer { now, .. } = *self.explainer;
        let wanted = self.explainer.wanted(self.fields);
        let stands_in = |stored: &&Stored| look_up::stands_in(stored, &wanted, trouble, now);
        let Some(stored) = self.stored.filter(stands_in) else { return false };
        let is_fresh = stored.head.freshness.is_fresh(now);
        let detail = if is_fresh { Detail::FreshIfError } else { Detail::StaleIfError };
        trail.detail = Some(detail);
        out.status = Some(self.status_of(stored).as_u16());
        out.because = self.explainer.subject(Some(stored)).reason(detail);
        true
    }

    /// An answer of its own.
    fn taken_in(
        &self,
        out: &mut Explanation,
        trail: &mut Trail,
        response: &Response,
        ranged: bool,
    ) {
        let Explainer { decision, settings, .. } = self.explainer;
        let clean = Sanitised::new(&response.fields);
        let admission = self.admit(&decision.ask, response.status, &clean.fields, ranged);
        let length = clean.fields.get(CONTENT_LENGTH);
        let length = length.and_then(|value| number::digits(value.as_bytes().trim_ascii()));
        let verdict = admission.of_whole(&decision.ask, length, settings.cache.max_object);
        trail.note_answer(response.status.as_u16(), verdict);
        let mut of_response = self.of_response(response.status, &admission, verdict);
        let subject = self.explainer.subject(self.stored);
        match verdict {
            Ok(()) => out.because = stored_because(&of_response),
            Err(detail) => {
                out.because = subject.reason(detail);
                out.to_make_it_cacheable = subject.remedy(detail);
            }
        }
        out.notes.extend(self.notes(&admission));
        let head = clean.stored(response.status, &admission, self.fields, self.place());
        let fields = head.fields.to_map();
        let status = self.status_of_arriving(&head, length, verdict.is_ok());
        out.status = Some(status.as_u16());
        let browser_ttl = decision.route.policy.browser_ttl;
        let immutable = admission.cache_control.clone().filter(|_| verdict.is_ok());
        let told = told(status, &fields, browser_ttl, verdict.is_ok()).or(immutable);
        of_response.clients_are_told =
            told.map(|value| value.as_bytes().escape_ascii().to_string());
        let rules = &decision.route.policy;
        let ask = &decision.ask;
        let bundle = ask.bundle.as_ref().filter(|it| it.takes(&head, &fields, length));
        out.notes.extend(bundle.filter(|_| verdict.is_ok()).map(of_version));
        of_response.compressed = Some(compressed(if verdict.is_ok() {
            encode::form(ask, &head, &fields, length, rules)
        } else {
            encode::form_for_one(ask, self.fields, &head, &fields, length, rules)
        }));
        out.response = Some(of_response);
        // Two parts may be put together: of what the next request finds, only the store can tell.
        let is_joined = self.stored.is_some_and(|stored| stored.head.part.is_some());
        if verdict.is_ok() && !(is_joined && admission.part.is_some()) {
            let stored = Stored { head: Arc::new(head), body: Body::default() };
            let shelf = match self.shelf() {
                Some(shelf) => shelf.with(stored, self.most()),
                None => Shelf::new(stored),
            };
            self.next(out, &shelf, response.status);
        }
    }

    fn shelf(&self) -> Option<&Shelf> {
        self.explainer.known?.shelf.as_ref()
    }

    /// How many variants there may be.
    fn most(&self) -> usize {
        self.explainer.decision.route.policy.key.max_variants
    }

    fn admit(&self, ask: &Ask, status: StatusCode, fields: &HeaderMap, ranged: bool) -> Admission {
        let Explainer { target, decision, .. } = self.explainer;
        let arrival = self.arrival(status, fields, ranged);
        admit(ask, &arrival, target.path(), &decision.route.policy)
    }

    /// What is asked for, and on which route.
    fn place(&self) -> (&Target, &Route) {
        (self.explainer.target, &self.explainer.decision.route)
    }

    fn arrival<'a>(&self, status: StatusCode, fields: &'a HeaderMap, ranged: bool) -> Arrival<'a> {
        let now = self.explainer.now;
        Arrival { status, fields, asked: now, arrived: now, ranged }
    }

    /// The status with which the client gets `stored`.
    fn status_of(&self, stored: &Stored) -> StatusCode {
        let wanted = self.explainer.wanted(self.fields);
        look_up::serve(stored, &wanted).answer.status(stored.head.status)
    }

    /// The status with which the client gets an answer with `head` while it arrives.
    fn status_of_arriving(
        &self,
        head: &StoredHead,
        length: Option<u64>,
        is_shared: bool,
    ) -> StatusCode {
        let wanted = self.explainer.wanted(self.fields);
        let look_up::Opened { answer, missing, .. } =
            look_up::open(head, length, is_shared, &wanted);
        // Several parts are not cut from what is on its way.
        if missing.is_some() || matches!(answer, Answer::Parts(_)) {
            head.status
        } else {
            answer.status(head.status)
        }
    }

    fn of_response(
        &self,
        status: StatusCode,
        admission: &Admission,
        verdict: Result<(), Detail>,
    ) -> OfResponse {
        let freshness = &admission.freshness;
        let policy = &self.explainer.decision.route.policy.name;
        OfResponse {
            status: status.as_u16(),
            stored: verdict.is_ok(),
            detail: verdict.err().map(Detail::token),
            lifetime: admission.word.map(|_| freshness.lifetime.0),
            by: admission.word.map(|word| by(word, policy)),
            stale_while_revalidate: freshness.while_revalidate.0,
            stale_if_error: freshness.if_error.map(|limit| limit.0),
            always_validated: freshness.always_validate,
            selected_by: admission.vary.iter().map(ToString::to_string).collect(),
            clients_are_told: None,
            compressed: None,
        }
    }

    /// Says how the next such request is answered, now that `shelf` is stored and the origin has
    /// answered with `status`.
    fn next(&self, out: &mut Explanation, shelf: &Shelf, status: StatusCode) {
        let turn = if is_error(status) { Turn::Wait(Trouble::Error) } else { Turn::Ask };
        let trail = match self.explainer.found(Some(shelf), self.fields, turn) {
            Found::Usable(trail, _) => trail,
            Found::Forward(why, _) => {
                Trail { fwd: Some(why), detail: Reuse::Validate(why).detail(), ..Trail::default() }
            }
        };
        out.next = Some(cache_status(&trail));
    }

    /// What of the rules has no effect on this response, though one might think so.
    fn notes(&self, admission: &Admission) -> Vec<String> {
        let rules = &self.explainer.decision.route.policy;
        let mut notes = Vec::new();
        let revalidates = rules.stale_while_revalidate.is_some()
            || rules.strategy == Strategy::StaleWhileRevalidate;
        if revalidates && admission.freshness.never_stale {
            notes.push(
                "stale_while_revalidate has no effect: the response says must-revalidate, \
                 proxy-revalidate or s-maxage, which forbid stale answers (RFC 9111 §4.2.4, L012)"
                    .to_owned(),
            );
        }
        let said = match admission.word {
            Some(Word::SMaxage | Word::MaxAge | Word::Expires) => {
                "the response says itself how long it is fresh"
            }
            Some(Word::Heuristic) => {
                "Last-Modified goes before it; `ttl_mode = \"default\"` lets the ttl go first"
            }
            Some(Word::TtlByStatus | Word::Immutable | Word::Ttl) | None => return notes,
        };
        if rules.ttl.is_some() && rules.ttl_mode != TtlMode::Override {
            let policy = &rules.name;
            notes.push(format!("the ttl of the policy `{policy}` has no effect: {said}"));
        }
        notes
    }
}

/// The edge asks again for the whole, for which there is no answer here.
fn ask_again(out: &mut Explanation, why: &str) {
    out.because = format!("{why}: the edge asks the origin again, for the whole");
}

/// Why a response that is stored is, as a sentence.
fn stored_because(response: &OfResponse) -> String {
    match (response.lifetime, &response.by) {
        (Some(0), Some(by)) => {
            format!("the response is stored, to be validated before each use, by {by}")
        }
        (Some(_), Some(_)) if response.always_validated => {
            "the response is stored, to be validated before each use, since it says no-cache".into()
        }
        (Some(lifetime), Some(by)) => {
            format!("the response is stored, and fresh for {} by {by}", written(lifetime))
        }
        _ => "the response is stored, to be validated before each use: nobody says how long it is \
              fresh, but it can be validated"
            .into(),
    }
}

/// What becomes of a response that is a version of `bundle`.
fn of_version(bundle: &Bundle) -> String {
    let Pattern { before, after } = &bundle.pattern;
    format!(
        "it is a version of {before}*{after}: who says to have another one is sent what differs \
         (dcb or dcz)"
    )
}

/// What becomes of the body of a response that answers in `form`.
fn compressed(form: Form) -> String {
    match form {
        Form::AsIs(why) => format!("not compressed: {}", why.reason()),
        Form::AsSent => {
            "compressed for others: this request wants it as the origin sent it, by its \
                         Accept-Encoding or no-transform"
                .to_owned()
        }
        Form::Made(Some(coding)) => format!("compressed with {} for this request", coding.token()),
        Form::Made(None) => {
            "taken out of the origin's coding for this request, by its Accept-Encoding".to_owned()
        }
    }
}

/// `word` as a person says it.
fn by(word: Word, policy: &str) -> String {
    match word {
        Word::SMaxage => "s-maxage of the origin".to_owned(),
        Word::MaxAge => "max-age of the origin".to_owned(),
        Word::Expires => "Expires of the origin".to_owned(),
        Word::TtlByStatus => format!("ttl_by_status of the policy `{policy}`"),
        Word::Immutable => format!("immutable of the policy `{policy}`"),
        Word::Ttl => format!("ttl of the policy `{policy}`"),
        Word::Heuristic => "the heuristic (a tenth of the time since Last-Modified)".to_owned(),
    }
}
