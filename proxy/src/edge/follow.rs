//! Answers a request that may use the cache: from what is stored, or from a forward request that
//! it leads or joins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use pingora::BError;
use pingora::proxy::Session;
use tokio::time::timeout_at;

use super::decide::Asked;
use super::deliver::{self, Reply};
use super::fetch::{self, Order};
use super::lookup::{self, Forward, Found};
use super::{Context, Shared, compress, dictionaries, fail};
use crate::collapse::{Arriving, Entry, FlightKey, News, Opening, Passenger};
use crate::event::{Detail, Failure, Fwd, Tier, Trail};
use crate::field::cache_control::RequestDirectives;
use crate::field::coding::Coding;
use crate::policy::answer::Answer;
use crate::policy::encode::takes_as_sent;
use crate::policy::fail::{Trouble, may_go_ahead, may_stand_in};
use crate::policy::forward::{anonymise, passes_range};
use crate::policy::look_up::{self, Missing, Opened, Serving};
use crate::policy::request::Ask;
use crate::policy::reuse::Reuse;
use crate::store::memory::Epoch;
use crate::stored::{Freshness, Selecting, Stored, StoredHead};
use crate::time::{self, Timestamp};

/// Answers the request.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    session: &mut Session,
    context: &mut Context,
    asked: Asked,
) -> Result<(), BError> {
    let fields = &session.req_header().headers;
    let epoch = shared.store.epoch();
    let mut found = lookup::look_up(shared, &asked, fields, time::now());
    let mut tier = None;
    if let Found::Forward(forward) = &found
        && forward.may_be_below(&shared.store)
    {
        let is_miss = forward.stored.is_none();
        // A copy, for the session is not shared with what waits.
        let fields = fields.clone();
        let below = lookup::look_below(shared, &asked, &fields).await;
        if let Some((below, whence)) =
            below.filter(|(below, _)| is_miss || matches!(below, Found::Usable(..)))
        {
            (found, tier) = (below, Some(whence));
        }
    }
    let fields = &session.req_header().headers;
    let forward = match found {
        Found::Usable(stored, reuse, serving) => {
            if reuse == Reuse::WhileRevalidate {
                revalidate(shared, &asked, &stored, fields, epoch);
            }
            context.trail = Trail { hit: true, tier, detail: reuse.detail(), ..Trail::default() };
            let reply = reply(shared, &asked, &stored, serving, time::now());
            let sent = deliver::send(session, context, reply).await;
            shared.store.note_read(&asked.key, &stored);
            return sent;
        }
        Found::Forward(forward) => forward,
    };
    if asked.ask.directives.only_if_cached {
        context.trail.detail = Some(Detail::OnlyIfCached);
        return fail::refuse(session, context, StatusCode::GATEWAY_TIMEOUT).await;
    }
    let fields = Arc::new(fields.clone());
    let request = Forwarding { shared, asked: Arc::new(asked), fields, forward };
    request.run(session, context).await
}

/// What `serving` says of `stored`; a body that is missing is made while it is read.
fn reply(
    shared: &Arc<Shared>,
    asked: &Asked,
    stored: &Stored,
    mut serving: Serving,
    now: Timestamp,
) -> Reply {
    compress::note_hit(shared, asked, stored, &serving);
    dictionaries::order(shared, asked, stored, serving.work.as_deref().copied());
    if let Some(missing) = serving.missing.take() {
        let Missing { coding, fields } = *missing;
        let of_body = || compress::of_stored(shared, asked, stored, coding);
        let body = (asked.ask.method == Method::GET).then(of_body);
        // What it would have been is all that HEAD asks.
        if let None | Some(Some(_)) = body {
            let reply = Reply::being_made(stored, fields, body.flatten(), now);
            return reply.made(coding.map(Coding::token), Some(stored.body.length()));
        }
    }
    let coding = serving.coding();
    Reply::stored(stored, serving, now).made(coding, Some(stored.body.length()))
}

