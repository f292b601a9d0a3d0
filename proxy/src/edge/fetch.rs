//! Sends a forward request in a task of its own, and brings its answer to those who wait and to
//! the store.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use log::debug;
use pingora::http::{RequestHeader, ResponseHeader};

use super::decide::Asked;
use super::lookup::Forward;
use super::{Shared, dictionaries};
use crate::collapse::{Abandoned, Arriving, End, Lead, Opening};
use crate::event::{Detail, Failure, Fwd};
use crate::field::coding;
use crate::field::number;
use crate::field::range::{ByteRange, ContentRange};
use crate::origin::Exchange;
use crate::policy::admit::{self, Admission, Arrival};
use crate::policy::encode;
use crate::policy::fail::{Trouble, is_error};
use crate::policy::forward::{self, Purpose};
use crate::policy::freshen;
use crate::policy::identity;
use crate::policy::look_up;
use crate::policy::partial::{self, Fit};
use crate::policy::request::Ask;
use crate::policy::sanitised::Sanitised;
use crate::store::memory::{Epoch, Outdated};
use crate::store::redis::Guard;
use crate::store::tiers::Turns;
use crate::stored::{Body, Fields, Stored, StoredHead};
use crate::time::{self, Timestamp};

/// What is to be asked, for whom, and what is in hand.
#[derive(Clone, Debug)]
pub(super) struct Order {
    asked: Arc<Asked>,
    fields: Arc<HeaderMap>,
    forward: Forward,
}

impl Order {
    pub(super) const fn new(asked: Arc<Asked>, fields: Arc<HeaderMap>, forward: Forward) -> Self {
        Self { asked, fields, forward }
    }

    /// Waits for the turn of this edge among those that share what they store, if it asks for what
    /// they all may want.
    async fn turn(&self, shared: &Shared) -> Turns {
        let Asked { ask, key, route, .. } = &*self.asked;
        let is_stale = self.forward.why == Fwd::Stale;
        let may_be_newer = |stored: &Stored| is_stale && !stored.head.freshness.always_validate;
        let is_common = self.forward.stored.as_ref().is_none_or(may_be_newer)
            // No parts are shared.
            && !forward::passes_range(&ask.method, &self.fields);
        if !is_common || ask.goes_alone() || shared.flights.is_alone(key) {
            return Turns::Ask(None);
        }
        let rules = &route.policy.key;
        let names: Vec<_> = identity::selecting(rules).collect();
        shared.store.turn(key, &self.fields, &names, rules.max_variants).await
    }
}

/// A forward request under way.
struct Fetch {
    shared: Arc<Shared>,
    order: Order,
    lead: Lead<Failure>,
    /// While this is held, other edges wait for what is stored.
    lease: Option<Guard>,
    epoch: Epoch,
    since: Timestamp,
}

/// Sends the forward request that `order` calls for and leads its flight to the end.
pub(super) async fn fetch(shared: Arc<Shared>, order: Order, lead: Lead<Failure>) {
    let lease = match order.turn(&shared).await {
        Turns::Ask(lease) => lease,
        Turns::Answer(stored) => {
            lead.flight().open(Opening::Elsewhere(stored), false);
            lead.flight().end(End::Whole);
            return;
        }
    };
    // What is in hand may come to stand again: what was purged since it was looked up must not.
    let is_in_hand = order.forward.stored.is_some();
    let epoch = if is_in_hand { order.forward.epoch } else { shared.store.epoch() };
    let mut fetch = Fetch { shared, order, lead, lease, epoch, since: time::now() };
    if let Err(failure) = fetch.run().await {
        debug!("{}: {failure:?}", fetch.order.asked.target);
        fetch.lead.flight().open(Opening::Failed(failure, None), false);
    }
}

