//! `POST /explain`: says what would become of a request, with what is stored for it.

use http::{HeaderMap, StatusCode, header};

use super::{Answer, JSON, reload::with_causes};
use crate::edge::Shared;
use crate::explain::{Question, Written, explain};
use crate::field::list;
use crate::policy::decide::Decision;
use crate::time;

/// Answers a question with this `body`: JSON if the `fields` ask for it, or else plain text.
pub(super) fn answer(shared: &Shared, fields: &HeaderMap, body: &[u8]) -> Answer {
    let refuse = |text: &str| Answer::text(StatusCode::BAD_REQUEST, text);
    let written: Written = match serde_json::from_slice(body) {
        Ok(written) => written,
        Err(error) => return refuse(&format!("the body is no question in JSON: {error}")),
    };
    let question = match Question::try_from(written) {
        Ok(question) => question,
        Err(unclear) => return refuse(&with_causes(&unclear)),
    };
    let snapshot = shared.snapshot();
    let now = time::now();
    let ask = |decision: &Decision| shared.known(&snapshot, decision, now);
    let explanation = explain(&snapshot.settings, &question, Some(&ask), now);
    let wants_json = list::members(fields, &header::ACCEPT).any(|kind| kind == JSON.as_bytes());
    if !wants_json {
        return Answer::text(StatusCode::OK, explanation.to_string().trim_end());
    }
    Answer::json(&explanation)
}
