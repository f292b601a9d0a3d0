//! The sample origin of `forebay demo`: a manufacturing platform with pages, pictures and an API.
//!
//! It is pure but for its counters and the orders that visitors place: a request's facts go in, an answer comes out, and how long to
//! wait before sending it. Nothing here opens a socket or reads a clock.
//!
//! | path | what | `Cache-Control` |
//! |---|---|---|
//! | `/` | the front page | `public, max-age=60` |
//! | `/assets/*` | bundles with hashed names | `public, max-age=31536000, immutable` |
//! | `/images/*` | photographs and drawings | `public, max-age=3600` |
//! | `/api/manufacturers`, `/api/categories` | reference data, and `/{id}` | `public, max-age=3600` |
//! | `/api/products` | `?page=`, `?q=`, `?category=`, and `/{id}` | `public, max-age=300, stale-while-revalidate=60` |
//! | `/api/orders` | the board of latest orders; `POST` places one | `public, max-age=5`; with `Authorization` `private, no-store` |
//! | `/api/machines` | answers once, then fails twice | `public, max-age=3, stale-if-error=300` |
//! | `/api/session` | starts a session, `DELETE` ends it | `private, no-store` |
//! | `/api/broken` | always 503 | `no-store` |
//! | `/slow` | a report that takes 2 s | `public, max-age=30` |
//! | `/healthz`, `/teapot` | 200, 418 | `no-store` |

mod bundle;
mod catalogue;
mod date;
mod language;
mod live;
mod mark;
mod page;
mod parts;
mod pictures;
mod query;
mod reply;
mod route;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, Method, StatusCode};

use self::bundle::Bundles;
use self::catalogue::{Catalogue, Document, Filter};
use self::language::Language;
use self::live::{Orders, machines, order_document};
use self::pictures::Ready;
use self::reply::{CHANGED, Reply};
use self::route::Route;
use crate::time::Timestamp;

const REFERENCE: &str = "public, max-age=3600";
const PRODUCTS: &str = "public, max-age=300, stale-while-revalidate=60";
const BOARD: &str = "public, max-age=5";
const MISSING: &str = "public, max-age=10";
const PRIVATE: &str = "private, no-store";
const NO_STORE: &str = "no-store";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Only what this origin serves may be loaded by its page.
const CONTENT_SECURITY: &str = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A session lasts a day, and belongs to the origin alone.
const SESSION_ATTRIBUTES: &str = "Path=/; Max-Age=86400; HttpOnly; SameSite=Lax";

/// The facts of a request.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it was sent, without the query.
    pub path: &'a str,
    /// The query without its `?`.
    pub query: Option<&'a str>,
    /// The fields of the head.
    pub headers: &'a HeaderMap,
    /// When the request came in.
    pub now: Timestamp,
}

/// What the listener is to send.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All fields but `Date` and those of the connection; `Content-Length` is among them wherever
    /// a GET of the same would have content.
    pub headers: HeaderMap,
    /// The content; empty for HEAD, 204 and 304.
    pub body: Bytes,
    /// How long the platform works on it: wait so long before sending anything.
    pub delay: Duration,
}

/// The sample platform.
pub struct Demo {
    bundles: Bundles,
    catalogue: Catalogue,
    pictures: Vec<Ready>,
    front: (Bytes, String),
    orders: Orders,
    sessions: AtomicU64,
    feeds: AtomicU64,
}

impl Default for Demo {
    fn default() -> Self {
        Self::new()
    }
}

impl Demo {
    /// Makes the catalogue, the bundles and the page, and hashes what never changes.
    #[must_use]
    pub fn new() -> Self {
        let (bundles, catalogue) = (Bundles::new(), Catalogue::new());
        let front = page::front(&bundles, &catalogue);
        let etag = mark::etag(front.as_bytes());
        Self {
            bundles,
            catalogue,
            pictures: pictures::ready(),
            front: (front.into(), etag),
            orders: Orders::default(),
            sessions: AtomicU64::new(0),
            feeds: AtomicU64::new(0),
        }
    }

    /// Answers any request; what is not served here is answered with 404 or 405.
    #[must_use]
    pub fn answer(&self, ask: &Ask<'_>) -> Answer {
        let reply = match Route::of(ask.path) {
            None => missing(ask.path),
            Some(route) => match route.methods().contains(ask.method) {
                true => self.reply(route, ask),
                false => not_allowed(route, ask),
            },
        };
        reply.answer(ask, route::delay(ask.path))
    }

