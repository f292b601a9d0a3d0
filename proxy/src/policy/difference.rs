//! Decides whether a client gets a stored response as what differs from a dictionary that it has
//! (RFC 9842).
//!
//! It is one more form of the response, beside those of [`encode`], with a tag of its own. It is
//! chosen where the client likes it no less than what it would get otherwise, and where it is made:
//! until then the other form answers.
//!
//! [`encode`]: super::encode

use http::{HeaderMap, HeaderValue, header};

use super::answer::Answer;
use super::dictionary::{self, Bundle};
use super::encode::{Form, varying};
use super::look_up::{Serving, Wanted};
use super::request::Ask;
use crate::field::coding::Coding;
use crate::field::dictionary::{DictionaryCoding, Hash};
use crate::field::etag::{self, Condition, EntityTag};
use crate::stored::{Body, Standing, Stored, StoredHead, Versions};

/// What is to be done with a stored body, off the request threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// To work out its hash, and keep it as a dictionary.
    Hash,
    /// To make it in this coding for who has this dictionary, if that is at hand.
    Code(DictionaryCoding, Hash),
}

/// A response that is a version of a bundle, and may be told as what differs from another one.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    bundle: &'a Bundle,
    /// How much the client likes what it gets without a dictionary; nothing if it wants no other.
    weight: Option<u16>,
}

impl<'a> Version<'a> {
    /// What `ask` wants, if the response with `head`, whose fields are `kept` and which answers it
    /// in `form`, takes part; `length` is that of its body, if it is known yet.
    #[must_use]
    pub fn of(
        ask: &'a Ask,
        head: &StoredHead,
        kept: &HeaderMap,
        form: Form,
        length: Option<u64>,
    ) -> Option<Self> {
        let bundle = ask.bundle.as_ref()?;
        // How long it is without the coding that the origin sent it in, nobody knows yet.
        let length = length.filter(|_| head.coding.is_none());
        if !bundle.takes(head, kept, length) {
            return None;
        }
        let weight = |coding: Option<Coding>| match coding {
            Some(coding) => ask.codings.of(coding),
            None => ask.codings.of_plain().unwrap_or(0),
        };
        let weight = match form {
            Form::AsIs(_) => return None,
            Form::AsSent => weight(head.coding),
            Form::Made(coding) => weight(coding),
        };
        Some(Self { bundle, weight: (!ask.directives.no_transform).then_some(weight) })
    }

    /// What the client gets of `stored`, whose fields are `kept`, where it gets `alone` without a
    /// dictionary.
    #[must_use]
    pub fn serve(
        &self,
        stored: &Stored,
        kept: &HeaderMap,
        alone: Serving,
        wanted: &Wanted<'_>,
    ) -> Serving {
        let versions = stored.body.versions();
        let mut work = match versions.map(|known| known.standing).unwrap_or_default() {
            Standing::Unknown => Some(Work::Hash),
            Standing::Unfit | Standing::Known(_) => None,
        };
        let mut serving = match alone.answer {
            // It has this form already, or wants a part of it.
            Answer::NotModified
            | Answer::Part(_)
            | Answer::Parts(_)
            | Answer::Unsatisfiable
            | Answer::Missing => alone,
            Answer::Whole => {
                let form = self.held(kept, wanted).map(|fields| Serving {
                    fields,
                    body: stored.body.clone(),
                    answer: Answer::NotModified,
                    missing: None,
                    made: None,
                    difference: None,
                    work: None,
                });
                let known = alone.missing.is_none().then(|| alone.body.length());
                let most = known.unwrap_or(u64::MAX);
                form.or_else(|| self.coded(stored, kept, wanted, most, &mut work)).unwrap_or(alone)
            }
        };
        let hash = versions.and_then(Versions::hash);
        self.tell(&mut serving.fields, hash);
        if let Some(missing) = &mut serving.missing {
            self.tell(&mut missing.fields, hash);
        }
        Serving { work: work.map(Box::new), ..serving }
    }

    /// Adds to `fields` of an answer what they say of dictionaries; `hash` is that of the body, if
    /// clients may keep it as one.
    pub fn tell(&self, fields: &mut HeaderMap, hash: Option<Hash>) {
        self.bundle.tell(fields, hash.is_some());
    }

