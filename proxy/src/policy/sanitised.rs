//! The fields of a response, without what is for one hop or for this cache alone.

use forebay_config::Route;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::admit::Admission;
use super::group;
use crate::field::{coding, date, hop, tags};
use crate::key::Target;
use crate::stored::{Fields, Selecting, StoredHead, TagHash};
use crate::time::Timestamp;

/// Fields that speak to this cache and are not passed on.
pub const NOT_FOR_CLIENTS: [HeaderName; 4] = [
    HeaderName::from_static("forebay-cache-control"),
    HeaderName::from_static("surrogate-key"),
    HeaderName::from_static("cache-tag"),
    HeaderName::from_static("cache-groups"),
];

/// Response fields without what is for one hop.
#[derive(Clone, Debug)]
pub struct Sanitised {
    pub fields: HeaderMap,
}

impl Sanitised {
    /// Takes a copy of `fields`.
    #[must_use]
    pub fn new(fields: &HeaderMap) -> Self {
        let mut fields = fields.clone();
        hop::strip_hop_by_hop(&mut fields);
        Self { fields }
    }

    /// The fields of an interim response.
    #[must_use]
    pub fn interim(self) -> HeaderMap {
        let mut fields = self.fields;
        for name in NOT_FOR_CLIENTS.iter().chain(&[header::SET_COOKIE]) {
            fields.remove(name);
        }
        fields
    }

    /// The fields of an answer that updates what is stored: it is as old as it says, or new.
    #[must_use]
    pub fn update(mut self, arrived: Timestamp) -> HeaderMap {
        if date::date(&self.fields).is_none() {
            self.fields.insert(header::DATE, date::value(arrived));
        }
        self.fields
    }

    /// The head that is stored of a response with `status` that was asked for as `target` on
    /// `route`, with the fields `asked`.
    #[must_use]
    pub fn stored(
        self,
        status: StatusCode,
        admission: &Admission,
        asked: &HeaderMap,
        (target, route): (&Target, &Route),
    ) -> StoredHead {
        let tags = tags::tags(&self.fields);
        let groups = group::groups(target, route, &self.fields);
        StoredHead {
            status,
            freshness: admission.freshness,
            selecting: Selecting::new(&admission.vary, asked),
            part: admission.part,
            compressible: admission.compressible,
            // One that cannot be read is nothing to start from, and is left as it is.
            coding: coding::of_body(&self.fields).unwrap_or(None),
            tags: tags.iter().map(|tag| TagHash::of(tag)).chain(groups).collect(),
            since: 0,
            fields: Fields::new(&self.finish(admission)),
        }
    }

    /// The fields as they are stored, those included that the next 304 may not repeat and that
    /// clients do not get.
    fn finish(self, admission: &Admission) -> HeaderMap {
        let mut fields = self.fields;
        if admission.strip_cookies {
            fields.remove(header::SET_COOKIE);
        }
        if let Some(value) = &admission.cache_control {
            fields.insert(header::CACHE_CONTROL, value.clone());
        }
        for name in &admission.also_varies {
            fields.append(header::VARY, HeaderValue::from(name.clone()));
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
        //# A recipient with a clock that receives a response message without a Date header
        //# field MUST record the time it was received and append a corresponding Date header
        //# field to the message's header section if it is cached or forwarded downstream.
        let sent = date::date(&fields).unwrap_or(admission.freshness.arrived);
        fields.insert(header::DATE, date::value(sent));
        fields
    }
}