    /// Commands for a terminal and what each shows; `edge` is a URL such as
    /// `http://127.0.0.1:8080`.
    #[must_use]
    pub fn try_these(edge: &str) -> Vec<(String, &'static str)> {
        let edge = edge.trim_end_matches('/');
        let head = "curl -s -o /dev/null -D -";
        vec![
            (
                format!("{head} {edge}/api/products"),
                "a miss the first time, a hit with its Age from then on",
            ),
            (
                format!("{head} -H 'Accept-Language: de' {edge}/api/products"),
                "another language is another variant under the same key",
            ),
            (
                format!("{head} -H 'Range: bytes=0-999' {edge}/images/bowl.jpg"),
                "a part of a picture, cut from the stored whole",
            ),
            (
                format!("{head} {edge}{}", Bundles::new().vendor.path),
                "a bundle with a hash in its name, kept for a year",
            ),
            (
                format!("{head} {edge}/api/session"),
                "a session is never stored: each answer has its own cookie",
            ),
            (
                format!("{head} -H 'Cookie: sessionid=1' {edge}/api/products"),
                "a request with a session goes past the cache",
            ),
            (
                format!("{head} -X POST {edge}/api/orders"),
                "an unsafe method invalidates the stored board of orders",
            ),
            (
                format!(
                    "seq 8 | xargs -P 8 -I{{}} curl -s -o /dev/null -w '%{{time_total}} s\\n' {edge}/slow"
                ),
                "eight at once, one request to the origin (2 s), then hits",
            ),
            (
                format!("{head} {edge}/api/machines"),
                "an origin that fails two times out of three: ask again after 3 s",
            ),
        ]
    }

    fn reply(&self, route: Route<'_>, ask: &Ask<'_>) -> Reply {
        match route {
            Route::Front => self.front(),
            Route::Asset => self.asset(ask.path),
            Route::Picture(name) => self.picture(name),
            Route::Icon => {
                let icon = include_bytes!("pages/favicon.svg");
                still("image/svg+xml", "public, max-age=86400", Bytes::from_static(icon))
                    .tagged(mark::etag(icon))
            }
            Route::Health => plain(StatusCode::OK, "ok\n"),
            Route::Teapot => plain(StatusCode::IM_A_TEAPOT, "short and stout\n"),
            Route::Slow => slow(ask.now),
            Route::Makers => Reply::document(self.catalogue.makers(), REFERENCE).modified(CHANGED),
            Route::Maker(id) => match self.catalogue.maker(id) {
                Some(document) => Reply::document(document, REFERENCE).modified(CHANGED),
                None => missing(ask.path),
            },
            Route::Categories => self.categories(None, ask),
            Route::Category(id) => self.categories(Some(id), ask),
            Route::Products => self.products(ask),
            Route::Product(id) => self.product(id, ask),
            Route::Orders if ask.method == Method::POST => self.place(ask),
            Route::Orders => self.board(ask),
            Route::Order(number) => self.order(number, ask),
            Route::Machines => self.hall(ask.now),
            Route::Session => self.session(ask),
            Route::Broken => {
                let detail = "the database of this platform is always away";
                Reply::problem(StatusCode::SERVICE_UNAVAILABLE, detail, NO_STORE)
                    .with(header::RETRY_AFTER, "30")
            }
        }
    }

    fn front(&self) -> Reply {
        let (page, etag) = &self.front;
        still(HTML, "public, max-age=60", page.clone())
            .with(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY)
            .with(surrogate_key(), "front")
            .tagged(etag)
    }

    fn asset(&self, path: &str) -> Reply {
        match self.bundles.find(path) {
            Some(bundle) => {
                let forever = "public, max-age=31536000, immutable";
                still(bundle.content_type, forever, bundle.body.clone())
                    .with(surrogate_key(), "assets")
                    .tagged(&bundle.etag)
            }
            None => missing(path),
        }
    }

    fn picture(&self, name: &str) -> Reply {
        match self.pictures.iter().find(|ready| ready.picture.name == name) {
            Some(ready) => {
                still(ready.picture.content_type, "public, max-age=3600", ready.body.clone())
                    .with(surrogate_key(), "images")
                    .tagged(&ready.etag)
            }
            None => missing(name),
        }
    }

    fn categories(&self, id: Option<&str>, ask: &Ask<'_>) -> Reply {
        let language = Language::of(ask.headers);
        let document = match id {
            Some(id) => self.catalogue.category(id, language),
            None => Some(self.catalogue.categories(language)),
        };
        match document {
            Some(document) => {
                Reply::document(document, REFERENCE).in_language(language).modified(CHANGED)
            }
            None => missing(ask.path),
        }
    }

    fn products(&self, ask: &Ask<'_>) -> Reply {
        let filter = match Filter::read(ask.query) {
            Ok(filter) => filter,
            Err(fault) => {
                return Reply::problem(StatusCode::BAD_REQUEST, &fault.to_string(), NO_STORE);
            }
        };
        let language = Language::of(ask.headers);
        let document = self.catalogue.list(&filter, language);
        Reply::document(document, PRODUCTS).in_language(language).modified(CHANGED)
    }