impl Fetch {
    async fn run(&mut self) -> Result<(), Failure> {
        let stored = self.order.forward.stored.clone();
        let kept = stored.as_ref().map(|stored| stored.head.fields.to_map());
        let Order { asked, fields, forward } = &self.order;
        let purpose =
            forward::purpose(&asked.ask, fields, forward.why, stored.as_ref().zip(kept.as_ref()));
        let validates = matches!(purpose, Purpose::Validate(_));
        let ranged = matches!(purpose, Purpose::Part | Purpose::Complete(..));
        let completes = matches!(purpose, Purpose::Complete(..));
        if let (Some(stored), Some(kept)) = (&stored, &kept)
            && (validates || completes)
        {
            self.ask_for_the_same(stored, kept);
        }
        let (exchange, head) = self.ask(&purpose).await?;
        match (stored, kept) {
            (Some(stored), Some(kept)) if validates && head.status == StatusCode::NOT_MODIFIED => {
                if freshen::applies(&kept, &head.headers) {
                    exchange.finish().await;
                    self.stand(&stored, &kept, &head);
                    return Ok(());
                }
                // It speaks of another version.
                self.take_whole(exchange).await
            }
            (Some(stored), Some(kept)) if completes => {
                self.complete(exchange, &head, &stored, &kept).await
            }
            _ => self.take_in(exchange, &head, ranged).await,
        }
    }

    /// Has the origin compare what is `stored`, with the fields `kept`, with the same form of it.
    fn ask_for_the_same(&mut self, stored: &Stored, kept: &HeaderMap) {
        let Order { asked, fields, .. } = &mut self.order;
        if let Some(accepted) = encode::accepted_again(&asked.ask, &stored.head, kept) {
            let accepted = HeaderValue::from_static(accepted);
            Arc::make_mut(fields).insert(header::ACCEPT_ENCODING, accepted);
        }
    }

    /// Sends the request and waits for the final head.
    async fn ask(&mut self, purpose: &Purpose<'_>) -> Result<(Exchange, ResponseHeader), Failure> {
        let Order { asked, fields, .. } = &self.order;
        let method = if asked.ask.method == Method::HEAD { "HEAD" } else { "GET" };
        let invalid = |_: pingora::BError| Failure::Invalid;
        let fields = forward::fields(fields, &asked.client, purpose);
        let path = asked.target.path_and_query();
        let mut request = RequestHeader::build(method, path.as_bytes(), Some(fields.len() + 1))
            .map_err(invalid)?;
        let host = asked.origin.settings().host.as_deref().unwrap_or(asked.target.authority());
        request.insert_header(header::HOST, host).map_err(invalid)?;
        for (name, value) in fields.iter().filter(|(name, _)| **name != header::HOST) {
            request.append_header(name.clone(), value.clone()).map_err(invalid)?;
        }
        self.since = time::now();
        // Boxed, since it is large and this is asked from several places.
        let asking = Box::pin(self.answer_to(&request));
        match asked.network_first() {
            Some(route) => route.watch(&asked.key, asking).await,
            None => asking.await,
        }
    }

    /// Waits for the final head; interim ones go to those who wait.
    async fn answer_to(
        &self,
        request: &RequestHeader,
    ) -> Result<(Exchange, ResponseHeader), Failure> {
        let origin = &self.order.asked.origin;
        let (mut exchange, mut head) = self.shared.connections.ask(origin, request).await?;
        while head.status.is_informational() {
            if head.status != StatusCode::CONTINUE {
                let fields = Fields::new(&Sanitised::new(&head.headers).interim());
                self.lead.flight().interim(head.status, fields);
            }
            head = exchange.next_head().await?;
        }
        Ok((exchange, head))
    }

    /// What may become of a stored response that was updated to have `fields`.
    ///
    /// It had been admitted once: what this request says for itself does not change that.
    fn admit_again(&self, status: StatusCode, fields: &HeaderMap) -> Admission {
        let ask = Ask::read(&Method::GET, &HeaderMap::new(), false);
        self.admit_as(&ask, status, fields, false)
    }

    fn admit(&self, status: StatusCode, fields: &HeaderMap, ranged: bool) -> Admission {
        self.admit_as(&self.order.asked.ask, status, fields, ranged)
    }

