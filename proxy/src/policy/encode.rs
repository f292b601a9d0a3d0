//! Decides in which content coding a stored response answers (RFC 9110 §8.4, §12.5.3).
//!
//! What the origin is asked for stays one of the sixteen forms of [`coding::accepted`]: to ask for
//! `identity` alone would throw away what the origin does better, such as files that were compressed
//! ahead of time. Whatever it says then, in a coding or plain, is one response for everybody, even
//! where it names `Accept-Encoding` in `Vary`: each client gets the coding of it that they like best,
//! made of the plain body, which is read out of the origin's coding if need be. Only what cannot be
//! put into another coding is kept apart by that field.
//!
//! The choice needs the client's own weights, which the forms do not have; [`Ask`] keeps them.
//! `Vary: Accept-Encoding` of this making is for clients and never stored: it would split the one
//! response that serves all.
//!
//! Each form has a tag of its own. What is made in haste, while somebody waits for it, is never made
//! of quite the same bytes again, so its tag is weak; what is kept in its place later has the strong
//! one, and a client that has either has the newest (RFC 9110 §8.8.3.2).
//!
//! [`coding::accepted`]: crate::field::coding::accepted

use bytes::Bytes;
use forebay_config::{self as config, Compress, KeyRules, Policy};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::admit::TARGETED;
use super::dictionary;
use super::identity::{self, Edit};
use super::request::Ask;
use crate::field::cache_control::ResponseDirectives;
use crate::field::coding::{self, Coding};
use crate::field::etag::{self, Condition, EntityTag};
use crate::field::vary::Vary;
use crate::field::{cookie, media_type, targeted};
use crate::stored::{Maker, StoredHead};

/// The fields that speak of the very bytes of a body (RFC 9530, RFC 3230, RFC 1864), or of the
/// fields that a coding changes (RFC 9421).
const OF_BYTES: [HeaderName; 5] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("signature"),
];

/// In which form a response answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the origin sent it, for every client, because of this.
    AsIs(AsIs),
    /// As the origin sent it, since this client likes that best; others get another form.
    AsSent,
    /// In this coding, or plain if that is nothing, made of what the origin sent.
    Made(Option<Coding>),
}

/// Why a response is not put into another coding for anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsIs {
    /// The policy names no coding.
    Off,
    /// It is a part, and parts of a coded body are others.
    Part,
    /// Its status is none of those with a page worth the work.
    Status,
    /// The origin has coded it in a way that the edge cannot read.
    Coded,
    /// It says `no-transform` (RFC 9111 §5.2.2.6).
    NoTransform,
    /// It has a digest or a signature, which a coding would belie. To take that away would take
    /// from the client what its origin wants it to have.
    Digest,
    /// It is told apart by who asks, so its length could tell a secret (BREACH).
    Personal,
    /// It is not stored, and by a field of the request or of the response it may be one person's
    /// own: as with the last, its length could tell.
    Own,
    /// Its media type is not in the list.
    MediaType,
    /// It is smaller than what is compressed.
    Small,
}

impl AsIs {
    /// It in words, without a full stop.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Off => "compress.codings of the policy is empty",
            Self::Part => "it is a part of a response",
            Self::Status => "only a 200, 203, 404 or 410 is compressed",
            Self::Coded => "the origin has coded it in a way that the edge cannot read",
            Self::NoTransform => "the response says no-transform",
            Self::Digest => "the response has a digest or a signature, which would be wrong after",
            Self::Personal => {
                "the response is told apart by who asks, and from the length of one person's page \
                 its secrets can be guessed; compress.personal of the policy allows it"
            }
            Self::Own => {
                "it is not stored and may be one person's own, and from the length of one person's \
                 page its secrets can be guessed; compress.personal of the policy allows it"
            }
            Self::MediaType => "its media type is not one of compress.types of the policy",
            Self::Small => "it is smaller than compress.min_size of the policy",
        }
    }
}

/// Says in which form the response with `head`, whose fields are `kept`, answers `ask` on a route
/// with `rules`; `length` is that of its body, if it is known yet.
///
/// Where no body in the wanted form is at hand, another one is right too. Conditions are best held
/// against the fields of the wanted form even then: that a client has it needs no body.
#[must_use]
pub fn form(
    ask: &Ask,
    head: &StoredHead,
    kept: &HeaderMap,
    length: Option<u64>,
    rules: &Policy,
) -> Form {
    let compress = &rules.compress;
    // What was found out when it was stored is not asked for every hit.
    let verdict = if head.compressible
        && !compress.codings.is_empty()
        && !is_small(length, head.coding, compress)
    {
        Ok(())
    } else {
        compressible(head, kept, length, rules)
    };
    match verdict {
        Ok(()) => choose(ask, head.coding, compress),
        // It was stored for all, whatever they take, under rules that no longer hold.
        Err(_) if head.compressible && !takes_as_sent(ask, head) => Form::Made(None),
        Err(why) => Form::AsIs(why),
    }
}

