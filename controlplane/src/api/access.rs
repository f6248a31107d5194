//! Who may do what: tokens (RFC 6750), the zones that they are for, and what they permit there.

use std::sync::Arc;

use ringdns_engine::name::WireName;
use warp::http::{HeaderMap, HeaderValue};

use super::Context;
use super::body;
use super::error::ApiError;
use super::route::Endpoint;
use crate::config::{AccessToken, Permission};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// Somebody of whom nothing was asked.
    Anyone,
    /// Who has a token.
    Holder(Arc<AccessToken>),
}

impl Caller {
    /// True where the caller may do this in a zone, which must have been asked for a token before.
    pub(super) fn may(&self, permission: Permission, apex: &WireName) -> bool {
        match self {
            Self::Anyone => permission == Permission::Read,
            Self::Holder(token) => token.permits(permission) && token.covers(apex),
        }
    }

    /// True where the caller may still read as it could when it began to.
    pub(super) fn may_go_on(&self, context: &Context) -> bool {
        let tokens = context.settings.tokens();
        match self {
            Self::Anyone => !tokens.read_needs_token,
            Self::Holder(token) => tokens.still_has(token),
        }
    }

    /// The name of the caller's token; nothing is written where there is none.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Anyone => "",
            Self::Holder(token) => &token.name,
        }
    }

    /// Refuses what the caller may not do in a zone.
    pub(super) fn check(&self, permission: Permission, apex: &WireName) -> Result<(), ApiError> {
        if self.may(permission, apex) {
            return Ok(());
        }
        Err(ApiError::new(403, "forbidden", format!("token \"{}\" is not for zone {apex}", self.name()))
            .remedy("name the zone, or one above it, in the token's zones, and reload"))
    }

    /// The zone that a path names, where the caller may do this in it.
    pub(super) fn zone(&self, permission: Permission, text: &str) -> Result<WireName, ApiError> {
        let apex = body::apex(text)?;
        self.check(permission, &apex)?;
        Ok(apex)
    }
}

/// Finds out who asks, and refuses who may not ask this at all; zones are a matter of [`Caller::zone`].
pub(super) fn authorise(context: &Context, headers: &HeaderMap, endpoint: Endpoint) -> Result<Caller, ApiError> {
    let tokens = context.settings.tokens();
    let permission = match endpoint.permission() {
        None => return Ok(Caller::Anyone),
        Some(Permission::Read) if !tokens.read_needs_token => return Ok(Caller::Anyone),
        Some(permission) => permission,
    };
    let refused = |message: &str, remedy: &'static str| {
        let error = ApiError::new(401, "unauthorized", message).remedy(remedy);
        error.header("www-authenticate", "Bearer realm=\"ringdns\"")
    };
    if tokens.is_empty() {
        return Err(refused("no token is configured, so nothing can be written", "set admin.token_file and reload"));
    }
    let header = headers.get("authorization").map(HeaderValue::as_bytes);
    let guess = header.and_then(|value| {
        let (scheme, guess) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(guess.trim_ascii())
    });
    let Some(guess) = guess else {
        return Err(refused("this needs a token", "send the header Authorization: Bearer <token>"));
    };
    let Some(token) = tokens.find(guess) else {
        return Err(refused("the token is wrong", "send the token of admin.token_file or of an [[admin_token]]"));
    };
    if !token.permits(permission) {
        let message = format!("token \"{}\" does not permit to {}", token.name, permission.word());
        let remedy = format!("add \"{}\" to the token's permissions, and reload", permission.word());
        return Err(ApiError::new(403, "forbidden", message).remedy(remedy));
    }
    Ok(Caller::Holder(token))
}