    fn admit_as(
        &self,
        ask: &Ask,
        status: StatusCode,
        fields: &HeaderMap,
        ranged: bool,
    ) -> Admission {
        let Asked { target, route, .. } = &*self.order.asked;
        let arrival = Arrival { status, fields, asked: self.since, arrived: time::now(), ranged };
        admit::admit(ask, &arrival, target.path(), &route.policy)
    }

    fn head(&self, status: StatusCode, fields: Sanitised, admission: &Admission) -> StoredHead {
        let Asked { target, route, .. } = &*self.order.asked;
        fields.stored(status, admission, &self.order.fields, (target, route))
    }

    /// The largest body that is stored.
    fn max_object(&self) -> u64 {
        self.order.asked.snapshot.settings.cache.max_object
    }

    /// What is stored was validated: freshens it (RFC 9111 §4.3.4).
    fn stand(&self, stored: &Stored, kept: &HeaderMap, answer: &ResponseHeader) {
        let (fresh, verdict) = self.freshen(stored, kept, answer);
        let verdict = verdict.and(self.own_verdict());
        self.lead.flight().open(Opening::Stands(fresh, answer.status, verdict), false);
        self.lead.flight().end(End::Whole);
    }

    /// What this request itself says against sharing its answer.
    fn own_verdict(&self) -> Result<(), Detail> {
        if self.order.asked.ask.authorized { Err(Detail::Authorization) } else { Ok(()) }
    }

    /// Updates what is stored with `answer`, or removes it if that forbids to keep it.
    fn freshen(
        &self,
        stored: &Stored,
        kept: &HeaderMap,
        answer: &ResponseHeader,
    ) -> (Stored, Result<(), Detail>) {
        let answer = Sanitised::new(&answer.headers).update(time::now());
        let fields = freshen::updated(kept, &answer);
        let admission = self.admit_again(stored.head.status, &fields);
        let key = &self.order.asked.key;
        let mut head = self.head(stored.head.status, Sanitised { fields }, &admission);
        head.part = stored.head.part;
        let fresh = Stored { head: Arc::new(head), body: stored.body.clone() };
        match admission.verdict {
            Ok(()) if self.own_verdict().is_ok() => self.update(stored, &fresh),
            Err(reason) if is_private(reason) => self.shared.store.invalidate(key),
            Ok(()) | Err(_) => {}
        }
        (fresh, admission.verdict)
    }

    /// Stores `fresh` in place of `stored`: which fields select may have changed.
    fn update(&self, stored: &Stored, fresh: &Stored) {
        let Asked { key, route, .. } = &*self.order.asked;
        let most = route.policy.key.max_variants;
        if self.shared.store.update(key, stored, fresh, most, self.epoch) == Err(Outdated) {
            debug!("{key}: invalidated while it was on its way");
        }
    }

    /// Adds what was missing to the stored part (RFC 9111 §3.4).
    async fn complete(
        &mut self,
        mut exchange: Exchange,
        head: &ResponseHeader,
        stored: &Stored,
        kept: &HeaderMap,
    ) -> Result<(), Failure> {
        let answer = Sanitised::new(&head.headers).fields;
        // What the new part leaves unsaid was said with the stored one: both together are judged.
        let mut fields = freshen::updated(kept, &answer);
        fields.remove(header::CONTENT_RANGE);
        let admission = self.admit(StatusCode::OK, &fields, true);
        let is_part = head.status == StatusCode::PARTIAL_CONTENT;
        let part = is_part.then(|| ContentRange::parse(&answer)).flatten();
        let fit = stored.head.part.as_ref().zip(part.as_ref());
        let fit = fit.and_then(|(held, new)| partial::fit((kept, held), (&answer, new)));
        let (Some(Fit { side, part: None }), Ok(())) = (fit, admission.verdict) else {
            if is_part {
                // A part that does not make the whole is no answer to who wants it.
                return self.take_whole(exchange).await;
            }
            return self.take_in(exchange, head, false).await;
        };
        let limit = self.max_object();
        let new = exchange.body(limit.saturating_sub(stored.body.length())).await?;
        let new = Body::new(new);
        let said = part.and_then(|part| part.range).map(ByteRange::length);
        if said != Some(new.length()) {
            return self.take_whole(exchange).await;
        }
        exchange.finish().await;
        let combined = self.head(StatusCode::OK, Sanitised { fields }, &admission);
        let body = side.join(&stored.body, &new);
        let combined = Stored { head: Arc::new(combined), body };
        store(&self.shared, &self.order.asked, &combined, self.epoch);
        self.lead.flight().open(Opening::Stands(combined, head.status, Ok(())), false);
        self.lead.flight().end(End::Whole);
        Ok(())
    }