/// The same for a response that is for one client alone, who sent the fields `asked`.
#[must_use]
pub fn form_for_one(
    ask: &Ask,
    asked: &HeaderMap,
    head: &StoredHead,
    kept: &HeaderMap,
    length: Option<u64>,
    rules: &Policy,
) -> Form {
    if is_own(asked, kept, rules) {
        return Form::AsIs(AsIs::Own);
    }
    match form(ask, head, kept, length, rules) {
        // To make it anew would serve nobody else, and could fail where the client does not.
        Form::Made(_) if head.coding.is_some() && takes_as_sent(ask, head) => Form::AsSent,
        form @ (Form::AsIs(_) | Form::AsSent | Form::Made(_)) => form,
    }
}

/// Whether an answer with the fields `kept` that is not stored may be one person's own, who sent the
/// fields `asked`.
pub(super) fn is_own(asked: &HeaderMap, kept: &HeaderMap, rules: &Policy) -> bool {
    let personal = &rules.compress.personal;
    if personal.is_empty() {
        return false;
    }
    let chosen = |pair: cookie::Pair<'_>| {
        rules.key.cookies.iter().flatten().any(|name| name.matches(pair.name))
    };
    personal.iter().any(|name| asked.contains_key(name))
        || !cookie::pairs(asked).all(chosen)
        || kept.contains_key(header::SET_COOKIE)
        || said(kept).any(|said| said.private.is_some())
}

impl Form {
    /// The fields of a response in this form that is stored with the fields `kept`, and whose body
    /// in this form was made by `by`. They have no `Content-Length` where they are those of another
    /// body.
    #[must_use]
    pub fn fields(self, kept: HeaderMap, by: Maker) -> HeaderMap {
        match self {
            Self::AsIs(_) => kept,
            Self::AsSent => varying(kept),
            Self::Made(coding) => made_fields(kept, coding, by),
        }
    }
}

/// Takes `Accept-Encoding` out of the fields that select a response which is compressed for who
/// wants it: one serves all, in whatever coding the origin sent it. Where the rules of the key name
/// the field, it stays.
pub fn merge(selecting: &mut Vec<HeaderName>, rules: &KeyRules) {
    let is_named = identity::selecting(rules).any(|name| name == header::ACCEPT_ENCODING);
    selecting.retain(|name| is_named || *name != header::ACCEPT_ENCODING);
}

/// What the origin is asked to send in `Accept-Encoding` when it is asked whether `stored`, with the
/// fields `kept`, still stands, if not what `ask` says: of the forms that it has it must compare the
/// one that is stored. Nothing where there is but one, or where this client could not read it.
#[must_use]
pub fn accepted_again(ask: &Ask, stored: &StoredHead, kept: &HeaderMap) -> Option<&'static str> {
    let is_merged =
        tells_to_vary(kept) && !stored.selecting.names().contains(&header::ACCEPT_ENCODING);
    (is_merged && takes_as_sent(ask, stored)).then(|| coding::token(stored.coding))
}

/// Whether `ask` takes the response with `head` as its origin sent it.
#[must_use]
pub fn takes_as_sent(ask: &Ask, head: &StoredHead) -> bool {
    head.coding.is_none_or(|coding| ask.codings.of(coding) > 0)
}

/// Says whether the response with `head`, whose fields are `kept`, is compressed for who wants it;
/// `length` is that of its body, if it is known yet. It has to be one that is stored.
///
/// # Errors
///
/// Why not.
pub fn compressible(
    head: &StoredHead,
    kept: &HeaderMap,
    length: Option<u64>,
    rules: &Policy,
) -> Result<(), AsIs> {
    if head.part.is_some() {
        return Err(AsIs::Part);
    }
    let names = head.selecting.names();
    judge(head.status, names, kept, length, rules)
}

/// The same for a response that is yet to be stored, with this `status` and these `fields`, and is
/// selected by the request fields `names`.
///
/// # Errors
///
/// Why not.
pub fn judge(
    status: StatusCode,
    names: &[HeaderName],
    kept: &HeaderMap,
    length: Option<u64>,
    rules: &Policy,
) -> Result<(), AsIs> {
    let compress = &rules.compress;
    let unless = |is_so: bool, why: AsIs| if is_so { Err(why) } else { Ok(()) };
    // What costs least, and most often decides, comes first.
    unless(compress.codings.is_empty(), AsIs::Off)?;
    unless(status == StatusCode::PARTIAL_CONTENT, AsIs::Part)?;
    // A redirect and the like has hardly a body, and an error of a server is seldom stored.
    unless(!matches!(status.as_u16(), 200 | 203 | 404 | 410), AsIs::Status)?;
    unless(!media_type::is_one_of(kept, &compress.types), AsIs::MediaType)?;
    let coding = coding::of_body(kept).map_err(|_foreign| AsIs::Coded)?;
    unless(is_small(length, coding, compress), AsIs::Small)?;
    unless(forbids_transforms(kept), AsIs::NoTransform)?;
    unless(OF_BYTES.iter().any(|name| kept.contains_key(name)), AsIs::Digest)?;
    let is_personal = |name: &HeaderName| compress.personal.iter().any(|one| name == one.as_str());
    unless(names.iter().any(is_personal), AsIs::Personal)
}

