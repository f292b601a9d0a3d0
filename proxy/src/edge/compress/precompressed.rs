//! Asks the origin for a body that it compressed ahead of time, and believes nothing but the bytes.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use log::debug;
use pingora::BError;
use pingora::http::RequestHeader;
use tokio::time::timeout;

use crate::edge::Shared;
use crate::edge::decide::Asked;
use crate::event::Failure;
use crate::field::coding::Coding;
use crate::origin::Origin;
use crate::policy::precompressed::{self, Unfit};
use crate::stored::Body;
use crate::transform::decode::{DecodeError, Decoder};

/// The longest that it may take, from the connection to the last byte.
const LONGEST: Duration = Duration::from_secs(30);

/// Why what the origin has is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unused {
    #[error("{}", .0.reason())]
    Unfit(Unfit),
    #[error("the origin failed: {0:?}")]
    Failed(Failure),
    #[error("it took longer than {LONGEST:?}")]
    Late,
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    #[error("it is of another body")]
    Other,
}

impl From<Failure> for Unused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The request for what `asked` is about in `coding`; nothing if there is nothing to ask for.
pub(super) fn request(asked: &Asked, coding: Coding) -> Option<RequestHeader> {
    let path = precompressed::path_and_query(&asked.target, coding)?;
    let host = asked.origin.settings().host.as_deref().unwrap_or(asked.target.authority());
    let built = || -> Result<RequestHeader, BError> {
        let mut request = RequestHeader::build("GET", path.as_bytes(), None)?;
        request.insert_header(header::HOST, host)?;
        for (name, value) in &precompressed::fields(&asked.client) {
            request.append_header(name, value)?;
        }
        Ok(request)
    };
    match built() {
        Ok(request) => Some(request),
        Err(error) => {
            debug!("{path} cannot be asked for: {error}");
            None
        }
    }
}

/// Sends `request` to `origin` and waits for the body in `coding`, which has `most` bytes at most.
///
/// # Errors
///
/// Why there is none.
pub(super) async fn ask(
    shared: &Shared,
    origin: &Origin,
    request: &RequestHeader,
    coding: Coding,
    most: u64,
) -> Result<Body, Unused> {
    let asking = async {
        let (mut exchange, mut head) = shared.connections.ask(origin, request).await?;
        while head.status.is_informational() {
            head = exchange.next_head().await?;
        }
        precompressed::check(head.status, &head.headers, coding, most).map_err(Unused::Unfit)?;
        let pieces = exchange.body(most).await?;
        exchange.finish().await;
        Ok(Body::new(pieces))
    };
    timeout(LONGEST, asking).await.unwrap_or(Err(Unused::Late))
}

/// Whether `sent` is `plain` in `coding`, to the last byte.
///
/// # Errors
///
/// Why not.
pub(super) fn check(coding: Coding, sent: &Body, plain: &Body) -> Result<(), Unused> {
    let mut decoder = Decoder::new(coding, plain.length());
    let mut at = 0;
    for piece in sent.as_slice() {
        let mut piece = piece.clone();
        while let Some(ready) = decoder.take(&mut piece)? {
            let end = at + ready.len() as u64;
            if !is_same(&plain.slice(at, end), &ready) {
                return Err(Unused::Other);
            }
            at = end;
        }
    }
    decoder.finish()?;
    if at == plain.length() { Ok(()) } else { Err(Unused::Other) }
}

fn is_same(pieces: &[Bytes], whole: &[u8]) -> bool {
    let mut rest = Some(whole);
    for piece in pieces {
        rest = rest.and_then(|rest| rest.strip_prefix(&piece[..]));
    }
    rest.is_some_and(<[u8]>::is_empty)
}