    /// The fields of a 304, if the client has the response as what differed from a dictionary:
    /// from which, it need not have any more.
    fn held(&self, kept: &HeaderMap, wanted: &Wanted<'_>) -> Option<HeaderMap> {
        let tag = etag::etag(kept)?;
        let Some(Condition::Tags(tags)) = etag::if_none_match(wanted.fields) else { return None };
        let is_of_this = |theirs: &&EntityTag| {
            dictionary::without_dictionary(&theirs.opaque)
                .is_some_and(|(opaque, _)| *opaque == *tag.opaque)
        };
        let theirs = tags.iter().find(is_of_this)?;
        let (_, coding) = dictionary::without_dictionary(&theirs.opaque)?;
        let theirs = EntityTag { weak: tag.weak, opaque: theirs.opaque.clone() };
        Some(fields(kept.clone(), coding, Some(&theirs)))
    }

    /// The response in the coding with a dictionary that the client likes best of those that are
    /// made and shorter than `most`; sets `work` to make the one that it would have got, had it been
    /// made.
    fn coded(
        &self,
        stored: &Stored,
        kept: &HeaderMap,
        wanted: &Wanted<'_>,
        most: u64,
        work: &mut Option<Work>,
    ) -> Option<Serving> {
        let versions = stored.body.versions()?;
        // Without its hash it is not known whether the client has this very body.
        let own = versions.hash()?;
        if wanted.fields.contains_key(header::RANGE) {
            return None;
        }
        for (coding, from) in self.bundle.codings(self.weight?, Some(own)) {
            let Some(difference) = versions.difference(coding, from) else {
                *work = Some(Work::Code(coding, from));
                return None;
            };
            if let Some(made) = difference.made.as_ref().filter(|made| (made.len() as u64) < most) {
                let tag = etag::etag(kept).map(|tag| dictionary::tag(&tag, coding, from));
                let fields = fields(kept.clone(), coding, tag.as_ref());
                let body = Body::new(vec![made.clone()]);
                return Some(Serving {
                    fields,
                    body,
                    // No condition holds, and no part is asked for.
                    answer: Answer::Whole,
                    missing: None,
                    made: None,
                    difference: Some(coding),
                    work: None,
                });
            }
        }
        None
    }
}