/// Whether a body of `length` that is sent in `coding` is too small to be worth it. Of what is sent
/// in a coding it is not known, and who cannot read that must be served.
fn is_small(length: Option<u64>, coding: Option<Coding>, rules: &Compress) -> bool {
    coding.is_none() && length.is_some_and(|length| length < rules.min_size)
}

/// What is said to all caches, and to this one.
pub(super) fn said(fields: &HeaderMap) -> impl Iterator<Item = ResponseDirectives> {
    let targeted = targeted::targeted(fields, &TARGETED).map(|(_, said)| said);
    std::iter::once(ResponseDirectives::parse(fields)).chain(targeted)
}

fn forbids_transforms(fields: &HeaderMap) -> bool {
    said(fields).any(|said| said.no_transform)
}

/// The form that `ask` likes best of a response that is `sent` in a coding, or plain.
#[must_use]
pub fn choose(ask: &Ask, sent: Option<Coding>, rules: &Compress) -> Form {
    // A client may ask for this too (RFC 9111 §5.2.1.6).
    if ask.directives.no_transform {
        return Form::AsSent;
    }
    let form = |coding| if coding == sent { Form::AsSent } else { Form::Made(coding) };
    let weight = |coding: &Coding| ask.codings.of(*coding);
    // Of several that are liked equally, `max_by_key` takes the last.
    let codings = sent.into_iter().chain(rules.codings.iter().rev().map(|coding| made(*coding)));
    let best = codings.max_by_key(weight).filter(|best| weight(best) > 0);
    let plain = ask.codings.of_plain();
    match best {
        Some(best) if weight(&best) >= plain.unwrap_or(0) => form(Some(best)),
        //= https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3
        //# If a non-empty Accept-Encoding header field is present in a request and
        //# none of the available representations for the response have a content
        //# coding that is listed as acceptable, the origin server SHOULD send a
        //# response without any content coding unless the identity coding is
        //# indicated as unacceptable.
        // It is sent then too, in place of a 406: the field may be disregarded (§12.1), and a body
        // that every client can read is more use than none.
        Some(_) | None => form(None),
    }
}

/// `coding` of the settings as the edge makes it.
const fn made(coding: config::Coding) -> Coding {
    match coding {
        config::Coding::Br => Coding::Br,
        config::Coding::Zstd => Coding::Zstd,
        config::Coding::Gzip => Coding::Gzip,
    }
}

/// Whether `fields` say that others may get another form.
fn tells_to_vary(fields: &HeaderMap) -> bool {
    match Vary::parse(fields) {
        Vary::Nothing => false,
        Vary::Everything => true,
        Vary::Fields(names) => names.contains(&header::ACCEPT_ENCODING),
    }
}

