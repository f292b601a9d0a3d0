//! `POST /purge`: takes back what is stored; `GET /purge/{id}`: what came of it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

use super::{Answer, with_causes};
use crate::edge::Shared;
use crate::edge::purge::{NotOne, Purged, Receipt, Written};
use crate::store::log::{Edges, Unclear, Wish};
use crate::store::position::Position;

/// How long an answer waits until it is counted what was purged.
const COUNTED_WITHIN: Duration = Duration::from_millis(50);

/// Why a wish cannot be understood.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the body is no wish in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    NotOne(#[from] NotOne),
    #[error(transparent)]
    Unclear(#[from] Unclear),
}

/// What is known of a purge.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    receipt: Option<&'a Receipt>,
    /// Which edges have done it, where several share a log.
    #[serde(skip_serializing_if = "Option::is_none")]
    edges: Option<Edges>,
}

/// Purges what this `body` wishes.
pub(super) async fn answer(shared: &Arc<Shared>, body: &[u8]) -> Answer {
    let purged = async || -> Result<Purged, Refused> {
        let written: Written = serde_json::from_slice(body)?;
        Ok(shared.purge(Wish::try_from(written)?).await?)
    };
    match purged().await {
        Ok(Purged { untold: Some(untold), .. }) => {
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, &with_causes(&untold))
        }
        Ok(Purged { receipt, untold: None }) => {
            if let Some(receipt) = &receipt {
                receipt.counted(COUNTED_WITHIN).await;
            }
            Answer::json(&Told { receipt: receipt.as_deref(), edges: None })
        }
        Err(refused) => Answer::text(StatusCode::BAD_REQUEST, &with_causes(&refused)),
    }
}

/// The receipt with this id, and which edges have done what it says.
pub(super) async fn receipt(shared: &Shared, id: &str) -> Answer {
    let id = match id.parse::<Position>() {
        Ok(id) => id,
        Err(error) => return Answer::text(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let Some(receipt) = shared.receipts.of(id) else {
        let text = format!("no purge {id} is known here: it is too long ago, or of another edge");
        return Answer::text(StatusCode::NOT_FOUND, &text);
    };
    match shared.store.log().edges(id).await {
        Ok(edges) => Answer::json(&Told { receipt: Some(&receipt), edges }),
        Err(error) => Answer::text(StatusCode::SERVICE_UNAVAILABLE, &with_causes(&error)),
    }
}
