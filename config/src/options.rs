//! Every option as it is written; the doc comment of an option is its manual.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::condition::written::{Conditions, Extension, FieldName, Method, ParameterName};
use crate::declare::{options, words};
use crate::disk::{Entries, Folder};
use crate::host::HostPattern;
use crate::include::Patterns;
use crate::kind::{
    Answers, ByStatus, Bytes, HostOverride, InMainFile, Language, LintNumber, List, MediaType,
    Name, Named, Network, OneOrMany, Reason, Reference, Threads, Token, Variants, Version, Wait,
};
use crate::name::NamePattern;
use crate::pattern::PathPattern;
use crate::redis::{Prefix, RedisValue};
use crate::settings::{Coding, OriginServer, RedisUrl, Secret, SetCookie, Strategy, TtlMode};

/// The most routes of all files together.
pub(crate) const MOST_ROUTES: usize = 10_000;

/// The built-in policies, in the language of the file.
pub(crate) const PRESETS: &str = include_str!("presets.toml");

/// The names of the built-in policies.
pub(crate) fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'))
}

options! {
    /// A whole file.
    Options {
        /// The version of this language.
        version: Version = Required, example "1";
        /// Further files, as paths seen from the folder of this one; the last part of a path may
        /// have `*` for any characters, `?` for one and `[a-z]` for one of some.
        ///
        /// They may have `listeners`, `origins`, `policies` and `routes`. Names are for all files
        /// together: none may be given twice. The files of a pattern are read in alphabetical
        /// order. Their routes go **before** those of this file, which so has the last word about
        /// what no other takes. The paths within them are seen from the folder of this file too.
        /// A pattern that matches no file is fine; a path without one must be that of a file.
        include: Patterns = Default("[]"), example r#"["conf.d/*.toml"]"#;
        /// Where clients connect: `[listeners.NAME]`, at least one.
        listeners: Named<Listener, 1> = InAnyFile,
            example r#"{ web = { address = "127.0.0.1:8080" } }"#;
        /// The servers behind the edge: `[origins.NAME]`, at least one.
        origins: Named<Origin, 1> = InAnyFile,
            example r#"{ api = { servers = ["http://127.0.0.1:8000"] } }"#;
        /// The listener for operators.
        admin: Admin = Default("{}"), example r#"{ address = "127.0.0.1:9901" }"#;
        /// How much is stored.
        cache: Cache = Default("{}"), example r#"{ memory = "2GiB" }"#;
        /// The program itself.
        server: Server = Default("{}"), example r#"{ grace = "1m" }"#;
        /// How responses are cached: `[policies.NAME]`.
        ///
        /// `api`, `reference`, `static` and `session` are there without being written. A policy
        /// of the same name replaces the built-in one as a whole.
        policies: Named<Policy, 0> = Default("{}"),
            example r#"{ news = { ttl = "1m", ttl_mode = "default" } }"#;
        /// Which request goes where: `[[routes]]`, at least one. The first that matches wins.
        routes: List<Route, 1, MOST_ROUTES> = InAnyFile,
            example r#"[{ name = "all", match = { path = "/**" }, origin = "api", policy = "api" }]"#;
    }

    /// A file that another includes.
    Included {
        /// As in the main file.
        version: Version = Optional, example "1";
        /// More of them.
        listeners: Named<Listener, 1> = Optional, example "{}";
        /// More of them.
        origins: Named<Origin, 1> = Optional, example "{}";
        /// More of them.
        policies: Named<Policy, 0> = Optional, example "{}";
        /// More of them, which go before those of the main file.
        routes: List<Route, 1, MOST_ROUTES> = Optional, example "[]";
        /// Only the main file has it.
        admin: InMainFile = Optional, example "{}";
        /// Only the main file has it.
        cache: InMainFile = Optional, example "{}";
        /// Only the main file has it.
        server: InMainFile = Optional, example "{}";
        /// Only the main file has it.
        include: InMainFile = Optional, example "[]";
    }

    /// An address where clients connect.
    Listener {
        /// The IP address and the port. Port 0 lets the system choose a free one.
        address: SocketAddr = Required, example r#""127.0.0.1:8080""#, at Restart;
        /// The certificate to show. Left out, clients do not speak TLS here.
        tls: Tls = Optional, example r#"{ cert = "tls.crt", key = "tls.key" }"#;
    }

    /// The certificate of a listener.
    Tls {
        /// A PEM file with the certificate and its chain, seen from the folder of the settings file.
        /// It is read when the edge starts, and so is the key.
        cert: PathBuf = Required, example r#""tls.crt""#, at Restart;
        /// A PEM file with the private key, seen from the folder of the settings file.
        key: PathBuf = Required, example r#""tls.key""#, at Restart;
    }

    /// A group of servers that give the same answers.
    Origin {
        /// The servers: scheme, host and, unless it is that of the scheme, port.
        servers: List<OriginServer, 1, 64> = Required, example r#"["http://127.0.0.1:8000"]"#;
        /// What `Host` says to the servers. Left out, it is what the client said.
        host: HostOverride = Optional, example r#""api.example""#;
        /// How long to wait for the servers.
        timeouts: Timeouts = Default("{}"), example r#"{ first_byte = "5s" }"#;
        /// How long a connection without a request is kept. `"0s"` closes it at once.
        idle: Duration = Default(r#""60s""#);
        /// A PEM file with the authorities to trust for `https`, seen from the folder of the settings
        /// file. Left out, those of the system are trusted. A server is always verified.
        ca: PathBuf = Optional, example r#""ca.pem""#;
        /// The numbers of the lints that are not told of this origin; see [Lints](#lints).
        lint_allow: List<LintNumber, 0, 64> = Default("[]"), example r#"["L018"]"#;
        /// Why they are not told. Required beside `lint_allow`.
        lint_reason: Reason = Optional, example r#""behind a tunnel that encrypts""#;
    }

    /// How long to wait for the servers of an origin; none of them may be zero.
    Timeouts {
        /// Until a connection stands, TLS included.
        connect: Wait = Default(r#""1s""#);
        /// From the end of the request to the first byte of the answer.
        first_byte: Wait = Default(r#""30s""#), example r#""5s""#;
        /// Between two pieces of a body.
        read: Wait = Default(r#""30s""#);
    }

    /// The listener for operators: metrics and health.
    Admin {
        /// The IP address and the port.
        address: SocketAddr = Default(r#""127.0.0.1:9900""#), at Restart;
        /// The bearer token to demand. Left out, it is `FOREBAY_ADMIN_TOKEN` of the environment.
        /// There must be one unless the address is loopback.
        token: Secret = Optional, example r#""${FOREBAY_ADMIN_TOKEN}""#;
        /// The numbers of the lints that are not told of this listener; see [Lints](#lints).
        lint_allow: List<LintNumber, 0, 64> = Default("[]"), example r#"["L016"]"#;
        /// Why they are not told. Required beside `lint_allow`.
        lint_reason: Reason = Optional, example r#""only our private network gets here""#;
    }

    /// How much is stored.
    Cache {
        /// The memory for stored responses, heads and tables included. When it is full, those of
        /// least use are evicted.
        memory: Bytes = Default(r#""512MiB""#), example r#""2GiB""#, at Restart;
        /// The largest body that is stored. A larger one goes through.
        max_object: Bytes = Default(r#""64MiB""#), example r#""8MiB""#;
        /// A folder for what outlives a restart and has no room in memory: `[cache.disk]`. Left out,
        /// all that is stored is in memory, and gone when the edge stops.
        ///
        /// What is stored is written there too, a little later, and looked for there when memory does
        /// not have it. When the disk is slow, full or away, the edge goes on without it, and
        /// comes back to it by itself.
        disk: Disk = Optional, example r#"{ path = "/var/cache/forebay", size = "20GiB" }"#;
        /// A Redis or Valkey that several edges share: `[cache.redis]`. Left out, each edge is on
        /// its own.
        ///
        /// What one edge has stored the others find there, and one of them alone asks the origin
        /// for what none has. Redis only ever makes things faster: when it is slow, full or away, the
        /// edges go on without it, and come back to it by themselves.
        redis: Redis = Optional, example r#"{ url = "redis://:${REDIS_PASSWORD}@127.0.0.1:6379" }"#;
    }

    /// A folder for what outlives a restart and has no room in memory.
    Disk {
        /// The folder, seen from that of the settings file. It is made if it is not there. It is for
        /// one edge alone: what it has not put there itself may be removed.
        path: Folder = Required, example r#""/var/cache/forebay""#, at Restart;
        /// The most that all files take, each counted in blocks of 4 KiB. When it is full, those of
        /// least use are evicted. Leave some room beside it: what is evicted or replaced is there
        /// for a moment more.
        size: Bytes = Default(r#""10GiB""#), example r#""20GiB""#, at Restart;
        /// The most stored responses. Each of them takes about 100 bytes of memory, beside
        /// `cache.memory`.
        entries: Entries = Default("1000000"), example "1000000", at Restart;
    }

    /// A Redis or Valkey that several edges share.
    ///
    /// Give it a memory limit and let it evict: `maxmemory 4gb`, `maxmemory-policy allkeys-lru`. It
    /// needs no persistence. Whoever can write to it can change what visitors are given.
    Redis {
        /// Where it is. Left out, it is `REDIS_URL` of the environment. No log has the password.
        ///
        /// - `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`: one server
        /// - `redis-sentinel://[USER:PASSWORD@]HOST[:PORT],.../MASTER[/DATABASE]`: the master of
        ///   this name, found by asking any of these Sentinels; user and password are for the
        ///   master, the Sentinels are asked without
        /// - `redis-cluster://[USER:PASSWORD@]HOST[:PORT],...`: a cluster, found by asking any of
        ///   these servers
        /// - `redis+unix://[USER:PASSWORD@]/PATH`: a socket of this machine
        ///
        /// With an `s`, as in `rediss://` and `rediss-cluster://`, all that is sent goes over TLS,
        /// and certificates are verified (see `ca`). `valkey` may stand for `redis`, and `+` for `-`. The ports are 6379, and 26379 for Sentinels. In a user and in
        /// a password, write `%2F` for `/`, `%3F` for `?`, `%23` for `#` and `%25` for `%`.
        url: RedisUrl = Optional, example r#""redis://:${REDIS_PASSWORD}@127.0.0.1:6379""#,
            at Restart;
        /// A PEM file with the authorities to trust over TLS, seen from the folder of the settings
        /// file. Left out, those of the system are trusted. A server is always verified.
        ca: PathBuf = Optional, example r#""redis-ca.pem""#, at Restart;
        /// What the names of all keys begin with. Edges with the same prefix share what is stored;
        /// give another to those that serve other sites.
        prefix: Prefix = Default(r#""forebay""#), example r#""shop""#, at Restart;
        /// The largest stored response that is put there, its head and its compressed forms
        /// included. At most 64MiB.
        max_object: RedisValue = Default(r#""1MiB""#), example r#""256KiB""#, at Restart;
        /// How long a request waits for an answer. When five in a row are late, or fail, Redis is
        /// left alone for a second, and for up to half a minute if it keeps failing. What is
        /// written there, for which nobody waits, may take ten times as long.
        timeout: Wait = Default(r#""20ms""#), example r#""50ms""#, at Restart;
    }

    /// The program itself.
    Server {
        /// The threads that serve requests. Left out, there is one for each core.
        threads: Threads = Optional, example "4", at Restart;
        /// How long a stop waits for requests that are running.
        grace: Duration = Default(r#""30s""#), at Restart;
        /// The socket over which a new process takes the listeners of the old one, seen from the
        /// folder of the settings file. Left out, a new process cannot take them.
        upgrade_socket: PathBuf = Optional, example r#""/run/forebay/upgrade.sock""#, at Restart;
        /// Whether the settings are read again when their file changes, or one that it includes.
        /// They are looked at once a second, and read when they have been the same for a second.
        /// SIGHUP, and `POST /reload` on the admin listener, have them read again at any time.
        watch: bool = Default("false"), example "true";
        /// What a client sends in the field `Forebay-Debug` to be told, in `Cache-Status`, the key
        /// that was looked up and the route, and where that stands. The origin never sees the
        /// field. Left out, nobody is told.
        debug_secret: Secret = Optional, example r#""${FOREBAY_DEBUG_SECRET}""#;
        /// The addresses from which `PURGE` may come, and blocks of them. The address is that of
        /// the connection: what `X-Forwarded-For` says does not count, so behind a proxy name no
        /// block that has the proxy, or all of its clients may purge.
        ///
        /// `PURGE /path` takes back what is stored for that URL by `http` and `https`, in all its
        /// variants. With `Surrogate-Key: TAG TAG` or `Cache-Tag: TAG, TAG` it takes back what has
        /// one of these tags instead. It is purged softly, or with `Forebay-Purge: hard` for good.
        /// Whoever else asks gets 403. With `[]`, `PURGE` goes to the origin as any method does.
        purge_from: List<Network, 0, 256> = Default("[]"),
            example r#"["127.0.0.1", "10.0.0.0/8"]"#;
    }

    /// How the responses of a route are cached.
    Policy {
        /// What is asked first:
        ///
        /// - `"cache-first"`: the cache, while the stored response is fresh
        /// - `"network-first"`: the origin, every time; the stored response answers if the origin
        ///   fails, or has not answered by `deadline`. The origin is then not asked for that URL
        ///   for a second, and up to half a minute if it keeps failing, while the stored response
        ///   answers; nor for any URL of the route, if it cannot be reached at all
        /// - `"stale-while-revalidate"`: the cache, also while the stored response is stale, which
        ///   is then revalidated in the background, for a day if nobody says how long
        /// - `"bypass"`: the origin, every time, and nothing is stored
        strategy: Strategy = Default(r#""cache-first""#), example r#""bypass""#;
        /// With `"network-first"`, how long a request waits for the origin while something stored
        /// could answer; the answer is stored all the same when it comes. Left out, it waits as
        /// long as the timeouts of the origin let it.
        deadline: Wait = Optional, example r#""300ms""#;
        /// How long a response is fresh, where `ttl_mode` lets the policy say it. It is only for
        /// the statuses 200, 203, 204, 206, 300, 301 and 308; for others, errors above all, there
        /// is `ttl_by_status`.
        ttl: Duration = Optional, example r#""5m""#;
        /// Who is asked for the lifetime, in which order:
        ///
        /// - `"respect"`: the origin, the `heuristic`, `ttl`
        /// - `"default"`: the origin, `ttl`, the heuristic
        /// - `"override"`: `ttl`, the origin, the heuristic; `no-store` and `private` still hold
        ttl_mode: TtlMode = Default(r#""respect""#), example r#""default""#;
        /// The same as `ttl` for single status codes, from 200 to 599. It goes before `ttl`.
        ttl_by_status: ByStatus = Default("{}"), example r#"{ 404 = "10s", 301 = "1h" }"#;
        /// How long clients may keep a stored response before they ask again. Left out, it is as
        /// long as the origin says. It changes nothing in a response that says `no-cache` or
        /// `immutable`, nor in an error.
        browser_ttl: Duration = Optional, example r#""1m""#;
        /// How long a stale response may answer while it is revalidated in the background, if
        /// the origin does not say (RFC 5861 §3). Left out, it may not.
        stale_while_revalidate: Duration = Optional, example r#""1m""#;
        /// How long a stale response may answer if the origin fails, if the origin does not say
        /// (RFC 5861 §4). Left out, it may for a day if the origin gives no answer at all
        /// (RFC 9111 §4.2.4), and may not if the answer is an error; `"0s"` rules out both.
        stale_if_error: Duration = Optional, example r#""1h""#;
        /// Whether a response about whose lifetime nobody says anything is fresh for 10 % of the
        /// time since its Last-Modified, at most for one day (RFC 9111 §4.2.2).
        heuristic: bool = Default("true"), example "false";
        /// What becomes of a response with `Set-Cookie`: `"skip"` does not store it, `"strip"`
        /// stores it without the cookie, `"store"` stores it with the cookie for everybody.
        set_cookie: SetCookie = Default(r#""skip""#), example r#""strip""#;
        /// Patterns of paths whose responses never change, such as file names with a hash. Where
        /// the origin sends neither Cache-Control nor Expires, a 200 is fresh for a year (with
        /// `ttl_mode = "respect"` the heuristic goes first), and clients are told so with
        /// `immutable`. The patterns are written as in `routes.match.path`.
        immutable: List<PathPattern, 0, 256> = Default("[]"), example r#"["**/*.[0-9a-f]{8,}.*"]"#;
        /// The media types that are stored, `"image/*"` for all that begin so, and
        /// `"application/*+json"` for those of them that also end so. Left out, every one. A
        /// successful response of another type is passed on unstored: a page for one person that somebody
        /// asks for as `/account/x.css` does not become a file for all.
        types: List<MediaType, 1, 64> = Optional, example r#"["text/css", "image/*"]"#;
        /// What of a request tells stored responses apart.
        key: Key = Default("{}"), example r#"{ query = { allow = ["page", "q"], sort = true } }"#;
        /// The requests that do not use the cache.
        bypass_if: BypassIf = Default("{}"), example r#"{ cookies = ["sessionid"] }"#;
        /// What the edge compresses. A client gets the coding that it likes best (RFC 9110
        /// §12.5.3), with an `ETag` of its own: `"x"` becomes `W/"x-br"`. The first answer is
        /// compressed quickly while it arrives. Of what is stored each coding is made once and kept;
        /// what answers often is made again in the background, as small as it gets, and is
        /// `"x-br"` then. What is passed on, such as the answer to a `POST`, is compressed as it
        /// goes by, and nothing of it is held back.
        ///
        /// What the origin has put into gzip, br or zstd is used, and read out of it for who wants
        /// it otherwise. Left as they are: what may be one person's own (see `personal`), every
        /// status but 200, 203, 404 and 410, and what says `no-transform`, or has a digest or a
        /// signature.
        compress: Compress = Default("{}"),
            example r#"{ codings = ["gzip"], also_types = ["application/x-tile"] }"#;
        /// The numbers of the lints that are not told of this policy; see [Lints](#lints).
        lint_allow: List<LintNumber, 0, 64> = Default("[]"), example r#"["L007"]"#;
        /// Why they are not told. Required beside `lint_allow`.
        lint_reason: Reason = Optional, example r#""we wrote the origin: it has no such pages""#;
    }

    /// What of a request tells stored responses apart, beside its path. What the origin names in
    /// `Vary` always does.
    Key {
        /// Which parameters of the query count.
        query: Query = Default("{}"), example r#"{ drop_tracking = true }"#;
        /// Names of header fields whose values count, also where `Vary` does not name them.
        headers: List<Token, 0, 16> = Default("[]"), example r#"["X-Tenant"]"#;
        /// Names of cookies whose values count; `*` in a name stands for any characters. Other
        /// cookies are kept from the origin, so that no answer that is stored can depend on them;
        /// `[]` keeps all from it. Left out, the origin gets every cookie, and none counts unless
        /// `Vary` names `Cookie`.
        cookies: List<NamePattern, 0, 16> = Optional, example r#"["theme"]"#;
        /// Whether phones, tablets and desktops get responses of their own. The origin is told in
        /// `Forebay-Device`: `mobile`, `tablet` or `desktop`. Where it names `User-Agent` in
        /// `Vary`, it is this class that counts, and not the thousands of names of browsers: an
        /// origin that does more with the name than to tell the class must not be asked so.
        device: bool = Default("false"), example "true";
        /// The languages that the origin has, the one for everybody else first. `Accept-Language`
        /// becomes the one that fits best (RFC 4647 §3.4), for the key and for the origin. Left
        /// out, it stays as it is, and counts only if `Vary` names it.
        languages: List<Language, 1, 64> = Optional, example r#"["en", "de", "pt-BR"]"#;
        /// Whether `http` and `https` are apart. If not, the origin is not told in
        /// `X-Forwarded-Proto` by which a request came that may use the cache.
        scheme: bool = Default("true"), example "false";
        /// Whether hosts are apart. If not, those share that take the same route, and where a
        /// request may use the cache, `Host` says to the origin what its `host` does, or else the
        /// name of its first server: no client chooses the links that others are given.
        host: bool = Default("true"), example "false";
        /// How many responses one URL may have stored at a time, told apart by `Vary`, `headers`,
        /// `cookies`, `device` and `languages`. Past it the oldest goes.
        max_variants: Variants = Default("32"), example "8";
    }

    /// Which parameters of the query count. What does not count is kept from the origin as well,
    /// so that no answer that is stored can depend on it. In a name, `*` stands for any characters.
    Query {
        /// The parameters that count; no other does. Left out, all count but those of `deny`.
        allow: List<NamePattern, 0, 256> = Optional, example r#"["page", "q", "sort"]"#;
        /// The parameters that do not count, of those that otherwise would.
        deny: List<NamePattern, 0, 256> = Default("[]"), example r#"["ts", "_*"]"#;
        /// Whether the parameters by which advertisers and mailings track people do not count:
        /// `utm_*`, `gclid`, `fbclid` and their like.
        drop_tracking: bool = Default("false"), example "true";
        /// Whether the order of parameters does not count: they are sorted by name.
        sort: bool = Default("false"), example "true";
        /// Whether the origin gets the query as the client wrote it, also what does not count.
        /// Then one client chooses what others are given: only for origins that merely log it.
        forward: bool = Default("false"), example "true";
    }

    /// The requests that do not use the cache; one match is enough.
    BypassIf {
        /// Names of cookies; `*` in a name stands for any characters. Case matters.
        cookies: List<NamePattern, 0, 64> = Default("[]"), example r#"["sessionid", "wp_*"]"#;
        /// Names of header fields. Case does not matter.
        headers: List<Token, 0, 64> = Default("[]"), example r#"["Authorization"]"#;
    }

    /// What is compressed.
    Compress {
        /// The codings to make: `"br"`, `"zstd"`, `"gzip"`. Among those that a client likes equally,
        /// the first of this list is chosen. `[]` compresses nothing.
        codings: List<Coding, 0, 3> = Default(r#"["br", "zstd", "gzip"]"#),
            example r#"["zstd", "gzip"]"#;
        /// The media types that are compressed, in place of the usual ones. Left out, these are:
        /// `text/*`; JavaScript, JSON, XML, YAML and WebAssembly under their names in
        /// `application/`, with all that ends with `+json` or `+xml`; playlists; SVG, BMP and icons;
        /// and fonts that are not compressed in themselves (TTF, OTF, EOT).
        types: List<MediaType, 1, 64> = Optional, example r#"["text/*", "application/*+json"]"#;
        /// Media types that are compressed beside the usual ones, or beside `types`.
        also_types: List<MediaType, 0, 64> = Default("[]"), example r#"["application/x-tile"]"#;
        /// The smallest body that is compressed; a smaller one gains nothing.
        min_size: Bytes = Default(r#""1KiB""#), example r#""4KiB""#;
        /// Whether that is compressed, too, which may be one person's own. Where such a response
        /// repeats what its client sent, its secrets can be guessed from its length (BREACH), so
        /// this is for origins that repeat nothing. It may be, if it is not stored and was asked
        /// for with `Authorization`, with cookies that the key does not choose, or with what
        /// `bypass_if` names, sets a cookie or says `private`; and, stored or not, if `key` or
        /// `Vary` tells it apart by `Authorization`, by all cookies, or by a cookie or field whose
        /// name speaks of sessions, tokens, logins or API keys.
        personal: bool = Default("false"), example "true";
        /// After how many answers with a coding that was made quickly it is made again as small as
        /// it gets: br 11, zstd 19, or gzip by libdeflate. A megabyte takes a core some seconds, at
        /// the lowest priority. `0` is never; bodies over 8 MiB stay as they are.
        upgrade_after: Answers = Default("4"), example "0";
        /// Whether a new version of a file is sent as what differs from the version that a client
        /// has, in the codings `dcb` and `dcz` (RFC 9842). Versions are files whose paths differ in
        /// a hash alone, such as `/app.3f2a9b1c.js` and `/app.77e0d142.js`; browsers are told in
        /// `Use-As-Dictionary` to keep one for the other, and say in `Available-Dictionary` which
        /// they have. The origin sees nothing of it.
        ///
        /// Files from 1 KiB to 8 MiB take part, of those that are compressed. The former versions
        /// are kept in a sixteenth of `cache.memory`, beside it.
        dictionaries: bool = Default("false"), example "true";
        /// Whether the origin has files that were compressed ahead of time, beside the others:
        /// `/app.js.br`, `/app.js.zst`, `/app.js.gz` beside `/app.js`. Before a stored response is
        /// made as small as it gets in a coding, the origin of its route is asked once for the
        /// file of that coding, in nobody's name: `GET /app.js.br?v=3` for `/app.js?v=3`. What
        /// comes is used in place of the edge's own work, with `W/"x-br-origin"` for `ETag`, if it
        /// is whole, unfolds to the stored body byte for byte, and is smaller than what was made
        /// quickly. Nothing is asked for a path that ends with `/`, nor where `upgrade_after` is
        /// `0`. Not for an API: `/users/5.br` might be a user.
        precompressed: bool = Default("false"), example "true";
    }

    /// Where some requests go, and under which policy.
    Route {
        /// Its name in logs and metrics. No other route may have it.
        name: Name = Required, example r#""images""#;
        /// The requests of this route.
        r#match: Match = Required, example r#"{ path = "/images/**" }"#;
        /// The name of the origin that answers.
        origin: Reference = Required, example r#""api""#;
        /// The name of the policy for the answers.
        policy: Reference = Required, example r#""static""#;
        /// The numbers of the lints that are not told of this route; see [Lints](#lints). A lint
        /// of its policy is not told if every route with this policy allows it.
        lint_allow: List<LintNumber, 0, 64> = Default("[]"), example r#"["L006"]"#;
        /// Why they are not told. Required beside `lint_allow`.
        lint_reason: Reason = Optional, example r#""nobody has an account here""#;
    }

    /// The requests of a route; all that is written here must hold, and `{}` is every request.
    Match {
        /// A pattern of the normalised path, or a list of them. Case matters. Left out, every path
        /// matches.
        ///
        /// `**` stands for any number of whole segments, `*` for any characters but `/`, `?`
        /// for one of them, `[0-9a-f]` for one character of a class (`[!0-9]`: not of it),
        /// `{8}`, `{8,}` and `{8,16}` behind a class for its repeats, `{a,b}` for one of
        /// several. `/x/**` matches `/x` too.
        path: OneOrMany<PathPattern> = Optional, example r#"["/images/**", "/api/images/**"]"#;
        /// A host without port, or a list of them; `*.example.com` stands for every host below
        /// `example.com`. Case does not matter. Left out, every host matches.
        host: OneOrMany<HostPattern> = Optional, example r#""*.example.com""#;
        /// A method, or a list of them. `"GET"` does not stand for `HEAD`. Left out, every method
        /// matches.
        method: OneOrMany<Method> = Optional, example r#"["GET", "HEAD"]"#;
        /// What follows the last dot of the last segment of the path, or a list of it, without the
        /// dot. Case does not matter. Left out, every path matches, also one without a dot.
        ///
        /// An origin may answer `/account/x.css` with what it has at `/account`. Where it does,
        /// name the folders of the files with `path` as well, or what one person sees is stored
        /// for all.
        extension: OneOrMany<Extension> = Optional, example r#"["css", "js"]"#;
        /// What header fields must say: for each name `true` (it is there), `false` (it is not),
        /// or a pattern of the whole value, in which `*` stands for any characters. The case of
        /// names does not matter, that of values does. Of several lines, one is enough.
        header: Conditions<FieldName> = Optional, example r#"{ X-Beta = true }"#;
        /// The same for the parameters of the query, which is split at `&` and then decoded; `+`
        /// is a space. Case matters. Of several with one name, one is enough.
        query: Conditions<ParameterName> = Optional, example r#"{ preview = true }"#;
        /// The same for cookies. Case matters.
        cookie: Conditions<Token> = Optional, example r#"{ group = "beta-*", sessionid = false }"#;
    }
}

words! {
    Strategy {
        "cache-first" => CacheFirst,
        "network-first" => NetworkFirst,
        "stale-while-revalidate" => StaleWhileRevalidate,
        "bypass" => Bypass,
    }
    TtlMode { "respect" => Respect, "default" => Default, "override" => Override }
    SetCookie { "skip" => Skip, "strip" => Strip, "store" => Store }
    Coding { "br" => Br, "zstd" => Zstd, "gzip" => Gzip }
}