/// The fields `kept`, with word that others get another form.
pub(super) fn varying(mut kept: HeaderMap) -> HeaderMap {
    if !tells_to_vary(&kept) {
        kept.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    kept
}

/// The fields of the answer in `coding`, made of those that are `kept` with what the origin sent.
fn made_fields(kept: HeaderMap, coding: Option<Coding>, by: Maker) -> HeaderMap {
    let tag = etag::etag(&kept);
    let mut fields = varying(kept);
    match coding {
        Some(coding) => {
            let token = HeaderValue::from_static(coding.token());
            drop(fields.insert(header::CONTENT_ENCODING, token));
        }
        None => drop(fields.remove(header::CONTENT_ENCODING)),
    }
    fields.remove(header::CONTENT_LENGTH);
    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.3
    //# Content codings are a property of the representation data, so a strong
    //# entity tag for a content-encoded representation has to be distinct from
    //# the entity tag of an unencoded representation to prevent potential
    //# conflicts during cache updates and range requests.
    // A tag that cannot be read cannot be made another one.
    match tag {
        Some(tag) => drop(fields.insert(header::ETAG, made_tag(&tag, coding, by).value())),
        None => drop(fields.remove(header::ETAG)),
    }
    fields
}

/// What is said last in the tag of a body that the origin made.
const BY_ORIGIN: &[u8] = b"-origin";

/// The tag of a response in `coding`, made by `by`, where what the origin sent has `tag`.
#[must_use]
pub fn made_tag(tag: &EntityTag, coding: Option<Coding>, by: Maker) -> EntityTag {
    let token = coding::token(coding).as_bytes();
    let by_origin: &[u8] = if by == Maker::Origin { BY_ORIGIN } else { b"" };
    let opaque = [&tag.opaque, &b"-"[..], token, by_origin].concat();
    // The origin may pack its file anew, whatever the other is. Out of one coding there is one plain
    // body.
    let weak = tag.weak || (by != Maker::Best && coding.is_some());
    EntityTag { weak, opaque: opaque.into() }
}

/// The tag of what the origin sent, if `tag` is that of a body that was made of it.
#[must_use]
pub fn sent_tag(tag: &EntityTag) -> Option<EntityTag> {
    if let Some((sent, _)) = dictionary::without_dictionary(&tag.opaque) {
        return Some(EntityTag { weak: tag.weak, opaque: Bytes::copy_from_slice(sent) });
    }
    let opaque = tag.opaque.strip_suffix(BY_ORIGIN).unwrap_or(&tag.opaque);
    let tokens = Coding::ALL.into_iter().map(Some).chain([None]).map(coding::token);
    let strip = |token: &str| opaque.strip_suffix(token.as_bytes())?.strip_suffix(b"-");
    let mut sent = tokens.filter_map(strip);
    Some(EntityTag { weak: tag.weak, opaque: Bytes::copy_from_slice(sent.next()?) })
}

/// What has to change in `If-Match` of a request that is passed on: the origin knows nothing of the
/// tags of coded responses, and would refuse the change of a client that has seen the newest.
///
/// The origin's tag is put beside the other, which the origin may have made itself.
#[must_use]
pub fn if_match(asked: &HeaderMap) -> Option<Edit> {
    let condition = etag::if_match(asked)?;
    with_sent_tags(asked, header::IF_MATCH, &condition)
}

/// The field `name` of a request, which sets this `condition`, with the tag of what the origin sent
/// behind those of what was made of it; nothing if there is nothing to add.
pub(super) fn with_sent_tags(
    asked: &HeaderMap,
    name: HeaderName,
    condition: &Condition,
) -> Option<Edit> {
    let Condition::Tags(tags) = condition else { return None };
    // A weak tag matches nothing in `If-Match` (RFC 9110 §13.1.1), but this one is weak for its
    // bytes alone: it was made of what the origin sent under the other.
    let sent = tags.iter().filter_map(sent_tag).map(|tag| EntityTag { weak: false, ..tag });
    let mut added: Vec<_> = sent.filter(|it| !tags.contains(it)).collect();
    added.dedup();
    if added.is_empty() {
        return None;
    }
    let lines = asked.get_all(&name).iter().cloned();
    let members: Vec<_> = lines.chain(added.iter().map(EntityTag::value)).collect();
    let members: Vec<_> = members.iter().map(HeaderValue::as_bytes).collect();
    let value = HeaderValue::from_bytes(&members.join(&b", "[..]));
    Some((name, Some(value.expect("pieces of field values make a field value"))))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;

    use super::*;
    use crate::policy::testing::{MINUTE, head, print, rules};
    use crate::stored::{Fields, Selecting};

    /// A head that is stored with `fields` and is selected by what `selecting` names.
    fn stored(status: u16, fields: &HeaderMap, selecting: &[&str]) -> StoredHead {
        let names: Vec<_> =
            selecting.iter().map(|name| HeaderName::from_bytes(name.as_bytes()).unwrap()).collect();
        StoredHead {
            status: StatusCode::from_u16(status).unwrap(),
            fields: Fields::new(fields),
            freshness: MINUTE,
            selecting: Selecting::new(&names, &HeaderMap::new()),
            part: None,
            compressible: false,
            coding: coding::of_body(fields).unwrap_or(None),
            tags: Box::default(),
            since: 0,
        }
    }

    /// A response that nothing keeps from being compressed but what `fields` says.
    #[track_caller]
    fn check(options: &str, status: u16, fields: &str, expected: Result<(), AsIs>) {
        let kept = head(&format!("Content-Type: text/html | {fields}"));
        let response = stored(status, &kept, &[]);
        let said = compressible(&response, &kept, Some(5000), &rules(options));
        assert_eq!(said, expected, "{options} {status} {fields}");
    }

    #[test]
    fn compresses_pages_whatever_they_say_of_other_things() {
        for status in [200, 203, 404, 410] {
            check("", status, "ETag: \"x\" | Cache-Control: max-age=60", Ok(()));
        }
        check("", 200, "Content-Encoding: identity", Ok(()));
        check("", 200, "Set-Cookie: a=b | Vary: Accept", Ok(()));
    }

    #[test]
    fn leaves_what_is_not_a_page_as_it_is() {
        check("", 206, "", Err(AsIs::Part));
        for status in [204, 301, 308, 403, 500, 503] {
            check("", status, "", Err(AsIs::Status));
        }
        check("compress = { codings = [] }", 200, "", Err(AsIs::Off));
        let kept = head("Content-Type: text/html");
        let mut part = stored(200, &kept, &[]);
        part.part = crate::field::range::ContentRange::parse(&head("Content-Range: bytes 0-1/9"));
        assert_eq!(compressible(&part, &kept, Some(5000), &rules("")), Err(AsIs::Part));
    }

    #[test]
    fn leaves_what_the_origin_wants_to_stay_as_it_is() {
        check("", 200, "Content-Encoding: compress", Err(AsIs::Coded));
        check("", 200, "Content-Encoding: gzip, br", Err(AsIs::Coded));
        check("", 200, "Content-Encoding: identity, X-Gzip", Ok(()));
        check("", 200, "Cache-Control: max-age=60, No-Transform", Err(AsIs::NoTransform));
        check("", 200, "CDN-Cache-Control: no-transform", Err(AsIs::NoTransform));
        for name in OF_BYTES {
            check("", 200, &format!("{name}: x"), Err(AsIs::Digest));
        }
    }

    #[test]
    fn leaves_what_one_person_gets_as_it_is() {
        let check = |options: &str, selecting: &[&str], expected| {
            let kept = head("Content-Type: text/html");
            let response = stored(200, &kept, selecting);
            let said = compressible(&response, &kept, None, &rules(options));
            assert_eq!(said, expected, "{options} {selecting:?}");
        };
        check("", &["accept", "x-tenant"], Ok(()));
        check("", &["accept", "authorization"], Err(AsIs::Personal));
        check("", &["cookie"], Err(AsIs::Personal));
        check("key = { cookies = ['theme'] }", &["cookie"], Ok(()));
        check("key = { cookies = ['theme'] }", &["authorization"], Err(AsIs::Personal));
        check("key = { cookies = ['sessionid'] }", &["cookie"], Err(AsIs::Personal));
        check("key = { headers = ['X-Api-Key'] }", &["x-api-key"], Err(AsIs::Personal));
        check("compress = { personal = true }", &["authorization", "cookie"], Ok(()));
    }

    #[test]
    fn leaves_what_may_be_one_persons_own_as_it_is_where_it_is_not_stored() {
        let check = |options: &str, asked: &str, kept: &str, expected| {
            let said = is_own(&head(asked), &head(kept), &rules(options));
            assert_eq!(said, expected, "{options} {asked} {kept}");
        };
        check("", "Accept: a/b", "Cache-Control: no-store", false);
        for asked in ["Authorization: x", "Cookie: theme=dark"] {
            check("", asked, "", true);
            check("compress = { personal = true }", asked, "Set-Cookie: a=b", false);
        }
        for kept in ["Set-Cookie: a=b", "Cache-Control: private", "CDN-Cache-Control: private"] {
            check("", "", kept, true);
        }
        let chosen = "key = { cookies = ['theme'] }";
        check(chosen, "Cookie: theme=dark", "", false);
        check(chosen, "Cookie: theme=dark; x=y", "", true);
        check("key = { cookies = ['theme', 'sid'] }", "Cookie: theme=dark", "", true);
        check("key = { headers = ['X-Api-Key'] }", "X-Api-Key: x", "", true);
    }

    #[test]
    fn compresses_by_media_type_and_size() {
        let check = |options: &str, kind: &str, length: Option<u64>, expected| {
            let kept = head(kind);
            let said = compressible(&stored(200, &kept, &[]), &kept, length, &rules(options));
            assert_eq!(said, expected, "{options} {kind} {length:?}");
        };
        for kind in [
            "text/html; charset=utf-8",
            "Application/JavaScript",
            "application/problem+json",
            "application/atom+xml",
            "application/wasm",
            "image/svg+xml",
            "image/x-icon",
            "font/ttf",
        ] {
            check("", &format!("Content-Type: {kind}"), Some(1024), Ok(()));
        }
        for kind in ["image/png", "font/woff2", "application/zip", "video/mp4", ""] {
            check("", &format!("Content-Type: {kind}"), None, Err(AsIs::MediaType));
        }
        check("", "", None, Err(AsIs::MediaType));
        let tile = "Content-Type: application/x-tile";
        check("compress = { also_types = ['application/x-tile'] }", tile, None, Ok(()));
        let text = "Content-Type: text/plain";
        check("", text, None, Ok(()));
        check("", text, Some(1023), Err(AsIs::Small));
        check("compress = { min_size = '2KiB' }", text, Some(1024), Err(AsIs::Small));
        check("compress = { types = ['a/b'] }", text, None, Err(AsIs::MediaType));
    }

    fn ask(fields: &str) -> Ask {
        Ask::read(&Method::GET, &head(fields), false)
    }

    /// What a client that sends `accepted` gets of a plain response where these codings are made.
    #[track_caller]
    fn check_choice(codings: &str, accepted: &str, expected: Option<Coding>) {
        check_choice_of(None, codings, accepted, expected);
    }

    /// The same of a response that is `sent` in a coding.
    #[track_caller]
    fn check_choice_of(
        sent: Option<Coding>,
        codings: &str,
        accepted: &str,
        expected: Option<Coding>,
    ) {
        let rules = rules(&format!("compress = {{ codings = [{codings}] }}"));
        let ask = ask(&format!("Accept-Encoding: {accepted}"));
        let expected = if expected == sent { Form::AsSent } else { Form::Made(expected) };
        let chosen = choose(&ask, sent, &rules.compress);
        assert_eq!(chosen, expected, "{sent:?} {codings} {accepted}");
    }

    const ALL: &str = "'br', 'zstd', 'gzip'";

    #[test]
    fn chooses_what_the_client_likes_best() {
        check_choice(ALL, "gzip, br;q=0.9", Some(Coding::Gzip));
        check_choice(ALL, "br;q=0.1, zstd;q=0.2", Some(Coding::Zstd));
        check_choice(ALL, "x-gzip", Some(Coding::Gzip));
        check_choice(ALL, "gzip;q=0.3, *;q=0.5", Some(Coding::Br));
    }

    #[test]
    fn chooses_by_the_order_of_the_route_among_equals() {
        check_choice(ALL, "gzip, deflate, br, zstd", Some(Coding::Br));
        check_choice("'zstd', 'br', 'gzip'", "gzip, deflate, br, zstd", Some(Coding::Zstd));
        check_choice("'gzip'", "gzip, deflate, br, zstd", Some(Coding::Gzip));
        check_choice("'gzip', 'br'", "*", Some(Coding::Gzip));
        // A coding goes before the plain body that is liked as much.
        check_choice(ALL, "identity, gzip", Some(Coding::Gzip));
    }

    #[test]
    fn chooses_the_plain_body_where_that_is_liked_best_or_nothing_fits() {
        check_choice(ALL, "gzip;q=0.5, identity", None);
        check_choice(ALL, "identity;q=1, *;q=0", None);
        check_choice(ALL, "", None);
        check_choice(ALL, "deflate", None);
        check_choice(ALL, "br;q=0, gzip;q=0", None);
        check_choice("'br'", "gzip", None);
        check_choice("", "gzip, br", None);
        // Nothing fits, not even the plain body.
        check_choice("'br'", "gzip, identity;q=0", None);
        check_choice(ALL, "*;q=0", None);
        let silent = ask("Accept: a/b");
        assert_eq!(choose(&silent, None, &rules("").compress), Form::AsSent);
    }

    #[test]
    fn chooses_among_what_is_made_and_what_the_origin_sent() {
        let check = |codings: &str, accepted: &str, expected| {
            check_choice_of(Some(Coding::Gzip), codings, accepted, expected);
        };
        check(ALL, "gzip, br", Some(Coding::Br));
        check(ALL, "gzip", Some(Coding::Gzip));
        check(ALL, "zstd", Some(Coding::Zstd));
        for plain in ["identity", "", "deflate", "gzip;q=0", "gzip;q=0.5, identity"] {
            check(ALL, plain, None);
        }
        check("'br'", "gzip, zstd", Some(Coding::Gzip));
        check("'br'", "gzip;q=0.9, br", Some(Coding::Br));
        check("'br'", "gzip, br;q=0.9", Some(Coding::Gzip));
    }

    #[test]
    fn codes_nothing_for_who_asks_for_no_transform() {
        let ask = ask("Accept-Encoding: br | Cache-Control: no-transform");
        for sent in [None, Some(Coding::Gzip)] {
            assert_eq!(choose(&ask, sent, &rules("").compress), Form::AsSent);
        }
    }

    #[track_caller]
    fn check_fields(form: Form, kept: &str, expected: &str) {
        assert_eq!(
            print(&form.fields(head(kept), Maker::Best)),
            print(&head(expected)),
            "{form:?} {kept}"
        );
    }

    #[test]
    fn tells_everybody_that_others_get_another_coding() {
        let vary = "Vary: Accept-Encoding";
        check_fields(Form::AsSent, "ETag: \"x\"", &format!("ETag: \"x\" | {vary}"));
        check_fields(Form::AsSent, "Vary: accept", &format!("Vary: accept | {vary}"));
        for told in ["Vary: a, ACCEPT-ENCODING", "Vary: *"] {
            check_fields(Form::AsSent, told, told);
        }
        check_fields(Form::AsIs(AsIs::Small), "ETag: \"x\"", "ETag: \"x\"");
    }

    #[test]
    fn tells_the_coding_and_another_tag() {
        let coded = "Content-Encoding: br | Vary: Accept-Encoding";
        let check = |kept: &str, expected: &str| {
            check_fields(Form::Made(Some(Coding::Br)), kept, &format!("{coded} | {expected}"));
        };
        check("ETag: \"x\" | Content-Length: 9", "ETag: \"x-br\"");
        check("ETag: W/\"x\" | Accept-Ranges: bytes", "ETag: W/\"x-br\" | Accept-Ranges: bytes");
        check("ETag: x | Content-Encoding: identity", "ETag: \"x-br\"");
        check("ETag: \"x\" | ETag: \"y\"", "");
        let date = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
        check(date, date);
    }

    #[track_caller]
    fn check_form(options: &str, asked: &str, length: u64, expected: Form) {
        let kept = head("Content-Type: text/css");
        let response = stored(200, &kept, &[]);
        let form = form(&ask(asked), &response, &kept, Some(length), &rules(options));
        assert_eq!(form, expected, "{options} {asked} {length}");
    }

    #[test]
    fn answers_in_one_of_three_forms() {
        check_form("", "Accept-Encoding: gzip", 5000, Form::Made(Some(Coding::Gzip)));
        check_form("", "", 5000, Form::AsSent);
        check_form("", "Accept-Encoding: gzip", 5, Form::AsIs(AsIs::Small));
        let off = "compress = { codings = [] }";
        check_form(off, "Accept-Encoding: gzip", 5000, Form::AsIs(AsIs::Off));
    }

    #[test]
    fn keeps_nothing_apart_by_what_it_makes_itself() {
        let check = |options: &str, selecting: &[&'static str], expected: &[&'static str]| {
            let names = |names: &[&'static str]| -> Vec<_> {
                names.iter().map(|name| HeaderName::from_static(name)).collect()
            };
            let mut selecting = names(selecting);
            merge(&mut selecting, &rules(options).key);
            assert_eq!(selecting, names(expected), "{options}");
        };
        check("", &["accept", "accept-encoding"], &["accept"]);
        let named = "key = { headers = ['Accept-Encoding'] }";
        check(named, &["accept-encoding"], &["accept-encoding"]);
    }

    #[test]
    fn compares_with_the_form_that_is_stored() {
        let check = |kept: &str, selecting: &[&str], accepted: &str, expected| {
            let kept = head(kept);
            let stored = stored(200, &kept, selecting);
            let ask = ask(&format!("Accept-Encoding: {accepted}"));
            assert_eq!(accepted_again(&ask, &stored, &kept), expected, "{kept:?} {accepted}");
        };
        let gzip = "Vary: Accept-Encoding | Content-Encoding: gzip";
        check(gzip, &[], "br, gzip", Some("gzip"));
        check("Vary: accept-encoding", &[], "br, gzip", Some("identity"));
        check(gzip, &["accept-encoding"], "gzip", None);
        check("Content-Encoding: gzip", &[], "gzip", None);
        check(gzip, &[], "br", None);
    }

    #[test]
    fn reads_what_was_stored_for_all_whatever_the_rules_say_now() {
        let kept = head("Content-Type: text/css | Content-Encoding: gzip");
        let mut response = stored(200, &kept, &[]);
        let off = rules("compress = { codings = [] }");
        let form = |response: &StoredHead, asked| form(&ask(asked), response, &kept, None, &off);
        assert_eq!(form(&response, "Accept-Encoding: br"), Form::AsIs(AsIs::Off));
        response.compressible = true;
        assert_eq!(form(&response, "Accept-Encoding: br"), Form::Made(None));
        assert_eq!(form(&response, "Accept-Encoding: gzip"), Form::AsIs(AsIs::Off));
    }

    #[test]
    fn lets_a_client_change_what_it_has_seen_in_a_coding() {
        let check = |asked: &str, expected: Option<&str>| {
            let edit = if_match(&head(asked));
            let value = edit.map(|(name, value)| {
                assert_eq!(name, header::IF_MATCH);
                value.unwrap().to_str().unwrap().to_owned()
            });
            assert_eq!(value.as_deref(), expected, "{asked}");
        };
        check("If-Match: \"x-br\"", Some("\"x-br\", \"x\""));
        check("If-Match: \"x-br\" | If-Match: \"y\"", Some("\"x-br\", \"y\", \"x\""));
        check("If-Match: \"x-gzip\", \"x-zstd\"", Some("\"x-gzip\", \"x-zstd\", \"x\""));
        check("If-Match: W/\"x-br\"", Some("W/\"x-br\", \"x\""));
        check("If-Match: W/\"x-br-origin\"", Some("W/\"x-br-origin\", \"x\""));
        for untouched in [
            "",
            "If-Match: *",
            "If-Match: \"x\"",
            "If-Match: \"xbr\"",
            "If-Match: \"x-br\", \"x\"",
            "If-None-Match: \"x-br\"",
        ] {
            check(untouched, None);
        }
    }

    fn codings() -> impl Strategy<Value = Vec<config::Coding>> {
        let all = [config::Coding::Br, config::Coding::Zstd, config::Coding::Gzip];
        (0..=3_usize, Just(all.to_vec()).prop_shuffle()).prop_map(|(length, mut codings)| {
            codings.truncate(length);
            codings
        })
    }

    fn any_tag() -> impl Strategy<Value = EntityTag> {
        (any::<bool>(), "[!#-~]{0,12}(-(br|gzip|zstd))?")
            .prop_map(|(weak, opaque)| EntityTag { weak, opaque: opaque.into() })
    }

    proptest! {
        #[test]
        fn never_gives_a_coding_that_is_refused_or_not_made(
            accepted in "((br|gzip|x-gzip|zstd|deflate|identity|\\*)(;q=(0|1|0\\.[0-9]{1,3}))?, ){0,6}",
            codings in codings(),
        ) {
            let ask = ask(&format!("Accept-Encoding: {accepted}"));
            let compress = Compress { codings, ..rules("").compress.clone() };
            let made: Vec<_> = compress.codings.iter().map(|coding| made(*coding)).collect();
            let plain = ask.codings.of_plain().unwrap_or(0);
            match choose(&ask, None, &compress) {
                Form::Made(Some(chosen)) => {
                    let weight = ask.codings.of(chosen);
                    prop_assert!(weight > 0 && weight >= plain && made.contains(&chosen));
                    for (at, other) in made.iter().enumerate() {
                        let place = made.iter().position(|one| *one == chosen).unwrap();
                        let other = ask.codings.of(*other);
                        prop_assert!(other < weight || (other == weight && place <= at));
                    }
                }
                Form::AsSent => for coding in made {
                    prop_assert!(ask.codings.of(coding) == 0 || ask.codings.of(coding) < plain);
                },
                other @ (Form::AsIs(_) | Form::Made(None)) => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn chooses_no_coding_that_the_form_for_the_origin_leaves_out(
            accepted in "[brgzipstdx*;=q01., -]{0,40}", codings in codings(),
        ) {
            let asked = head(&format!("Accept-Encoding: {accepted}"));
            let form = coding::accepted(&asked).unwrap();
            let compress = Compress { codings, ..rules("").compress.clone() };
            let ask = Ask::read(&Method::GET, &asked, false);
            if let Form::Made(Some(chosen)) = choose(&ask, None, &compress) {
                prop_assert!(form.split(", ").any(|taken| taken == chosen.token()), "{form}");
            }
        }

        #[test]
        fn gives_each_form_a_tag_of_its_own_and_finds_back(tag in any_tag()) {
            let forms = || Coding::ALL.into_iter().map(Some).chain([None]);
            let made = |by| forms().map(move |form| (form, by));
            let mut tags = vec![tag.clone()];
            for (form, by) in made(Maker::Best).chain(made(Maker::Origin)) {
                let made = made_tag(&tag, form, by);
                let sent = sent_tag(&made).map(|sent| EntityTag { weak: tag.weak, ..sent });
                prop_assert_eq!(sent, Some(tag.clone()));
                prop_assert_eq!(made.weak, tag.weak || (by == Maker::Origin && form.is_some()));
                let read = EntityTag::parse(made.value().as_bytes());
                prop_assert_eq!(read, Some(made.clone()));
                tags.push(made);
            }
            for (at, one) in tags.iter().enumerate() {
                prop_assert!(tags.iter().skip(at + 1).all(|other| !one.weak_eq(other)));
            }
        }

        #[test]
        fn promises_no_bytes_of_what_was_made_in_haste(tag in any_tag()) {
            for coding in Coding::ALL.map(Some) {
                let (quick, best) = (Maker::Quick, Maker::Best);
                let [quick, best] = [quick, best].map(|by| made_tag(&tag, coding, by));
                prop_assert!(quick.weak && quick.weak_eq(&best) && !quick.strong_eq(&best));
            }
            let [quick, best] = [Maker::Quick, Maker::Best].map(|by| made_tag(&tag, None, by));
            prop_assert_eq!(quick, best);
        }

        #[test]
        fn adds_nothing_twice(tag in any_tag(), vary in "[a-z*, -]{0,20}") {
            let mut kept = HeaderMap::new();
            kept.insert(header::ETAG, tag.value());
            kept.insert(header::VARY, HeaderValue::try_from(vary).unwrap());
            kept.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            let sent = Form::AsSent.fields(kept, Maker::Best);
            prop_assert_eq!(&Form::AsSent.fields(sent.clone(), Maker::Best), &sent);
            let coded = Form::Made(Some(Coding::Gzip)).fields(sent.clone(), Maker::Best);
            prop_assert_eq!(coded.get_all(header::VARY).iter().collect::<Vec<_>>(),
                sent.get_all(header::VARY).iter().collect::<Vec<_>>());
        }
    }
}
