//! Answers `PURGE`, for those addresses from which it may come.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};
use pingora::BError;
use pingora::proxy::Session;

use super::{Mode, Purged, What, Wish};
use crate::edge::{Context, Shared, decide, fail};
use crate::event::Detail;
use crate::field::tags;
use crate::key::Target;

/// The field that says how.
const FOREBAY_PURGE: HeaderName = HeaderName::from_static("forebay-purge");
/// The method.
const PURGE: &str = "PURGE";
/// How long an answer waits until it is counted what was purged.
const COUNTED_WITHIN: Duration = Duration::from_millis(50);

/// Whether this is for the edge to answer: where nobody may purge so, the method means nothing here.
pub(in crate::edge) fn is_meant(session: &Session, context: &Context) -> bool {
    let purge_from = &context.snapshot.settings.server.purge_from;
    session.req_header().method == PURGE && !purge_from.is_empty()
}

/// Purges what the request says, if it may, and answers it.
pub(in crate::edge) async fn answer(
    shared: &Arc<Shared>,
    session: &mut Session,
    context: &mut Context,
) -> Result<(), BError> {
    let refused = |status, detail, why: &str| (status, detail, format!("{why}\n"));
    let read = || {
        // The peer of the connection: anybody can say anything in a field.
        let address = session.client_addr().and_then(|address| address.as_inet());
        let server = &context.snapshot.settings.server;
        if !address.is_some_and(|address| server.may_purge(address.ip())) {
            let why = "this address may not purge: server.purge_from does not have it";
            return Err(refused(StatusCode::FORBIDDEN, Detail::PurgeRefused, why));
        }
        let target = decide::target_of(session).map_err(|refusal| {
            refused(refusal.status, refusal.detail, "the request is malformed")
        })?;
        wish(&session.req_header().headers, &target)
            .map_err(|why| refused(StatusCode::BAD_REQUEST, Detail::BadRequest, why))
    };
    let wish = match read() {
        Ok(wish) => wish,
        Err((status, detail, text)) => {
            context.trail.detail = Some(detail);
            session.set_keepalive(None);
            return fail::say(session, context, status, ("text/plain; charset=utf-8", text)).await;
        }
    };
    if !session.as_mut().is_body_empty() {
        // Its body says nothing, and is not waited for.
        session.set_keepalive(None);
    }
    let (status, text) = match shared.purge(wish).await {
        Ok(Purged { receipt: Some(receipt), untold: None }) => {
            receipt.counted(COUNTED_WITHIN).await;
            let text = serde_json::to_string_pretty(&*receipt);
            (StatusCode::OK, text.unwrap_or_else(|error| error.to_string()))
        }
        Ok(Purged { receipt: None, untold: None }) => (StatusCode::OK, "{}".to_owned()),
        Ok(Purged { untold: Some(untold), .. }) => {
            let text = serde_json::json!({ "error": untold.to_string() }).to_string();
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Err(unclear) => {
            let text = serde_json::json!({ "error": unclear.to_string() }).to_string();
            (StatusCode::BAD_REQUEST, text)
        }
    };
    fail::say(session, context, status, ("application/json", text + "\n")).await
}

/// What a request with `fields` for `target` wants to be purged.
///
/// # Errors
///
/// Why that cannot be understood.
fn wish(fields: &HeaderMap, target: &Target) -> Result<Wish, &'static str> {
    let mode = match fields.get(&FOREBAY_PURGE).map(http::HeaderValue::as_bytes) {
        None | Some(b"soft") => Mode::Soft,
        Some(b"hard") => Mode::Hard,
        Some(_) => return Err("Forebay-Purge is soft or hard"),
    };
    if !tags::FIELDS.iter().any(|name| fields.contains_key(name)) {
        let other = if target.scheme().as_str() == "https" { "http" } else { "https" };
        let rest = target.path_and_query();
        // Who purges does so from within, and seldom by the scheme that clients come by.
        let other = Target::parse(other, target.authority(), rest)
            .map_err(|_malformed| "the request is malformed")?;
        let what = [target, &other].map(|target| What::Url(target.to_string())).into();
        return Ok(Wish { what, mode });
    }
    let tags: Vec<String> = tags::tags(fields).into_iter().map(String::from).collect();
    if tags.is_empty() || tags.len() == tags::MAX_TAGS {
        return Err("name from 1 to 127 tags in Surrogate-Key or Cache-Tag");
    }
    Ok(Wish { what: tags.into_iter().map(What::Tag).collect(), mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `lines` want purged on `http://a.example:81/b?c`, and how.
    fn wished(lines: &[(&'static str, &str)]) -> Result<(String, Mode), &'static str> {
        let target = Target::parse("http", "a.example:81", "/b?c").unwrap();
        let name = HeaderName::from_static;
        let fields = lines.iter().map(|(field, value)| (name(field), value.parse().unwrap()));
        let Wish { what, mode } = wish(&fields.collect(), &target)?;
        let what: Vec<_> = what.iter().map(|what| what.parts().1).collect();
        Ok((what.join(" "), mode))
    }

    #[track_caller]
    fn check(lines: &[(&'static str, &str)], what: &str, mode: Mode) {
        assert_eq!(wished(lines), Ok((what.to_owned(), mode)), "{lines:?}");
    }

    #[test]
    fn reads_what_is_to_be_purged_and_how() {
        let urls = "http://a.example:81/b?c https://a.example:81/b?c";
        check(&[], urls, Mode::Soft);
        check(&[("fastly-soft-purge", "1")], urls, Mode::Soft);
        check(&[("forebay-purge", "soft")], urls, Mode::Soft);
        check(&[("forebay-purge", "hard")], urls, Mode::Hard);
        check(&[("surrogate-key", "one two")], "one two", Mode::Soft);
        check(&[("cache-tag", "one, a b"), ("forebay-purge", "hard")], "one a b", Mode::Hard);
    }

    #[test]
    fn refuses_what_it_might_misunderstand() {
        assert!(wished(&[("forebay-purge", "Hard")]).is_err());
        assert!(wished(&[("surrogate-key", " ")]).is_err());
        assert!(wished(&[("cache-tag", "")]).is_err());
        let many: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        assert!(wished(&[("surrogate-key", &many.join(" "))]).is_err());
    }
}
