//! Errors of the API: a status code, a code for programs, and words for people.

use std::borrow::Cow;

use serde_json::json;

use crate::store::WriteError;

/// Name and value of a header.
pub type Header = (&'static str, String);

/// Why a request gets no more than this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status code.
    pub status: u16,
    /// Constant word for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The field of the body, the path or the query that is wrong.
    pub field: Option<String>,
    /// What to do about it.
    pub remedy: Option<Cow<'static, str>>,
    /// A header that belongs to the status code. In a box: errors are returned by value all over the API.
    pub header: Option<Box<Header>>,
}

impl ApiError {
    /// An error without field, remedy and header.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, remedy: None, header: None }
    }

    /// 422: understood, and wrong.
    pub fn invalid(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(422, code, message) }
    }

    /// Adds a header.
    pub fn header(self, name: &'static str, value: impl Into<String>) -> Self {
        Self { header: Some(Box::new((name, value.into()))), ..self }
    }

    /// Adds what to do about it.
    pub fn remedy(self, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// The body.
    pub fn to_json(&self) -> String {
        let mut error = json!({ "status": self.status, "code": self.code, "message": self.message });
        if let Some(object) = error.as_object_mut() {
            if let Some(field) = &self.field {
                object.insert("field".to_owned(), json!(field));
            }
            if let Some(remedy) = &self.remedy {
                object.insert("remedy".to_owned(), json!(remedy));
            }
        }
        json!({ "error": error }).to_string()
    }

    /// No such route.
    pub fn route_not_found() -> Self {
        Self::new(404, "not_found", "no such resource").remedy("GET /api/v1/openapi.json lists every route")
    }

    /// No such zone.
    pub fn zone_not_found(zone: impl std::fmt::Display) -> Self {
        Self::new(404, "zone_not_found", format!("zone {zone} does not exist"))
            .remedy("create it with PUT /api/v1/zones/{zone}")
    }

    /// No such RRset.
    pub fn rrset_not_found() -> Self {
        Self::new(404, "rrset_not_found", "the RRset does not exist")
    }

    /// No such view.
    pub fn view_not_found() -> Self {
        Self::new(404, "view_not_found", "the view does not exist").remedy("GET /api/v1/views lists all of them")
    }

    /// A zone that is kept in a zone file or in etcd.
    pub fn zone_read_only(zone: impl std::fmt::Display, keeper: impl std::fmt::Display) -> Self {
        Self::new(409, "zone_read_only", format!("zone {zone} is served from {keeper}")).remedy(
            "edit the file and send the process SIGHUP, or write the keys of etcd; or remove the [[zone_file]] or [[etcd_tree]] \
             from the configuration",
        )
    }

    /// The error of a part, with the part's place before the field's name.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        let field = match self.field {
            Some(field) => format!("{place}.{field}"),
            None => place.to_owned(),
        };
        Self { field: Some(field), ..self }
    }

    /// A query parameter that nobody knows.
    pub fn unknown_parameter(parameter: &str, known: &[&str]) -> Self {
        let error = Self::new(400, "unknown_parameter", format!("there is no parameter \"{parameter}\""));
        match known {
            [] => error.remedy("leave it out"),
            known => error.remedy(format!("known are {}", known.join(", "))),
        }
    }

    /// It is not what the request expects it to be (RFC 9110 section 15.5.13).
    pub fn precondition_failed() -> Self {
        Self::new(412, "precondition_failed", WriteError::PreconditionFailed.to_string())
            .remedy("get it again, decide anew, and send its new ETag")
    }

    /// Too early or too late.
    pub fn unavailable(message: &str) -> Self {
        Self::new(503, "unavailable", message)
            .remedy("try again when GET /ready answers 200")
            .header("retry-after", "1")
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        use crate::model::RrsetError;
        let message = error.to_string();
        match error {
            WriteError::ZoneNotFound => Self::new(404, "zone_not_found", "the zone does not exist in the store")
                .remedy("create it with PUT /api/v1/zones/{zone}"),
            WriteError::RrsetNotFound => Self::rrset_not_found(),
            WriteError::Exists => Self::new(409, "rrset_exists", message)
                .remedy("replace it with PUT /api/v1/zones/{zone}/rrsets/{owner}/{type}"),
            WriteError::CnameAndOther => Self::invalid("type", "cname_and_other", message)
                .remedy("delete the other RRsets of the owner first, or choose another owner"),
            WriteError::ViewNotFound => Self::view_not_found(),
            WriteError::NetworkTaken { .. } => {
                Self { field: Some("prefixes".to_owned()), ..Self::new(409, "network_taken", message) }
                    .remedy("take it from the other view first, or name a smaller network")
            }
            WriteError::TooManyViews => Self::new(409, "too_many_views", message).remedy("remove one that is not used"),
            WriteError::OutOfZone => Self::invalid("owner", "out_of_zone", message),
            WriteError::ApexNeeded => {
                Self::new(409, "apex_needed", message).remedy("replace the RRset with PUT, or delete the zone")
            }
            WriteError::Rrset(RrsetError::Ttl) => Self::invalid("ttl", "ttl_out_of_bounds", message),
            WriteError::Rrset(RrsetError::NoData) => Self::invalid("type", "type_not_storable", message),
            WriteError::Rrset(RrsetError::SoaBelowApex) => Self::invalid("owner", "soa_below_apex", message),
            WriteError::Rrset(RrsetError::MembersMismatch) => {
                Self::invalid("selection.members", "members_mismatch", message)
            }
            WriteError::Rrset(RrsetError::TooManyMembers) => Self::invalid("records", "too_many_members", message),
            WriteError::Rrset(RrsetError::NoView) => Self::invalid("view", "type_in_no_view", message),
            WriteError::Rrset(RrsetError::TooLarge) => Self::invalid("records", "rrset_too_large", message),
            WriteError::Rrset(_) => Self::invalid("records", "invalid_records", message),
            WriteError::Unservable(_) => Self::invalid("records", "invalid_records", message),
            WriteError::PreconditionFailed => Self::precondition_failed(),
            // Only edits refuse themselves, and the routes here make none.
            WriteError::Refused(_) => Self::new(409, "refused", message),
            WriteError::NotServed(_) => Self::new(409, "not_served", message)
                .remedy("another source serves data that the records cannot stand beside"),
            WriteError::Storage(_) => Self::new(503, "store_failed", message).remedy("see the log, and check the disk of store.path; nothing of the request was written"),
            WriteError::Full(_) => Self::new(507, "disk_full", message).remedy(
                "make room on the disk of store.path; nothing of the request was written, and the next one is as soon as there is room",
            ),
            WriteError::Etcd(_) => Self::new(503, "etcd_unavailable", message)
                .remedy("see that etcd's members run and can be reached (etcdctl endpoint health); what was stored stays served")
                .header("retry-after", "1"),
            WriteError::Unavailable => Self::unavailable(&message),
        }
    }
}
