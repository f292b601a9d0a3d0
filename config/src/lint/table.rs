//! Every lint: its number, its name, what it finds and why that is dangerous.

use super::Look::{Admin, Allowed, Both, Nowhere, Origin, Policy, Route, Unused};
use super::{Lint, key, lifetime, person, reach, route};

/// Every lint, by its number.
pub static LINTS: [Lint; 22] = [
    Lint {
        number: "L001",
        name: "key-too-short",
        title: "the key lacks the host or the scheme",
        why: "Hosts or schemes that share stored responses answer for each other: a redirect to \
              `https`, or the page of one host, becomes the answer to all.",
        look: Policy(key::lacks_host_or_scheme),
    },
    Lint {
        number: "L002",
        name: "credentials-unminded",
        title: "a `ttl` for everybody, and nothing is said of `Authorization`",
        why: "Requests with credentials are answered from what is stored for those without, and \
              an answer to one of them may be stored for all if the origin marks it so by \
              mistake (RFC 9111 §3.5).",
        look: Policy(person::ignores_authorization),
    },
    Lint {
        number: "L003",
        name: "session-cached",
        title: "a cached route where a session cookie counts, or reaches the origin",
        why: "What the origin answers to the cookie of one visitor is stored: for everybody, or, \
              with the cookie in the key, for nobody else.",
        look: Both(person::caches_sessions, person::caches_route_of_sessions),
    },
    Lint {
        number: "L004",
        name: "query-unkeyed",
        title: "parameters reach the origin that are not in the key",
        why: "Where an answer depends on such a parameter after all, one client chooses what \
              others are given.",
        look: Policy(key::forwards_what_is_not_keyed),
    },
    Lint {
        number: "L005",
        name: "header-unkeyed",
        title: "a cached route that tells header fields apart, which its key does not",
        why: "A field by which the file itself chooses among requests is one that answers may \
              depend on. If the origin does not name it in `Vary`, one value's answer is given to \
              all that match.",
        look: Route(route::forgets_header),
    },
    Lint {
        number: "L006",
        name: "files-by-name",
        title: "a cached route for the ends of names, whatever the media type",
        why: "Many origins answer `/account/x.css` with the page at `/account`. A rule for \
              `*.css` that stores it shows the page of one visitor to whoever asks next: web \
              cache deception.",
        look: Route(route::stores_any_type),
    },
    Lint {
        number: "L007",
        name: "origin-overruled",
        title: "`ttl_mode = \"override\"`",
        why: "The origin's `max-age`, `no-cache` and `Expires` count no more, so that it can keep \
              nothing of the route out of the cache but with `no-store` or `private`.",
        look: Policy(lifetime::overrides_origin),
    },
    Lint {
        number: "L008",
        name: "cookies-stored",
        title: "`Set-Cookie` is stored",
        why: "Everybody who is answered from the cache gets the cookie that was meant for one \
              visitor, and with it perhaps that visitor's session.",
        look: Policy(person::stores_cookies),
    },
    Lint {
        number: "L009",
        name: "errors-kept",
        title: "an error is fresh for more than ten seconds",
        why: "An error is often over in a moment, and some can be provoked by a single odd \
              request; kept for long it becomes an outage for all.",
        look: Policy(lifetime::keeps_errors),
    },
    Lint {
        number: "L010",
        name: "route-shadowed",
        title: "a route that no request reaches",
        why: "The first route that matches wins. Where an earlier one matches all that a later \
              one could, the policy of the later one holds for nothing.",
        look: Route(route::is_shadowed),
    },
    Lint {
        number: "L011",
        name: "pattern-loose",
        title: "a pattern that matches below any folder, or is large",
        why: "`**/x` matches `/account/x` as well as `/files/x`: a client who can choose the end \
              of a path chooses the route. A pattern that takes more than 32 KiB when it is compiled makes each \
              request dear.",
        look: Route(route::is_loose),
    },
    Lint {
        number: "L012",
        name: "stale-forbidden",
        title: "stale responses are wanted, and `s-maxage` would forbid them",
        why: "`s-maxage` means `proxy-revalidate` as well (RFC 9111 §5.2.2.10): what it makes \
              fresh must not be answered stale.",
        look: Policy(lifetime::waits_for_s_maxage),
    },
    Lint {
        number: "L013",
        name: "stale-for-months",
        title: "`stale_if_error` of more than 30 days",
        why: "What somebody had erased at the origin could be answered for longer than the month \
              that the law gives for erasing it.",
        look: Policy(lifetime::outlives_erasure),
    },
    Lint {
        number: "L014",
        name: "secrets-compressed",
        title: "responses are compressed that may be one person's own",
        why: "Where such a response repeats what its client sent, a secret beside it can be \
              guessed from its length, letter by letter (BREACH). Without `compress.personal` they \
              are left as they are.",
        look: Policy(person::compresses_secrets),
    },
    Lint {
        number: "L015",
        name: "hints-raw",
        title: "client hints are in the key as they are",
        why: "A width or a pixel ratio has as many values as a client can think of, and each is a \
              variant that drives out another.",
        look: Policy(key::has_raw_hints),
    },
    Lint {
        number: "L016",
        name: "admin-open",
        title: "the admin listener is not on a loopback address",
        why: "Its token goes over the network in clear text. Whoever reads it there can do what \
              an operator can.",
        look: Admin(reach::opens_admin),
    },
    Lint {
        number: "L017",
        name: "everybody-trusted",
        title: "every address is trusted to say who the client is",
        why: "Then every client says it of itself, and no limit and no log that goes by addresses \
              is worth anything.",
        look: Nowhere,
    },
    Lint {
        number: "L018",
        name: "origin-unverified",
        title: "an origin on the internet is asked over `http`",
        why: "Nobody can tell whether it is the origin that answers. A forged answer is not for \
              one client: it is stored for all.",
        look: Origin(reach::trusts_the_network),
    },
    Lint {
        number: "L019",
        name: "clients-keyed",
        title: "`User-Agent`, `Cookie` or `Accept-Language` is in the key as it is",
        why: "They differ from client to client, so that nearly nothing is answered from the \
              cache, and the variants of one page drive out all others.",
        look: Policy(key::has_raw_clients),
    },
    Lint {
        number: "L020",
        name: "budget-blind",
        title: "a budget that nothing measures",
        why: "A limit on a number that nobody counts never acts.",
        look: Nowhere,
    },
    Lint {
        number: "L021",
        name: "allowed-in-vain",
        title: "`lint_allow` names a lint that finds nothing",
        why: "It would silence a finding that nobody has looked at yet.",
        look: Allowed,
    },
    Lint {
        number: "L022",
        name: "unused",
        title: "a policy or an origin that no route uses",
        why: "Whoever wrote it believes that it holds somewhere.",
        look: Unused,
    },
];
