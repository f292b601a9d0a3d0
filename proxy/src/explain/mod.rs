//! Says what would become of a request and of the answer to it, and why, from the very decisions
//! that serve: without a network, or with what a running edge has stored.

mod answer;
mod print;
mod question;
mod remedy;

use std::sync::Arc;

use forebay_config::{KeyRules, Route, Routes, Settings, Strategy};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;

use crate::edge::Known;
use crate::event::{Detail, Fwd, Trail};
use crate::field::cache_control::RequestDirectives;
use crate::key::{Target, query};
use crate::policy::decide::{self, Decision, Request};
use crate::policy::identity;
use crate::policy::look_up::{self, Use, Wanted};
use crate::policy::request::Plan;
use crate::policy::rest::Turn;
use crate::policy::status::cache_status;
use crate::store::shelf::Shelf;
use crate::stored::Stored;
use crate::time::Timestamp;
pub use answer::OfResponse;
pub use question::{Unclear, Written, WrittenResponse};
use remedy::{Subject, of_forward, reason, remedy};

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked for.
    pub target: Target,
    /// With which method.
    pub method: Method,
    /// With which fields.
    pub fields: HeaderMap,
    /// With a body, or the announcement of one.
    pub has_body: bool,
    /// How the origin would answer; left out, only the request is explained.
    pub response: Option<Response>,
}

/// The head of an origin's answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: HeaderMap,
}

/// What becomes of a request and of the answer to it, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// What is asked for, normalised.
    pub url: String,
    /// The route that takes it; nothing if none does.
    pub route: Option<OfRoute>,
    /// The routes before that one, with what of each does not match.
    pub passed_over: Vec<PassedOver>,
    /// What it is looked up under; nothing if it is not looked up.
    pub key: Option<OfKey>,
    /// What is stored for it; nothing if nobody looked.
    pub stored: Option<Vec<Variant>>,
    /// What becomes of the answer; nothing if none is given, or none is asked for.
    pub response: Option<OfResponse>,
    /// The `Cache-Status` that the client gets. Without a response it lacks what only that tells.
    pub cache_status: String,
    /// The `Cache-Status` of the next such request; nothing if that is not known.
    pub next: Option<String>,
    /// The fact that decided.
    pub because: String,
    /// What would have to change for the answer to be stored and to answer others; nothing if it
    /// does, or if nothing can.
    pub to_make_it_cacheable: Option<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// The route of a request.
#[derive(Clone, Debug, Serialize)]
pub struct OfRoute {
    /// Its name.
    pub name: String,
    /// Where it begins in the settings: file and line.
    pub at: String,
    /// Its policy.
    pub policy: String,
    /// What the policy asks first.
    pub strategy: &'static str,
    /// Who answers.
    pub origin: String,
}

/// A route that does not match.
#[derive(Clone, Debug, Serialize)]
pub struct PassedOver {
    /// Its name.
    pub name: String,
    /// Where it begins in the settings: file and line.
    pub at: String,
    /// The first part that does not match.
    pub mismatch: String,
}

/// What a request is looked up under.
#[derive(Clone, Debug, Serialize)]
pub struct OfKey {
    /// The whole of it.
    pub text: String,
    /// The parameters that are not in it, as the client wrote them.
    pub left_out: Vec<String>,
    /// The path and query that the origin is asked for.
    pub origin_is_asked: String,
    /// The fields that select among variants, as far as that is known, and what each says.
    pub selected_by: Vec<(String, Option<String>)>,
    /// The fields that are changed first, and what each says then.
    pub rewritten: Vec<(String, Option<String>)>,
}

/// A stored response.
#[derive(Clone, Debug, Serialize)]
pub struct Variant {
    /// Its status.
    pub status: u16,
    /// The length of its body, in bytes.
    pub length: u64,
    /// How old it is, in seconds.
    pub age: u64,
    /// What is left of its lifetime, in seconds; negative if it is stale.
    pub ttl: i64,
    /// The fields that selected it.
    pub selected_by: Vec<String>,
    /// Whether this request selects it.
    pub is_selected: bool,
}

/// Explains `question` under `settings`. With `ask`, what a running edge knows counts; without,
/// nothing is taken to be stored.
#[must_use]
pub fn explain(
    settings: &Settings,
    question: &Question,
    ask: Option<&dyn Fn(&Decision) -> Known>,
    now: Timestamp,
) -> Explanation {
    let Question { target, method, fields, has_body, .. } = question;
    let request = Request { target, method, fields, has_body: *has_body };
    let routes = &settings.routes;
    let mut explanation = Explanation {
        method: method.to_string(),
        url: target.to_string(),
        route: None,
        passed_over: passed_over(routes, &request),
        key: None,
        stored: None,
        response: None,
        cache_status: String::new(),
        next: None,
        because: String::new(),
        to_make_it_cacheable: None,
        notes: Vec::new(),
    };
    let Some(decision) = decide::decide(routes, &request) else {
        explanation.cache_status =
            cache_status(&Trail { detail: Some(Detail::NoRoute), ..Trail::default() });
        explanation.because = "no route takes this host and path".to_owned();
        explanation.to_make_it_cacheable = Some("write a route that takes it".to_owned());
        return explanation;
    };
    explanation.route = Some(of_route(&decision.route));
    let known = ask.map(|ask| ask(&decision));
    let known = known.as_ref();
    Explainer { settings, question, decision: &decision, known, now }.fill(&mut explanation);
    explanation
}

fn passed_over(routes: &Routes, request: &Request<'_>) -> Vec<PassedOver> {
    request.with_route_request(|asked| {
        let trace = routes.trace(asked).into_iter();
        let over = trace.map(|(route, mismatch)| PassedOver {
            name: route.name.to_string(),
            at: route.place(),
            mismatch: mismatch.to_string(),
        });
        over.collect()
    })
}