/// Asks the origin again in the background, in nobody's name, for what was looked up after `epoch`,
/// unless that is under way.
fn revalidate(
    shared: &Arc<Shared>,
    asked: &Asked,
    stored: &Stored,
    fields: &HeaderMap,
    epoch: Epoch,
) {
    // What this client wants of it is not what the cache wants of it.
    let mut fields = fields.clone();
    for name in [header::RANGE, header::IF_RANGE, header::CACHE_CONTROL, header::PRAGMA] {
        fields.remove(name);
    }
    anonymise(&mut fields, &asked.route.policy.key);
    let mut asked = asked.clone();
    asked.client.address = None;
    asked.ask = Ask::read(&Method::GET, &HeaderMap::new(), false);
    let names = stored.head.selecting.names().to_vec();
    let selecting = Selecting::new(&names, &fields);
    let generation = asked.snapshot.generation;
    let changed = shared.store.changed(&asked.key);
    let key = FlightKey { key: asked.key.clone(), generation, changed, selecting, range: None };
    if let Entry::Lead(lead, _) = shared.flights.enter(key) {
        let forward = Forward::new(Fwd::Stale, Some(stored.clone()), names, epoch);
        let order = Order::new(Arc::new(asked), Arc::new(fields), forward);
        tokio::spawn(fetch::fetch(Arc::clone(shared), order, lead));
    }
}

/// With whom a request goes forward.
#[derive(Clone, Debug)]
enum Company {
    /// With all that ask for the same.
    All(Vec<HeaderName>),
    /// With all that ask for the same variant, now that it is known which fields select.
    Variant(Vec<HeaderName>),
    /// With nobody.
    Nobody(Option<Detail>),
}

impl Company {
    /// The next smaller company, after an answer that another request may not share.
    fn without(&self, verdict: Result<(), Detail>, head: &StoredHead) -> Self {
        match (self, verdict) {
            (_, Err(_)) => Self::Nobody(Some(Detail::HitForMiss)),
            (Self::All(_), Ok(())) => Self::Variant(head.selecting.names().to_vec()),
            (Self::Variant(_) | Self::Nobody(_), Ok(())) => Self::Nobody(None),
        }
    }
}

/// A request that goes forward.
struct Forwarding<'a> {
    shared: &'a Arc<Shared>,
    asked: Arc<Asked>,
    fields: Arc<HeaderMap>,
    forward: Forward,
}

/// What came of waiting for an answer.
enum Outcome {
    /// It was given.
    Answered,
    /// It is not for this request, which must go again.
    Again(Company),
}

