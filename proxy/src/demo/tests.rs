//! What a client sees of the sample origin, asked without a network.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{Answer, Ask, Demo, pictures};
use crate::time::Timestamp;

const NOON: Timestamp = Timestamp::from_seconds(1_780_000_000);

fn ask(demo: &Demo, method: &Method, url: &str, fields: &[(&'static str, &str)]) -> Answer {
    let (path, query) =
        url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    demo.answer(&Ask { method, path, query, headers: &headers, now: NOON })
}

fn got(url: &str, fields: &[(&'static str, &str)]) -> Answer {
    ask(&Demo::new(), &Method::GET, url, fields)
}

fn field<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// All `href` and `src` of a page.
fn links(page: &str) -> Vec<String> {
    let after = |mark: &str| -> Vec<String> {
        page.split(mark).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let mut links = after("href=\"");
    links.extend(after("src=\""));
    links
}

/// All `href` values within JSON.
fn hrefs(value: &serde_json::Value) -> Vec<String> {
    let within = value.as_array().into_iter().flatten().flat_map(hrefs);
    let fields = value.as_object().into_iter().flatten();
    let own = fields.flat_map(|(name, value)| match value.as_str() {
        Some(link) if name.ends_with("href") => vec![link.to_owned()],
        _ => hrefs(value),
    });
    within.chain(own).collect()
}

fn check_control(url: &str, expected: &str) {
    assert_eq!(field(&got(url, &[]), "cache-control"), expected, "{url}");
}

#[test]
fn says_how_long_each_kind_of_answer_is_fresh() {
    check_control("/", "public, max-age=60");
    check_control("/images/cup.png", "public, max-age=3600");
    check_control("/api/manufacturers", "public, max-age=3600");
    check_control("/api/categories/gears", "public, max-age=3600");
    check_control("/api/products", "public, max-age=300, stale-while-revalidate=60");
    check_control("/api/products/1001", "public, max-age=300, stale-while-revalidate=60");
    check_control("/api/orders", "public, max-age=5");
    check_control("/api/session", "private, no-store");
    check_control("/api/broken", "no-store");
    check_control("/slow", "public, max-age=30");
    check_control("/nothing", "public, max-age=10");
}

#[test]
fn answers_every_link_of_the_front_page() {
    let demo = Demo::new();
    let page = ask(&demo, &Method::GET, "/", &[]);
    let links = links(std::str::from_utf8(&page.body).unwrap());
    assert!(links.len() > 25, "{links:?}");
    for link in links.iter().filter(|link| !link.starts_with('#')) {
        assert_eq!(ask(&demo, &Method::GET, link, &[]).status, StatusCode::OK, "{link}");
    }
}

#[test]
fn has_a_target_for_every_anchor_and_script_hook() {
    let page = got("/", &[]);
    let page = std::str::from_utf8(&page.body).unwrap();
    let hooks = include_str!("pages/app.js").split("byId(\"").skip(1);
    let hooks = hooks.map(|rest| rest.split('"').next().unwrap().to_owned());
    let anchors =
        links(page).into_iter().filter_map(|link| Some(link.strip_prefix('#')?.to_owned()));
    for id in hooks.chain(anchors) {
        assert!(page.contains(&format!("id=\"{id}\"")), "{id}");
    }
}

#[test]
fn answers_every_link_of_the_api() {
    let demo = Demo::new();
    for url in [
        "/api/products",
        "/api/products/1001",
        "/api/categories",
        "/api/manufacturers",
        "/api/orders",
    ] {
        for link in hrefs(&json(&ask(&demo, &Method::GET, url, &[]))) {
            assert_eq!(ask(&demo, &Method::GET, &link, &[]).status, StatusCode::OK, "{link}");
        }
    }
}

#[test]
fn serves_bundles_for_a_year() {
    let demo = Demo::new();
    let page = ask(&demo, &Method::GET, "/", &[]);
    let all = links(std::str::from_utf8(&page.body).unwrap());
    let bundles: Vec<_> = all.iter().filter(|link| link.starts_with("/assets/")).collect();
    assert_eq!(bundles.len(), 3);
    for link in bundles {
        let answer = ask(&demo, &Method::GET, link, &[]);
        assert_eq!(field(&answer, "cache-control"), "public, max-age=31536000, immutable");
        let expected = if link.ends_with(".js") { "text/javascript" } else { "text/css" };
        assert!(field(&answer, "content-type").starts_with(expected), "{link}");
    }
}

#[test]
fn knows_no_bundle_under_an_old_name() {
    assert_eq!(got("/assets/app.00000000.js", &[]).status, StatusCode::NOT_FOUND);
}

#[test]
fn serves_each_picture_as_it_is() {
    for picture in &pictures::PICTURES {
        let answer = got(&format!("/images/{}", picture.name), &[]);
        assert_eq!(field(&answer, "content-type"), picture.content_type);
        assert_eq!(answer.body.len(), picture.bytes.len());
    }
}

#[test]
fn sends_no_content_to_a_client_that_has_it() {
    let demo = Demo::new();
    for url in
        ["/", "/images/moon.png", "/api/products?page=2", "/api/manufacturers", "/favicon.svg"]
    {
        let etag = field(&ask(&demo, &Method::GET, url, &[]), "etag").to_owned();
        for condition in
            [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()]
        {
            let answer = ask(&demo, &Method::GET, url, &[("if-none-match", &condition)]);
            assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{url} {condition}");
            assert_eq!(field(&answer, "etag"), etag);
            assert!(answer.body.is_empty() && !answer.headers.contains_key(header::CONTENT_TYPE));
            assert!(answer.headers.contains_key(header::CACHE_CONTROL));
        }
    }
}

fn check_since(fields: &[(&'static str, &str)], expected: StatusCode) {
    assert_eq!(got("/api/products", fields).status, expected, "{fields:?}");
}

#[test]
fn compares_dates_only_where_no_entity_tag_is_given() {
    let (same, earlier) = ("Mon, 01 Sep 2025 06:00:00 GMT", "Mon, 01 Sep 2025 05:59:59 GMT");
    assert_eq!(field(&got("/api/products", &[]), "last-modified"), same);
    check_since(&[("if-modified-since", same)], StatusCode::NOT_MODIFIED);
    check_since(&[("if-modified-since", earlier)], StatusCode::OK);
    check_since(&[("if-modified-since", "soon")], StatusCode::OK);
    check_since(&[("if-modified-since", same), ("if-none-match", "\"x\"")], StatusCode::OK);
}

#[test]
fn ignores_conditions_on_what_is_not_a_read() {
    let answer = ask(&Demo::new(), &Method::POST, "/api/orders", &[("if-none-match", "*")]);
    assert_eq!(answer.status, StatusCode::CREATED);
}

#[test]
fn gives_each_language_its_own_entity_tag() {
    let (english, german) =
        (got("/api/products", &[]), got("/api/products", &[("accept-language", "de-CH")]));
    assert_eq!(field(&english, "content-language"), "en");
    assert_eq!(field(&german, "content-language"), "de");
    assert_eq!(field(&german, "vary"), "Accept-Language");
    assert_ne!(field(&english, "etag"), field(&german, "etag"));
    let etag = field(&english, "etag");
    let other = got("/api/products", &[("accept-language", "de"), ("if-none-match", etag)]);
    assert_eq!(other.status, StatusCode::OK);
}

#[test]
fn tells_apart_pages_of_the_list() {
    let (first, second) = (got("/api/products", &[]), got("/api/products?page=2", &[]));
    assert_ne!(json(&first)["items"][0]["id"], json(&second)["items"][0]["id"]);
    assert_eq!(json(&first)["links"]["next"], "/api/products?page=2");
    assert_eq!(got("/api/products?page=0", &[]).status, StatusCode::BAD_REQUEST);
}

#[test]
fn sends_lists_of_realistic_size() {
    let size = got("/api/products", &[]).body.len();
    assert!((8_000..40_000).contains(&size), "{size}");
}

#[test]
fn names_each_product_of_a_list_in_its_surrogate_keys() {
    let answer = got("/api/products", &[]);
    let id = json(&answer)["items"][19]["id"].to_string();
    let keys: Vec<_> = field(&answer, "surrogate-key").split(' ').collect();
    assert!(keys.contains(&"products") && keys.contains(&format!("product-{id}").as_str()));
}

#[test]
fn answers_head_like_get_without_content() {
    let demo = Demo::new();
    for url in ["/", "/images/cup.png", "/api/products", "/api/broken", "/nothing", "/healthz"] {
        let (get, head) = (ask(&demo, &Method::GET, url, &[]), ask(&demo, &Method::HEAD, url, &[]));
        assert_eq!((get.status, &get.headers), (head.status, &head.headers), "{url}");
        assert_eq!(field(&head, "content-length"), get.body.len().to_string());
        assert!(head.body.is_empty());
    }
}

#[test]
fn says_in_json_what_is_missing() {
    for url in [
        "/nothing",
        "/api",
        "/api/",
        "/api/products/1",
        "/api/products/01001",
        "/api/orders/MO-x",
        "/images/x.png",
        "/healthz/",
    ] {
        let answer = got(url, &[]);
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{url}");
        assert_eq!(field(&answer, "content-type"), "application/problem+json");
        assert_eq!(json(&answer)["status"], 404);
    }
}

#[test]
fn names_the_methods_that_are_allowed() {
    let check = |method, url, allow| {
        let answer = ask(&Demo::new(), method, url, &[]);
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{url}");
        assert_eq!(field(&answer, "allow"), allow, "{url}");
    };
    check(&Method::POST, "/", "GET, HEAD");
    check(&Method::DELETE, "/api/orders", "GET, HEAD, POST");
    check(&Method::PUT, "/api/session", "GET, HEAD, POST, DELETE");
    check(&Method::OPTIONS, "/api/products", "GET, HEAD");
}

#[test]
fn shows_a_placed_order_on_the_board() {
    let demo = Demo::new();
    let before = field(&ask(&demo, &Method::GET, "/api/orders", &[]), "etag").to_owned();
    let created = ask(&demo, &Method::POST, "/api/orders", &[]);
    let location = field(&created, "location");
    assert_eq!((created.status, location), (StatusCode::CREATED, "/api/orders/WO-0001"));
    assert_eq!(field(&created, "cache-control"), "no-store");
    let board = ask(&demo, &Method::GET, "/api/orders", &[]);
    assert_eq!(json(&board)["items"][0]["href"], location);
    assert_ne!(field(&board, "etag"), before);
    assert_eq!(ask(&demo, &Method::GET, location, &[]).status, StatusCode::OK);
}

#[test]
fn shares_no_orders_with_a_caller_who_says_who_he_is() {
    let answer = got("/api/orders", &[("authorization", "Bearer x")]);
    assert_eq!(field(&answer, "cache-control"), "private, no-store");
    let vary: Vec<_> = answer.headers.get_all(header::VARY).iter().collect();
    assert_eq!(vary, ["Accept-Language", "Authorization"]);
}

#[test]
fn gives_each_session_its_own_cookie() {
    let demo = Demo::new();
    let cookie = || field(&ask(&demo, &Method::GET, "/api/session", &[]), "set-cookie").to_owned();
    let (first, second) = (cookie(), cookie());
    assert!(first.starts_with("sessionid=") && first.ends_with("HttpOnly; SameSite=Lax"));
    assert_ne!(first, second);
}

#[test]
fn ends_a_session() {
    let answer = ask(&Demo::new(), &Method::DELETE, "/api/session", &[]);
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(field(&answer, "set-cookie").contains("Max-Age=0"));
    assert!(!answer.headers.contains_key(header::CONTENT_LENGTH));
}

#[test]
fn takes_as_long_as_a_small_database() {
    for url in
        ["/api/products", "/api/products?page=2", "/api/orders", "/api/products/1001", "/api/x"]
    {
        let milliseconds = got(url, &[]).delay.as_millis();
        assert!((60..=120).contains(&milliseconds), "{url} {milliseconds}");
        assert_eq!(milliseconds, got(url, &[]).delay.as_millis());
    }
    assert_eq!(got("/slow", &[]).delay.as_secs(), 2);
    assert!(got("/", &[]).delay.is_zero());
}

#[test]
fn names_only_paths_that_it_serves_in_what_to_try() {
    let demo = Demo::new();
    for (command, shows) in Demo::try_these("http://127.0.0.1:8080/") {
        let (_, rest) = command.split_once("http://127.0.0.1:8080").unwrap();
        let path = rest.split(' ').next().unwrap();
        assert!(path.starts_with('/') && !shows.is_empty(), "{command}");
        assert_eq!(ask(&demo, &Method::GET, path, &[]).status, StatusCode::OK, "{command}");
    }
}

#[test]
fn fails_twice_after_the_machines_have_answered_once() {
    let demo = Demo::new();
    let statuses: Vec<_> =
        (0..6).map(|_| ask(&demo, &Method::GET, "/api/machines", &[]).status.as_u16()).collect();
    assert_eq!(statuses, [200, 503, 503, 200, 503, 503]);
}

#[test]
fn fails_each_time_where_it_is_broken() {
    let answer = got("/api/broken", &[]);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(field(&answer, "retry-after"), "30");
}