    /// Gives up what came and asks for the whole.
    async fn take_whole(&mut self, exchange: Exchange) -> Result<(), Failure> {
        drop(exchange);
        let (exchange, head) = self.ask(&Purpose::Whole).await?;
        self.take_in(exchange, &head, false).await
    }

    /// Takes an answer in: to those who wait while it arrives, and to the store.
    async fn take_in(
        &mut self,
        exchange: Exchange,
        head: &ResponseHeader,
        ranged: bool,
    ) -> Result<(), Failure> {
        if head.status == StatusCode::NOT_MODIFIED {
            // Nothing was asked that this could answer.
            return Err(Failure::Invalid);
        }
        if self.may_fall_back(head.status) {
            exchange.finish().await;
            let failed = Opening::Failed(Failure::Invalid, Some(head.status));
            self.lead.flight().open(failed, false);
            return Ok(());
        }
        let fields = Sanitised::new(&head.headers);
        let admission = self.admit(head.status, &fields.fields, ranged);
        let length = length(head);
        let verdict = admission.of_whole(&self.order.asked.ask, length, self.max_object());
        if self.order.asked.ask.method == Method::HEAD && head.status == StatusCode::OK {
            self.confirm(head);
        }
        let head = self.head(head.status, fields, &admission);
        let arriving = Arc::new(Arriving { head, length, verdict });
        if verdict.is_err()
            && let Some(lease) = self.lease.take()
        {
            lease.not_stored();
        }
        if verdict.is_ok() {
            self.shared.flights.note(&self.order.asked.key, true);
        } else {
            // Nobody who comes later may share it, nor wait for it in vain.
            self.lead.close();
            if !ranged && !arriving.is_overload() && verdict.is_err_and(concerns_all) {
                self.shared.flights.note(&self.order.asked.key, false);
            }
        }
        self.lead.flight().open(Opening::Answer(Arc::clone(&arriving)), verdict.is_ok());
        self.take_body(exchange, &arriving).await;
        Ok(())
    }

    /// Whether something stored is to answer in place of this status.
    fn may_fall_back(&self, status: StatusCode) -> bool {
        let Order { asked, fields, forward } = &self.order;
        is_error(status)
            && forward.stored.as_ref().is_some_and(|stored| {
                look_up::stands_in(stored, &asked.wanted(fields), Trouble::Error, time::now())
            })
    }

    /// A 200 to `HEAD` tells whether what is stored still stands (RFC 9111 §4.3.5).
    fn confirm(&self, answer: &ResponseHeader) {
        let Some(stored) = &self.order.forward.stored else { return };
        // In another coding it is another form, which tells nothing of this one.
        if coding::of_body(&answer.headers).is_ok_and(|coding| coding != stored.head.coding) {
            return;
        }
        let kept = stored.head.fields.to_map();
        let length = stored.body.length();
        let is_whole = stored.head.status == StatusCode::OK && stored.head.part.is_none();
        if !is_whole || !freshen::confirmed_by_head(&kept, length, &answer.headers) {
            self.shared.store.invalidate(&self.order.asked.key);
            return;
        }
        drop(self.freshen(stored, &kept, answer));
    }

