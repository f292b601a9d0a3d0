//! Turns what went wrong into an answer: the one table from errors to statuses, public texts and
//! log levels.

use bytes::Bytes;
use http::{Method, StatusCode, header};
use log::{debug, warn};
use pingora::http::ResponseHeader;
use pingora::proxy::{FailToProxy, Session};
use pingora::{BError, Error, ErrorSource, ErrorType};

use super::{Context, deliver};
use crate::event::{Detail, Failure};
use crate::origin;

/// What an error is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    detail: Option<Detail>,
}

/// The table.
fn answer(error: &Error, failure: Failure) -> Option<Answer> {
    let at = |status, detail| Some(Answer { status, detail });
    match (error.esource(), error.etype()) {
        (ErrorSource::Upstream, _) => at(failure.status(), Some(failure.detail())),
        (_, ErrorType::HTTPStatus(code)) => {
            at(StatusCode::from_u16(*code).unwrap_or(StatusCode::BAD_GATEWAY), None)
        }
        // The client is gone, or its connection is beyond repair.
        (
            ErrorSource::Downstream,
            ErrorType::WriteError
            | ErrorType::ReadError
            | ErrorType::ConnectionClosed
            | ErrorType::WriteTimedout,
        ) => None,
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => at(StatusCode::REQUEST_TIMEOUT, None),
        (ErrorSource::Downstream, _) => at(StatusCode::BAD_REQUEST, Some(Detail::BadRequest)),
        (ErrorSource::Internal | ErrorSource::Unset, _) => {
            at(failure.status(), Some(failure.detail()))
        }
    }
}

/// Answers a request that pingora could not serve.
pub(super) async fn failed(
    session: &mut Session,
    error: &Error,
    context: &mut Context,
) -> FailToProxy {
    // After a 101 the connection speaks another protocol: nothing of ours belongs there.
    let begun = session.response_written().is_some_and(|head| {
        !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS
    });
    let answer = if begun { None } else { answer(error, origin::failure(error)) };
    let Some(Answer { status, detail }) = answer else {
        return FailToProxy { error_code: 0, can_reuse_downstream: false };
    };
    context.trail.detail = detail.or(context.trail.detail);
    if let Err(error) = refuse(session, context, status).await {
        debug!("cannot tell the client: {error}");
    }
    FailToProxy { error_code: status.as_u16(), can_reuse_downstream: false }
}

/// Answers with `status` and one line that says it.
pub(super) async fn refuse(
    session: &mut Session,
    context: &Context,
    status: StatusCode,
) -> Result<(), BError> {
    if status.is_server_error() {
        warn!("answered {} for {}", status.as_u16(), session.request_summary());
    }
    say(session, context, status, ("text/plain; charset=utf-8", format!("{status}\n"))).await
}

/// Answers with `status` and a text of the media type `kind`, which nobody stores.
pub(super) async fn say(
    session: &mut Session,
    context: &Context,
    status: StatusCode,
    (kind, text): (&str, String),
) -> Result<(), BError> {
    let mut head = ResponseHeader::build(status, Some(6))?;
    head.insert_header(header::CONTENT_TYPE, kind)?;
    head.insert_header(header::CONTENT_LENGTH, text.len().to_string())?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    deliver::sign(&mut head, context)?;
    let bodiless = session.req_header().method == Method::HEAD;
    let session = session.as_downstream_mut();
    deliver::write_head(session, head).await?;
    if bodiless {
        return Ok(());
    }
    session.write_response_body(Bytes::from(text), true).await
}