/// The fields of the answer in `coding` under `tag`, made of those that are `kept`.
fn fields(kept: HeaderMap, coding: DictionaryCoding, tag: Option<&EntityTag>) -> HeaderMap {
    let mut fields = varying(kept);
    fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.token()));
    fields.remove(header::CONTENT_LENGTH);
    match tag {
        Some(tag) => drop(fields.insert(header::ETAG, tag.value())),
        None => drop(fields.remove(header::ETAG)),
    }
    fields
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::Method;
    use proptest::prelude::*;

    use super::*;
    use crate::key::Target;
    use crate::policy::look_up;
    use crate::policy::testing::{MINUTE, head, route};
    use crate::stored::{Coded, Difference, Fields, Kept, Maker, Selecting};

    const OWN: &[u8] = b"the new version";
    const OTHER: &[u8] = b"the old version";

    /// What is stored, of which is known what `standing` says, and what differs from [`OTHER`].
    fn stored(standing: Standing, made: &[(DictionaryCoding, Option<&'static [u8]>)]) -> Stored {
        let kept = head("Content-Type: text/javascript | ETag: \"x\"");
        let head = StoredHead {
            status: http::StatusCode::OK,
            fields: Fields::new(&kept),
            freshness: MINUTE,
            selecting: Selecting::new(&[], &HeaderMap::new()),
            part: None,
            compressible: true,
            coding: None,
            tags: Box::default(),
            since: 0,
        };
        let body = Body::new(vec![Bytes::from(vec![b'a'; 5000])]);
        let br = Body::new(vec![Bytes::from(vec![b'b'; 100])]);
        let body = body.with_coded(Some(Coding::Br), &Coded::Kept(Kept::new(br, Maker::Best)));
        let body = body.with_versions(|versions| {
            versions.standing = standing;
            for (coding, made) in made {
                let made = made.map(Bytes::from_static);
                versions.add(Difference { coding: *coding, from: Hash::of(OTHER), made });
            }
        });
        Stored { head: Arc::new(head), body }
    }

    /// What a client that has `dictionary` gets of `stored`.
    fn serve(stored: &Stored, dictionary: &[u8], fields: &str) -> Serving {
        let route = route("compress = { dictionaries = true }");
        let target = Target::parse("http", "a.example", "/app.3f2a9b1c.js").unwrap();
        let mut fields = head(fields);
        let mut said = String::new();
        let hash = Hash::of(dictionary);
        let item = sfv::RefBareItem::ByteSeq(hash.as_bytes());
        sfv::RefItemSerializer::new(&mut said).bare_item(&item).unwrap();
        fields.insert(crate::field::dictionary::AVAILABLE, said.parse().unwrap());
        let mut ask = Ask::read(&Method::GET, &fields, false);
        ask.bundle = Bundle::of(&target, &fields, &route);
        let wanted = Wanted { ask: &ask, fields: &fields, rules: &route.policy };
        look_up::serve(stored, &wanted)
    }

    const BOTH: &str = "Accept-Encoding: br, dcb, dcz";
    const DCB: DictionaryCoding = DictionaryCoding::Dcb;
    const DCZ: DictionaryCoding = DictionaryCoding::Dcz;

    #[track_caller]
    fn check(
        standing: Standing,
        made: &[(DictionaryCoding, Option<&'static [u8]>)],
        fields: &str,
        expected: (Option<&str>, Option<Work>),
    ) {
        let serving = serve(&stored(standing, made), OTHER, fields);
        assert_eq!((serving.coding(), serving.work.as_deref().copied()), expected, "{fields}");
        let told = serving.fields.contains_key(crate::field::dictionary::USE_AS);
        assert_eq!(told, matches!(standing, Standing::Known(_)));
    }

    #[test]
    fn chooses_what_is_made_and_orders_what_is_not() {
        let known = Standing::Known(Hash::of(OWN));
        let order = |coding| Some(Work::Code(coding, Hash::of(OTHER)));
        check(Standing::Unknown, &[], BOTH, (Some("br"), Some(Work::Hash)));
        check(Standing::Unfit, &[], BOTH, (Some("br"), None));
        check(known, &[], BOTH, (Some("br"), order(DCB)));
        check(known, &[(DCB, Some(b"small"))], BOTH, (Some("dcb"), None));
        check(known, &[(DCZ, Some(b"small"))], BOTH, (Some("br"), order(DCB)));
        check(known, &[(DCB, None)], BOTH, (Some("br"), order(DCZ)));
        check(known, &[(DCB, None), (DCZ, Some(b"small"))], BOTH, (Some("dcz"), None));
        check(known, &[(DCB, Some(&[b'c'; 100])), (DCZ, None)], BOTH, (Some("br"), None));
        check(known, &[], "Accept-Encoding: br", (Some("br"), None));
        check(known, &[], "Accept-Encoding: br, dcz", (Some("br"), order(DCZ)));
        let ranged = "Accept-Encoding: br, dcb | Range: bytes=0-1";
        check(known, &[(DCB, Some(b"small"))], ranged, (Some("br"), None));
        let as_sent = "Accept-Encoding: br, dcb | Cache-Control: no-transform";
        check(known, &[(DCB, Some(b"small"))], as_sent, (None, None));
    }

    #[test]
    fn gives_nobody_what_differs_from_the_very_same() {
        let stored = stored(Standing::Known(Hash::of(OTHER)), &[(DCB, Some(b"small"))]);
        let serving = serve(&stored, OTHER, BOTH);
        assert_eq!((serving.coding(), serving.work), (Some("br"), None));
    }

    proptest! {
        #[test]
        fn never_gives_a_client_what_it_cannot_read(
            takes_dcb: bool,
            takes_dcz: bool,
            has_other: bool,
            made_dcb in prop::option::of(prop::option::of(Just(&b"small"[..]))),
            made_dcz in prop::option::of(prop::option::of(Just(&b"small"[..]))),
            condition in prop::sample::select(&["", " | If-None-Match: \"x-dcb-01234567\"",
                " | If-None-Match: \"x-br\"", " | Range: bytes=0-9"][..]),
        ) {
            let made: Vec<_> = [(DCB, made_dcb), (DCZ, made_dcz)]
                .into_iter()
                .filter_map(|(coding, made)| Some((coding, made?)))
                .collect();
            let stored = stored(Standing::Known(Hash::of(OWN)), &made);
            let dcb = if takes_dcb { ", dcb" } else { "" };
            let dcz = if takes_dcz { ", dcz" } else { "" };
            let dictionary = if has_other { OTHER } else { b"unknown" };
            let fields = format!("Accept-Encoding: br{dcb}{dcz}{condition}");
            let serving = serve(&stored, dictionary, &fields);
            if let Some(coding) = serving.difference {
                let takes = match coding { DictionaryCoding::Dcb => takes_dcb, DictionaryCoding::Dcz => takes_dcz };
                prop_assert!(takes && has_other && serving.answer == Answer::Whole);
                prop_assert_eq!(&serving.fields[header::CONTENT_ENCODING], coding.token());
                let tag = etag::etag(&serving.fields).unwrap();
                prop_assert_eq!(dictionary::without_dictionary(&tag.opaque), Some((&b"x"[..], coding)));
            }
            let vary: Vec<_> = serving.fields.get_all(header::VARY).iter().collect();
            prop_assert_eq!(vary, ["Accept-Encoding", "Available-Dictionary"]);
        }
    }
}