    fn product(&self, id: &str, ask: &Ask<'_>) -> Reply {
        let Some(product) = self.catalogue.product(id) else { return missing(ask.path) };
        let language = Language::of(ask.headers);
        let document = self.catalogue.detail(product, language);
        Reply::document(document, PRODUCTS).in_language(language).modified(CHANGED)
    }

    /// The board names no customer, so it may be shared; an answer to a caller who says who he is
    /// may not.
    fn board(&self, ask: &Ask<'_>) -> Reply {
        let language = Language::of(ask.headers);
        let (document, newest) = self.orders.board(&self.catalogue, language, ask.now);
        let known = ask.headers.contains_key(header::AUTHORIZATION);
        Reply::document(document, if known { PRIVATE } else { BOARD })
            .in_language(language)
            .with(header::VARY, "Authorization")
            .modified(newest)
    }

    fn order(&self, number: &str, ask: &Ask<'_>) -> Reply {
        let Some(order) = self.orders.find(number, ask.now) else { return missing(ask.path) };
        let language = Language::of(ask.headers);
        let document = order_document(order, &self.catalogue, language, ask.now);
        Reply::document(document, BOARD).in_language(language)
    }

    fn place(&self, ask: &Ask<'_>) -> Reply {
        let order = self.orders.place(ask.now);
        let language = Language::of(ask.headers);
        let document = order_document(order, &self.catalogue, language, ask.now);
        Reply::new(StatusCode::CREATED, reply::JSON, document.json.into())
            .with(header::CACHE_CONTROL, NO_STORE)
            .with(header::CONTENT_LANGUAGE, language.tag())
            .with(header::LOCATION, &format!("/api/orders/{}", order.number()))
    }

    /// Answers once, then fails twice, so that a stored answer can show what it is good for.
    fn hall(&self, now: Timestamp) -> Reply {
        if self.feeds.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            let cache_control = "public, max-age=3, stale-if-error=300";
            return Reply::document(machines(now), cache_control);
        }
        let detail = "the gateway of the hall does not answer; it will soon";
        Reply::problem(StatusCode::SERVICE_UNAVAILABLE, detail, NO_STORE)
            .with(header::RETRY_AFTER, "5")
    }

    fn session(&self, ask: &Ask<'_>) -> Reply {
        if ask.method == Method::DELETE {
            return Reply::empty(StatusCode::NO_CONTENT)
                .with(header::CACHE_CONTROL, PRIVATE)
                .with(header::SET_COOKIE, "sessionid=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        }
        let count = self.sessions.fetch_add(1, Ordering::Relaxed);
        let time = mark::mix(ask.now.as_millis().unsigned_abs());
        let id = format!(
            "{:016x}{:016x}",
            mark::mix(time ^ count),
            mark::mix(time.rotate_left(17) ^ count)
        );
        let view = serde_json::json!({ "session": &id, "expires_in": 86_400 });
        Reply::new(StatusCode::OK, reply::JSON, view.to_string().into())
            .with(header::CACHE_CONTROL, PRIVATE)
            .with(header::SET_COOKIE, &format!("sessionid={id}; {SESSION_ATTRIBUTES}"))
    }
}

const fn surrogate_key() -> HeaderName {
    HeaderName::from_static("surrogate-key")
}

/// Something that does not change while the program runs.
fn still(content_type: &'static str, cache_control: &'static str, body: Bytes) -> Reply {
    Reply::new(StatusCode::OK, content_type, body)
        .with(header::CACHE_CONTROL, cache_control)
        .modified(CHANGED)
}

fn plain(status: StatusCode, text: &'static str) -> Reply {
    Reply::new(status, TEXT, Bytes::from_static(text.as_bytes()))
        .with(header::CACHE_CONTROL, NO_STORE)
}

fn missing(path: &str) -> Reply {
    Reply::problem(StatusCode::NOT_FOUND, &format!("there is nothing at {path}"), MISSING)
}

fn not_allowed(route: Route<'_>, ask: &Ask<'_>) -> Reply {
    let allow: Vec<&str> = route.methods().iter().map(Method::as_str).collect();
    let allow = allow.join(", ");
    let detail = format!("{} is not allowed here; {allow} are", ask.method);
    Reply::problem(StatusCode::METHOD_NOT_ALLOWED, &detail, NO_STORE).with(header::ALLOW, &allow)
}

fn slow(now: Timestamp) -> Reply {
    let view = serde_json::json!({
        "report": "utilisation of all machines, last quarter",
        "percent": 78.4,
        "computed": date::iso(now),
    });
    let json = Document::new(&view, "reports");
    Reply::document(json, "public, max-age=30")
}
