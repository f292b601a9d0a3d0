//! Explains what becomes of the answer to a request that goes forward.

use std::sync::Arc;
use std::time::Duration;

use forebay_config::{Strategy, TtlMode, text};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;

use super::{Explainer, Explanation, Response, of_forward, of_request, reason, remedy};
use crate::event::{Detail, Failure, Fwd, Trail};
use crate::field::number;
use crate::policy::admit::{Admission, Arrival, admit};
use crate::policy::fail::{Trouble, is_error, may_stand_in};
use crate::policy::forward::passes_range;
use crate::policy::lifetime::Word;
use crate::policy::request::Plan;
use crate::policy::sanitised::Sanitised;
use crate::policy::status::cache_status;
use crate::policy::{answer, post};
use crate::stored::{Body, Stored};
use crate::time::Seconds;

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
}

impl Explainer<'_> {
    /// Explains a request that goes forward with `trail`, and with what is `stored` in hand.
    pub(super) fn forward(
        &self,
        out: &mut Explanation,
        mut trail: Trail,
        stored: Option<&Stored>,
        fields: &HeaderMap,
    ) {
        let subject = self.subject();
        let rule = trail.detail.filter(|_| trail.fwd == Some(Fwd::Bypass));
        out.because = match (rule, trail.fwd) {
            (Some(detail), _) => reason(detail, &subject),
            (None, Some(Fwd::Request)) => of_request(self.question).to_owned(),
            (None, fwd) => fwd.map_or_else(String::new, |fwd| of_forward(fwd).to_owned()),
        };
        out.to_make_it_cacheable = rule.and_then(|detail| remedy(detail, &subject));
        if let Some(response) = &self.question.response {
            match self.decision.plan {
                Plan::LookUp => self.taken_in(out, &mut trail, response, stored, fields),
                Plan::Pass(..) => self.passed(out, &mut trail, response, fields),
            }
        }
        out.cache_status = cache_status(&trail);
    }

    /// An answer that goes back as it is.
    fn passed(
        &self,
        out: &mut Explanation,
        trail: &mut Trail,
        response: &Response,
        fields: &HeaderMap,
    ) {
        let clean = Sanitised::new(&response.fields);
        let arrival = self.arrival(response.status, &clean.fields, false);
        let (target, rules) = (&self.question.target, &self.decision.route.policy);
        let kept = post::kept(&self.decision.ask, target, fields, &arrival, rules);
        trail.fwd_status = Some(response.status.as_u16());
        trail.stored = kept.is_some();
        if let Some(admission) = kept {
            "the response says that it is what GET would get".clone_into(&mut out.because);
            out.response = Some(self.of_response(response, &admission, Ok(())));
        }
    }

    /// An answer that the cache asked for.
    fn taken_in(
        &self,
        out: &mut Explanation,
        trail: &mut Trail,
        response: &Response,
        stored: Option<&Stored>,
        fields: &HeaderMap,
    ) {
        let Response { status, .. } = *response;
        if status == StatusCode::NOT_MODIFIED {
            return self.not_modified(out, trail, stored);
        }
        if self.stands_in(out, trail, status, stored) {
            return;
        }
        let clean = Sanitised::new(&response.fields);
        let ask = &self.decision.ask;
        let ranged = passes_range(&ask.method, fields);
        let arrival = self.arrival(status, &clean.fields, ranged);
        let path = self.question.target.path();
        let admission = admit(ask, &arrival, path, &self.decision.route.policy);
        let length = clean.fields.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| number::digits(value.as_bytes().trim_ascii()));
        let verdict = admission.of_whole(ask, length, self.settings.cache.max_object);
        trail.note_answer(status.as_u16(), verdict);
        let of_response = self.of_response(response, &admission, verdict);
        match verdict {
            Ok(()) => {
                let by = of_response.by.as_deref().unwrap_or("nobody");
                let lifetime = of_response.lifetime.map_or_else(|| "no time".to_owned(), written);
                out.because = format!("the response is stored, and fresh for {lifetime} by {by}");
                self.next(out, &admission, response, fields);
            }
            Err(detail) => {
                out.because = reason(detail, &self.subject());
                out.to_make_it_cacheable = remedy(detail, &self.subject());
            }
        }
        out.notes = self.notes(&admission);
        out.response = Some(of_response);
    }

    fn not_modified(&self, out: &mut Explanation, trail: &mut Trail, stored: Option<&Stored>) {
        if stored.is_some() {
            trail.fwd_status = Some(StatusCode::NOT_MODIFIED.as_u16());
            "the origin says that what is stored still stands".clone_into(&mut out.because);
        } else {
            trail.detail = Some(Failure::Invalid.detail());
            "nothing was asked that a 304 could answer".clone_into(&mut out.because);
        }
    }

    /// Whether something stored answers in place of an error.
    fn stands_in(
        &self,
        out: &mut Explanation,
        trail: &mut Trail,
        status: StatusCode,
        stored: Option<&Stored>,
    ) -> bool {
        let Some(stored) = stored.filter(|_| is_error(status)) else { return false };
        let freshness = &stored.head.freshness;
        let directives = &self.decision.ask.directives;
        if !may_stand_in(freshness, directives, Trouble::Error, self.now) {
            return false;
        }
        let fresh = freshness.is_fresh(self.now);
        let detail = if fresh { Detail::FreshIfError } else { Detail::StaleIfError };
        trail.fwd_status = Some(status.as_u16());
        trail.detail = Some(detail);
        out.because = reason(detail, &self.subject());
        true
    }

    fn arrival<'a>(&self, status: StatusCode, fields: &'a HeaderMap, ranged: bool) -> Arrival<'a> {
        Arrival { status, fields, asked: self.now, arrived: self.now, ranged }
    }

    fn of_response(
        &self,
        response: &Response,
        admission: &Admission,
        verdict: Result<(), Detail>,
    ) -> OfResponse {
        let rules = &self.decision.route.policy;
        let freshness = &admission.freshness;
        let immutable = admission.cache_control.clone().filter(|_| verdict.is_ok());
        let age = freshness.initial_age;
        let is_error = response.status.is_client_error() || response.status.is_server_error();
        let by_policy = rules
            .browser_ttl
            .filter(|_| verdict.is_ok() && !is_error && immutable.is_none())
            .and_then(|ttl| answer::for_browsers(&response.fields, Seconds::from(ttl), age));
        let told = immutable.or(by_policy);
        OfResponse {
            status: response.status.as_u16(),
            stored: verdict.is_ok(),
            detail: verdict.err().map(Detail::token),
            lifetime: admission.word.map(|_| freshness.lifetime.0),
            by: admission.word.map(|word| by(word, &rules.name)),
            stale_while_revalidate: freshness.while_revalidate.0,
            stale_if_error: freshness.if_error.map(|limit| limit.0),
            always_validated: freshness.always_validate,
            selected_by: admission.vary.iter().map(ToString::to_string).collect(),
            clients_are_told: told.map(|value| value.as_bytes().escape_ascii().to_string()),
        }
    }

    /// Says how the next such request is answered, now that this is stored.
    fn next(
        &self,
        out: &mut Explanation,
        admission: &Admission,
        response: &Response,
        fields: &HeaderMap,
    ) {
        let head = Sanitised::new(&response.fields).stored(response.status, admission, fields);
        let stored = Stored { head: Arc::new(head), body: Body::default() };
        out.next = Some(match self.judge(&stored, fields) {
            Ok(trail) => cache_status(&trail),
            Err(why) => {
                let detail = (why == Fwd::Miss).then_some(Detail::NetworkFirst);
                cache_status(&Trail { fwd: Some(why), detail, ..Trail::default() })
            }
        });
    }

    /// What of the rules has no effect on this response, though one might think so.
    fn notes(&self, admission: &Admission) -> Vec<String> {
        let rules = &self.decision.route.policy;
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
        let by_origin = matches!(
            admission.word,
            Some(Word::SMaxage | Word::MaxAge | Word::Expires | Word::Heuristic)
        );
        if rules.ttl.is_some() && by_origin && rules.ttl_mode != TtlMode::Override {
            notes.push(format!(
                "the ttl of the policy `{}` has no effect: the response says how long it is fresh",
                rules.name
            ));
        }
        notes
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

/// A number of seconds as a settings file writes it.
pub(super) fn written(seconds: u64) -> String {
    text::write_duration(Duration::from_secs(seconds))
}