impl Forwarding<'_> {
    async fn run(&self, session: &mut Session, context: &mut Context) -> Result<(), BError> {
        let mut company = self.company();
        // Each turn makes the company smaller; a request that goes alone is answered.
        while let Outcome::Again(smaller) = self.attempt(session, context, &company).await? {
            company = smaller;
        }
        Ok(())
    }

    /// With whom the request may share an answer, as far as it is known before there is one.
    fn company(&self) -> Company {
        if self.asked.ask.goes_alone() {
            Company::Nobody(None)
        } else if self.shared.flights.is_alone(&self.asked.key) {
            Company::Nobody(Some(Detail::HitForMiss))
        } else {
            Company::All(self.forward.selecting.clone())
        }
    }

    async fn attempt(
        &self,
        session: &mut Session,
        context: &mut Context,
        company: &Company,
    ) -> Result<Outcome, BError> {
        let Forward { why, detail, .. } = self.forward;
        context.trail = Trail { fwd: Some(why), detail, ..Trail::default() };
        let entry = match company {
            Company::All(names) | Company::Variant(names) => {
                self.shared.flights.enter(self.flight_key(names))
            }
            Company::Nobody(why) => {
                context.trail.detail = why.or(detail);
                let (lead, passenger) = self.shared.flights.alone();
                Entry::Lead(lead, passenger)
            }
        };
        let (lead, passenger) = match entry {
            Entry::Lead(lead, passenger) => (lead, passenger),
            Entry::Wait(passenger) => {
                context.trail.collapsed = true;
                return self.follow(session, context, passenger, Some(company)).await;
            }
        };
        if !matches!(company, Company::Nobody(_))
            && let Some(reply) = self.landed()
        {
            // Between the look-up and here, the flight of another request landed.
            drop(lead);
            context.trail.collapsed = true;
            deliver::send(session, context, reply).await?;
            return Ok(Outcome::Answered);
        }
        let order =
            Order::new(Arc::clone(&self.asked), Arc::clone(&self.fields), self.forward.clone());
        tokio::spawn(fetch::fetch(Arc::clone(self.shared), order, lead));
        self.follow(session, context, passenger, None).await
    }

    fn flight_key(&self, names: &[HeaderName]) -> FlightKey {
        let range = self.fields.get(header::RANGE).filter(|_| self.wants_part());
        FlightKey {
            key: self.asked.key.clone(),
            generation: self.asked.snapshot.generation,
            changed: self.shared.store.changed(&self.asked.key),
            selecting: Selecting::new(names, &self.fields),
            range: range.map(|range| Bytes::copy_from_slice(range.as_bytes())),
        }
    }

    fn wants_part(&self) -> bool {
        passes_range(&self.asked.ask.method, &self.fields)
    }

    /// What a flight that has landed meanwhile left in the store for this request.
    fn landed(&self) -> Option<Reply> {
        let now = time::now();
        match lookup::look_up(self.shared, &self.asked, &self.fields, now) {
            Found::Usable(stored, Reuse::Fresh, serving) => Some(self.reply(&stored, serving, now)),
            Found::Usable(..) | Found::Forward(_) => None,
        }
    }

    /// Waits for the answer of a flight and gives it, as far as it is for this request; gives what
    /// is stored if that may answer and the deadline has passed. `company` is with whom it waits,
    /// or `None` if it leads: then every answer is for it.
    async fn follow(
        &self,
        session: &mut Session,
        context: &mut Context,
        mut passenger: Passenger<Failure>,
        company: Option<&Company>,
    ) -> Result<Outcome, BError> {
        let began = Instant::now();
        let mut deadline = self.deadline().map(|limit| passenger.began() + limit);
        loop {
            let news = within(deadline, passenger.news());
            let opening = match deliver::unless_gone(session, news).await? {
                Ok(Some(News::Interim(status, fields))) => {
                    deliver::interim(session, status, &fields).await?;
                    continue;
                }
                Ok(Some(News::Opening(opening))) => opening,
                Ok(None) if company.is_some() => return self.lost(session, context).await,
                Ok(None) => Opening::Failed(Failure::Closed, None),
                Err(Late) => {
                    deadline = None;
                    let Some(reply) = self.of_stored(may_go_ahead, Trouble::Disconnected) else {
                        continue;
                    };
                    context.trail.waited = Some(began.elapsed());
                    context.trail.detail = Some(Detail::Deadline);
                    deliver::send(session, context, reply).await?;
                    return Ok(Outcome::Answered);
                }
            };
            context.trail.waited = Some(began.elapsed());
            return self.take(session, context, opening, passenger, company).await;
        }
    }

    /// How long it waits for the origin if something stored can answer.
    fn deadline(&self) -> Option<Duration> {
        self.forward.stored.as_ref()?;
        self.asked.network_first()?.deadline
    }

    /// Gives the answer of a flight, as far as it is for this request.
    async fn take(
        &self,
        session: &mut Session,
        context: &mut Context,
        opening: Opening<Failure>,
        passenger: Passenger<Failure>,
        company: Option<&Company>,
    ) -> Result<Outcome, BError> {
        match opening {
            Opening::Failed(failure, status) => {
                self.give_up(session, context, failure, status).await?;
            }
            Opening::Stands(stored, status, verdict) => {
                if let Some(company) = company
                    && (verdict.is_err() || !stored.head.selecting.matches(&self.fields))
                {
                    return Ok(Outcome::Again(company.without(verdict, &stored.head)));
                }
                context.trail.note_answer(status.as_u16(), verdict);
                self.give(session, context, &stored).await?;
            }
            Opening::Elsewhere(stored) => {
                if let Some(company) = company
                    && !stored.head.selecting.matches(&self.fields)
                {
                    return Ok(Outcome::Again(company.without(Ok(()), &stored.head)));
                }
                context.trail = Trail { hit: true, tier: Some(Tier::Redis), ..context.trail };
                self.give(session, context, &stored).await?;
            }
            Opening::Answer(arriving) => {
                if company.is_some() && arriving.is_overload() {
                    // The answer is its leader's. That the origin is down is for all who
                    // wait: if they asked again one by one, they would keep it down.
                    let status = Some(arriving.head.status);
                    self.give_up(session, context, Failure::Invalid, status).await?;
                    return Ok(Outcome::Answered);
                }
                // A part is only for who asked for that part.
                let fits = arriving.verdict.is_ok()
                    && arriving.head.selecting.matches(&self.fields)
                    && (arriving.head.part.is_none() || self.wants_part());
                if let Some(company) = company.filter(|_| !fits) {
                    let smaller = company.without(arriving.verdict, &arriving.head);
                    return Ok(Outcome::Again(smaller));
                }
                self.stream(session, context, &arriving, passenger).await?;
            }
        }
        Ok(Outcome::Answered)
    }

    fn reply(&self, stored: &Stored, serving: Serving, now: Timestamp) -> Reply {
        reply(self.shared, &self.asked, stored, serving, now)
    }

    /// The flight that it waited for ended without an answer, or before it was boarded: gives
    /// what that left, if anything.
    async fn lost(&self, session: &mut Session, context: &mut Context) -> Result<Outcome, BError> {
        let Some(reply) = self.landed() else {
            return Ok(Outcome::Again(Company::Nobody(None)));
        };
        deliver::send(session, context, reply).await?;
        Ok(Outcome::Answered)
    }

    /// Gives what is stored.
    async fn give(
        &self,
        session: &mut Session,
        context: &mut Context,
        stored: &Stored,
    ) -> Result<(), BError> {
        let serving = look_up::serve(stored, &self.asked.wanted(&self.fields));
        let sent = deliver::send(session, context, self.reply(stored, serving, time::now())).await;
        self.shared.store.note_read(&self.asked.key, stored);
        sent
    }

    /// Gives an answer while it arrives.
    async fn stream(
        &self,
        session: &mut Session,
        context: &mut Context,
        arriving: &Arc<Arriving>,
        passenger: Passenger<Failure>,
    ) -> Result<(), BError> {
        context.trail.note_answer(arriving.head.status.as_u16(), arriving.verdict);
        let Asked { ask, client, .. } = &*self.asked;
        let wanted = self.asked.wanted(&self.fields);
        let is_shared = arriving.verdict.is_ok();
        let Opened { mut fields, answer, missing } =
            look_up::open(&arriving.head, arriving.length, is_shared, &wanted);
        let mut body = (passenger, arriving.length);
        let mut coding = None;
        // Before HTTP/1.1, an end that nobody announced could not be told from a broken one.
        let must_be_made = client.version != "1.0" || !takes_as_sent(ask, &arriving.head);
        if let Some(missing) = missing.filter(|_| must_be_made) {
            let (source, length) = body;
            let to = missing.coding;
            let made = if ask.method == Method::HEAD {
                Ok(source)
            } else {
                compress::of_arriving(self.shared, &self.asked, source, arriving, to)
            };
            body = match made {
                Ok(made) => {
                    (fields, coding) = (missing.fields, to);
                    (made, None)
                }
                Err(source) => (source, length),
            };
        }
        let now = context.trail.collapsed.then(time::now);
        let reply = Reply::arriving(arriving, fields, &answer, body, now);
        deliver::send(session, context, reply.made(coding.map(Coding::token), arriving.length))
            .await
    }

    /// Gives what is stored where that is allowed, or says how the origin failed.
    async fn give_up(
        &self,
        session: &mut Session,
        context: &mut Context,
        failure: Failure,
        status: Option<StatusCode>,
    ) -> Result<(), BError> {
        context.trail.fwd_status = status.map(|status| status.as_u16());
        let trouble = if status.is_some() { Trouble::Error } else { Trouble::Disconnected };
        if let Some(reply) = self.of_stored(may_stand_in, trouble) {
            let detail = if reply.is_fresh() { Detail::FreshIfError } else { Detail::StaleIfError };
            context.trail.detail = Some(detail);
            return deliver::send(session, context, reply).await;
        }
        // An error of the origin's own is told by its status.
        context.trail.detail = status.is_none().then(|| failure.detail());
        fail::refuse(session, context, status.unwrap_or(failure.status())).await
    }

    /// What is stored, as an answer without the origin, if `may` lets it in spite of `trouble`.
    fn of_stored(&self, may: May, trouble: Trouble) -> Option<Reply> {
        let stored = self.forward.stored.as_ref()?;
        let now = time::now();
        if !may(&stored.head.freshness, &self.asked.ask.directives, trouble, now) {
            return None;
        }
        let serving = look_up::serve(stored, &self.asked.wanted(&self.fields));
        (serving.answer != Answer::Missing).then(|| self.reply(stored, serving, now))
    }
}

/// Says whether what is stored may answer in spite of some trouble.
type May = fn(&Freshness, &RequestDirectives, Trouble, Timestamp) -> bool;

/// The deadline has passed.
struct Late;

/// Waits for `news` until `deadline`, if there is one; news that are there already are in time.
async fn within<T>(
    deadline: Option<tokio::time::Instant>,
    news: impl Future<Output = T>,
) -> Result<T, Late> {
    match deadline {
        Some(deadline) => timeout_at(deadline, news).await.map_err(|_elapsed| Late),
        None => Ok(news.await),
    }
}