fn of_route(route: &Route) -> OfRoute {
    OfRoute {
        name: route.name.to_string(),
        at: route.place(),
        policy: route.policy.name.clone(),
        strategy: match route.policy.strategy {
            Strategy::CacheFirst => "cache-first",
            Strategy::NetworkFirst => "network-first",
            Strategy::StaleWhileRevalidate => "stale-while-revalidate",
            Strategy::Bypass => "bypass",
        },
        origin: route.origin.name.clone(),
    }
}

/// A request that a route takes.
struct Explainer<'a> {
    settings: &'a Settings,
    question: &'a Question,
    decision: &'a Decision,
    known: Option<&'a Known>,
    now: Timestamp,
}

/// How a request begins.
enum Start {
    /// With what is stored.
    Hit(Trail),
    /// At the origin.
    Forward(Trail, Option<Stored>),
    /// Nowhere: it must not go forward.
    Refused(Trail),
}

impl Explainer<'_> {
    fn fill(&self, out: &mut Explanation) {
        let fields = self.fields();
        if self.decision.plan == Plan::LookUp {
            out.key = Some(self.of_key(&fields));
            out.stored = self.known.map(|known| self.variants(known, &fields));
        }
        let subject = self.subject();
        match self.start(&fields) {
            Start::Hit(trail) => {
                out.cache_status = cache_status(&trail);
                let ttl = trail.ttl.unwrap_or(0);
                out.because = match trail.detail {
                    Some(detail) => reason(detail, &subject),
                    None => format!("what is stored is fresh for {ttl} s more"),
                };
            }
            Start::Refused(trail) => {
                out.cache_status = cache_status(&trail);
                out.because = trail.detail.map_or_else(String::new, |it| reason(it, &subject));
            }
            Start::Forward(trail, stored) => {
                self.forward(out, trail, stored.as_ref(), &fields);
            }
        }
    }

    /// The fields of the request as all that is decided later sees them.
    fn fields(&self) -> HeaderMap {
        let mut fields = self.question.fields.clone();
        identity::apply(&self.decision.edits, &mut fields);
        fields
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            fields: &self.question.fields,
            rules: &self.decision.route.policy,
            status: self.question.response.as_ref().map_or(0, |response| response.status.as_u16()),
        }
    }

    fn start(&self, fields: &HeaderMap) -> Start {
        let Decision { plan, ask, .. } = self.decision;
        if let Plan::Pass(fwd, detail) = *plan {
            return Start::Forward(Trail { fwd: Some(fwd), detail, ..Trail::default() }, None);
        }
        let shelf = self.known.and_then(|known| known.shelf.as_ref());
        let (why, stored) = match shelf {
            None => (Fwd::UriMiss, None),
            Some(shelf) => match self.select(shelf, fields) {
                None => (Fwd::VaryMiss, None),
                Some(stored) => match self.judge(stored, fields) {
                    Ok(trail) => return Start::Hit(trail),
                    Err(why) => (why, Some(stored.clone())),
                },
            },
        };
        if ask.directives.only_if_cached {
            let detail = Some(Detail::OnlyIfCached);
            return Start::Refused(Trail { detail, ..Trail::default() });
        }
        let alone = self.known.is_some_and(|known| known.is_alone).then_some(Detail::HitForMiss);
        let detail = alone.or((why == Fwd::Miss).then_some(Detail::NetworkFirst));
        Start::Forward(Trail { fwd: Some(why), detail, ..Trail::default() }, stored)
    }

    /// The variant that a request with `fields` selects.
    fn select<'a>(&self, shelf: &'a Shelf, fields: &HeaderMap) -> Option<&'a Stored> {
        let names: Vec<_> = identity::selecting(&self.decision.route.policy.key).collect();
        shelf.select(fields, &names)
    }

    /// How `stored` answers, or why it does not.
    fn judge(&self, stored: &Stored, fields: &HeaderMap) -> Result<Trail, Fwd> {
        let Decision { ask, route, .. } = self.decision;
        let wanted = Wanted { ask, fields, rules: &route.policy.key };
        let first = route.policy.strategy == Strategy::NetworkFirst;
        let turn = self.known.and_then(|known| known.turn).unwrap_or(Turn::Ask);
        match look_up::judge(stored, &wanted, first.then_some(|| turn), self.now) {
            Use::Answer(reuse, _, _) => Ok(Trail {
                hit: true,
                detail: reuse.detail(),
                ttl: Some(stored.head.freshness.ttl(self.now)),
                ..Trail::default()
            }),
            Use::Forward(why) => Err(why),
        }
    }

    fn of_key(&self, fields: &HeaderMap) -> OfKey {
        let Decision { key, target, route, edits, .. } = self.decision;
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
            left_out: left_out(&self.question.target, rules),
            origin_is_asked: target.path_and_query().to_owned(),
            selected_by: selected.collect(),
            rewritten: edits
                .iter()
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

/// Why a request that is passed on, and says nothing of the rules, does not use the cache.
fn of_request(question: &Question) -> &'static str {
    let has = |name| question.fields.contains_key(name);
    if question.has_body {
        "the request has a body, which is in no key"
    } else if has(http::header::UPGRADE) {
        "the request asks to switch protocols"
    } else if has(http::header::IF_MATCH) || has(http::header::IF_UNMODIFIED_SINCE) {
        "only the origin can say whether If-Match or If-Unmodified-Since holds"
    } else if RequestDirectives::parse(&question.fields).no_cache {
        "the request says no-cache"
    } else {
        of_forward(Fwd::Request)
    }
}
