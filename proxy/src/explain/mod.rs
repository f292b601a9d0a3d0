//! Says what would become of a request and of the answer to it, and why, from the very decisions
//! that serve: without a network, or with what a running edge has stored.

mod answer;
mod print;
mod question;
mod reason;
mod remedy;
mod request;

use std::sync::Arc;

use forebay_config::{Mismatch, Route, Routes, Settings, Strategy};
use http::StatusCode;
use serde::Serialize;

use crate::edge::Known;
use crate::event::{Detail, Trail};
use crate::policy::decide::{self, Decision, Request};
use crate::policy::status::cache_status;
use crate::time::Timestamp;
pub use answer::OfResponse;
pub use question::{Question, Response, Unclear, Written, WrittenResponse};
use request::Explainer;

/// What becomes of a request and of the answer to it, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// What is asked for, normalised.
    pub url: String,
    /// The route that takes it; nothing if none does.
    pub route: Option<OfRoute>,
    /// The routes before that one, with what of each does not match; of many a few of those that
    /// the host and the path fit.
    pub passed_over: Vec<PassedOver>,
    /// How many more there are.
    pub others_passed_over: usize,
    /// What it is looked up under; nothing if it is not looked up.
    pub key: Option<OfKey>,
    /// What is stored for it; nothing if nobody looked.
    pub stored: Option<Vec<Variant>>,
    /// What becomes of the answer; nothing if none is given, or none is asked for.
    pub response: Option<OfResponse>,
    /// The status that the client gets; nothing if only the origin can tell.
    pub status: Option<u16>,
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
    let target = match question.target() {
        Ok(target) => target,
        Err(refused) => {
            let mut out = blank(question, question.url.clone());
            let why = format!("the edge refuses it: {}", refused.why);
            out.refuse(refused.status, Detail::BadRequest, why);
            return out;
        }
    };
    let Question { method, fields, has_body, .. } = question;
    if method == "PURGE" && !settings.server.purge_from.is_empty() {
        let mut out = blank(question, target.to_string());
        "the edge answers PURGE by itself: it purges for the addresses of server.purge_from, and \
         answers 403 to all others"
            .clone_into(&mut out.because);
        return out;
    }
    let request = Request { target, method, fields, has_body: *has_body };
    let routes = &settings.routes;
    let mut out = blank(question, target.to_string());
    out.note_passed_over(routes, &request);
    let Some(decision) = decide::decide(routes, &request) else {
        let why = "no route takes it; a last route with `path = \"/**\"` takes what is left";
        out.refuse(StatusCode::NOT_FOUND, Detail::NoRoute, why.to_owned());
        return out;
    };
    out.route = Some(of_route(&decision.route));
    let known = ask.map(|ask| ask(&decision));
    let known = known.as_ref();
    Explainer { settings, question, target, decision: &decision, known, now }.fill(&mut out);
    out
}

/// What is to be filled in about `question`, which asks for `url`.
fn blank(question: &Question, url: String) -> Explanation {
    Explanation {
        method: question.method.to_string(),
        url,
        route: None,
        passed_over: Vec::new(),
        others_passed_over: 0,
        key: None,
        stored: None,
        response: None,
        status: None,
        cache_status: String::new(),
        next: None,
        because: String::new(),
        to_make_it_cacheable: None,
        notes: Vec::new(),
    }
}

impl Explanation {
    /// The edge answers by itself, with `status`.
    fn refuse(&mut self, status: StatusCode, detail: Detail, why: String) {
        self.status = Some(status.as_u16());
        self.cache_status = cache_status(&Trail { detail: Some(detail), ..Trail::default() });
        self.because = why;
    }
}

/// The most routes of which it is told what does not match.
const MOST_PASSED_OVER: usize = 8;

impl Explanation {
    /// Notes the routes that were passed over; of many only those that the host and the path fit.
    fn note_passed_over(&mut self, routes: &Routes, request: &Request<'_>) {
        request.with_route_request(|asked| {
            let trace = routes.trace(asked);
            let is_near = |mismatch: &Mismatch<'_>| match mismatch {
                Mismatch::Path | Mismatch::Host => trace.len() <= MOST_PASSED_OVER,
                Mismatch::Method
                | Mismatch::Extension
                | Mismatch::Header(_)
                | Mismatch::Query(_)
                | Mismatch::Cookie(_) => true,
            };
            let near = trace.iter().filter(|(_, mismatch)| is_near(mismatch));
            self.passed_over = near.take(MOST_PASSED_OVER).map(PassedOver::new).collect();
            self.others_passed_over = trace.len() - self.passed_over.len();
        });
    }
}

impl PassedOver {
    fn new((route, mismatch): &(&Arc<Route>, Mismatch<'_>)) -> Self {
        Self { name: route.name.to_string(), at: route.place(), mismatch: mismatch.to_string() }
    }
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