    /// Takes the body in. What fails here fails after the head is out: the body breaks off.
    async fn take_body(&mut self, mut exchange: Exchange, arriving: &Arriving) {
        let limit = self.max_object();
        let mut length = 0_u64;
        loop {
            match exchange.piece().await {
                Ok(Some(piece)) => {
                    length += piece.len() as u64;
                    if length > limit && self.lead.flight().is_kept() {
                        self.too_large();
                    }
                    if self.lead.flight().push(piece).await == Err(Abandoned) {
                        return;
                    }
                }
                Ok(None) => break,
                Err(failure) => {
                    debug!("{}: broke off: {failure:?}", self.order.asked.target);
                    self.lead.flight().end(End::Broken);
                    return;
                }
            }
        }
        // Stored before the end is told: who has the whole of it may ask again at once.
        if arriving.verdict.is_ok()
            && let Some(pieces) = self.lead.flight().kept()
        {
            let body = Body::new(pieces);
            self.store_whole(arriving, body.clone());
            self.lead.flight().hand_over(body);
        }
        self.lead.flight().end(End::Whole);
        self.lead.close();
        exchange.finish().await;
    }

    fn too_large(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.not_stored();
        }
        self.lead.flight().stop_keeping();
        self.lead.close();
        self.shared.flights.note(&self.order.asked.key, false);
    }

    fn store_whole(&mut self, arriving: &Arriving, body: Body) {
        let said = arriving.head.part.and_then(|part| part.range);
        if said.is_some_and(|range| range.length() != body.length()) {
            debug!("{}: a part that is not as long as it says", self.order.asked.target);
            return;
        }
        let mut stored = Stored { head: Arc::new(arriving.head.clone()), body };
        if let (Some(new), Some(old)) = (&stored.head.part, &self.order.forward.stored)
            && let Some(held) = &old.head.part
        {
            let (ours, theirs) = (old.head.fields.to_map(), stored.head.fields.to_map());
            if let Some(fit) = partial::fit((&ours, held), (&theirs, new)) {
                stored = joined(old, &stored, fit);
            }
        }
        store(&self.shared, &self.order.asked, &stored, self.epoch);
        if let Some(lease) = self.lease.take() {
            lease.stored();
        }
        dictionaries::note_stored(&self.shared, &self.order.asked, &stored);
    }
}

/// Two parts put together under the newer head.
fn joined(old: &Stored, new: &Stored, fit: Fit) -> Stored {
    let mut head = StoredHead::clone(&new.head);
    head.part = fit.part;
    if fit.part.is_none() {
        head.status = StatusCode::OK;
        let mut fields = head.fields.to_map();
        fields.remove(header::CONTENT_RANGE);
        head.fields = Fields::new(&fields);
    }
    Stored { head: Arc::new(head), body: fit.side.join(&old.body, &new.body) }
}

/// Stores what was asked for by `asked` at `since`.
pub(super) fn store(shared: &Shared, asked: &Asked, stored: &Stored, since: Epoch) {
    let Asked { key, route, .. } = asked;
    let most = route.policy.key.max_variants;
    if shared.store.store(key, stored, most, since) == Err(Outdated) {
        debug!("{key}: invalidated while it was on its way");
    }
}

/// Whether an answer that may not be stored for this reason takes away what was stored before.
const fn is_private(reason: Detail) -> bool {
    matches!(
        reason,
        Detail::NoStore | Detail::Private | Detail::SetCookie | Detail::VaryStar | Detail::Status
    )
}

/// Whether a reason not to share an answer will hold for other requests as well.
fn concerns_all(reason: Detail) -> bool {
    !matches!(reason, Detail::Authorization | Detail::RequestNoStore | Detail::Head | Detail::Part)
}

fn length(head: &ResponseHeader) -> Option<u64> {
    number::digits(head.headers.get(header::CONTENT_LENGTH)?.as_bytes().trim_ascii())
}
