//! The routes: one table, from which requests are matched and the OpenAPI document is checked.

use percent_encoding::percent_decode_str;

use super::error::ApiError;
use crate::config::Permission;

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The process is up.
    Health,
    /// The process answers queries as it should.
    Ready,
    /// Metrics as text.
    Metrics,
    /// The OpenAPI document.
    OpenApi,
    /// Version and state.
    Status,
    /// Reads the configuration and the zone files again.
    Reload,
    /// Zones by page.
    ListZones,
    /// One zone.
    GetZone,
    /// Makes or changes a zone.
    PutZone,
    /// Removes a zone.
    DeleteZone,
    /// RRsets by page.
    ListRrsets,
    /// Makes an RRset.
    PostRrset,
    /// One RRset.
    GetRrset,
    /// Makes or replaces an RRset.
    PutRrset,
    /// Removes an RRset.
    DeleteRrset,
    /// Several writes that belong together.
    Transaction,
    /// Changes as they are published.
    Watch,
    /// A zone as a file.
    Export,
    /// A zone from a file.
    Import,
    /// All views.
    ListViews,
    /// One view.
    GetView,
    /// Makes or changes a view.
    PutView,
    /// Removes a view.
    DeleteView,
    /// Addresses whose health is known, by page.
    ListMembers,
    /// How one address is.
    GetMember,
    /// What was asked for, in numbers.
    Stats,
    /// The names that were asked for most.
    TopNames,
    /// How often one name was asked for.
    NameStats,
    /// What is kept of names of others, by page.
    ListCache,
    /// Forgets some of it, or all.
    FlushCache,
    /// Who is asked for names of others.
    ListUpstreams,
}

impl Endpoint {
    /// What a token must permit for it; nothing where none is ever asked for.
    pub fn permission(self) -> Option<Permission> {
        use Endpoint::{
            DeleteRrset, DeleteView, DeleteZone, FlushCache, Health, Import, Metrics, OpenApi, PostRrset, PutRrset,
            PutView, PutZone, Ready, Reload, Status, Transaction,
        };
        match self {
            Health | Ready | Metrics | OpenApi | Status => None,
            Reload | PutView | DeleteView => Some(Permission::Admin),
            PutZone | DeleteZone | PostRrset | PutRrset | DeleteRrset | Transaction | Import | FlushCache => {
                Some(Permission::Write)
            }
            _ => Some(Permission::Read),
        }
    }

    /// True for what changes something and so always needs a token.
    pub fn is_write(self) -> bool {
        self.permission().is_some_and(|permission| permission != Permission::Read)
    }
}

/// A route: method, path with `{parameters}`, and what it does.
#[derive(Debug)]
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path.
    pub path: &'static str,
    /// What it does.
    pub endpoint: Endpoint,
}

/// Builds a [`Route`].
const fn route(method: &'static str, path: &'static str, endpoint: Endpoint) -> Route {
    Route { method, path, endpoint }
}

/// Every route.
pub const ROUTES: &[Route] = &[
    route("GET", "/health", Endpoint::Health),
    route("GET", "/ready", Endpoint::Ready),
    route("GET", "/metrics", Endpoint::Metrics),
    route("GET", "/api/v1/openapi.json", Endpoint::OpenApi),
    route("GET", "/api/v1/status", Endpoint::Status),
    route("POST", "/api/v1/reload", Endpoint::Reload),
    route("GET", "/api/v1/zones", Endpoint::ListZones),
    route("GET", "/api/v1/zones/{zone}", Endpoint::GetZone),
    route("PUT", "/api/v1/zones/{zone}", Endpoint::PutZone),
    route("DELETE", "/api/v1/zones/{zone}", Endpoint::DeleteZone),
    route("GET", "/api/v1/zones/{zone}/rrsets", Endpoint::ListRrsets),
    route("POST", "/api/v1/zones/{zone}/rrsets", Endpoint::PostRrset),
    route("GET", "/api/v1/zones/{zone}/rrsets/{owner}/{type}", Endpoint::GetRrset),
    route("PUT", "/api/v1/zones/{zone}/rrsets/{owner}/{type}", Endpoint::PutRrset),
    route("DELETE", "/api/v1/zones/{zone}/rrsets/{owner}/{type}", Endpoint::DeleteRrset),
    route("GET", "/api/v1/zones/{zone}/export", Endpoint::Export),
    route("POST", "/api/v1/zones/{zone}/import", Endpoint::Import),
    route("POST", "/api/v1/transactions", Endpoint::Transaction),
    route("GET", "/api/v1/watch", Endpoint::Watch),
    route("GET", "/api/v1/views", Endpoint::ListViews),
    route("GET", "/api/v1/views/{view_name}", Endpoint::GetView),
    route("PUT", "/api/v1/views/{view_name}", Endpoint::PutView),
    route("DELETE", "/api/v1/views/{view_name}", Endpoint::DeleteView),
    route("GET", "/api/v1/members", Endpoint::ListMembers),
    route("GET", "/api/v1/members/{address}", Endpoint::GetMember),
    route("GET", "/api/v1/stats", Endpoint::Stats),
    route("GET", "/api/v1/stats/names", Endpoint::TopNames),
    route("GET", "/api/v1/stats/names/{name}", Endpoint::NameStats),
    route("GET", "/api/v1/cache", Endpoint::ListCache),
    route("DELETE", "/api/v1/cache", Endpoint::FlushCache),
    route("GET", "/api/v1/upstreams", Endpoint::ListUpstreams),
];

/// A request's route and the values of its path's parameters, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Matched {
    /// What the route does.
    pub endpoint: Endpoint,
    /// Decoded values of the parameters.
    pub parameters: Vec<String>,
}

/// Finds the route of a request; HEAD goes where GET goes.
pub fn find(method: &str, path: &str) -> Result<Matched, ApiError> {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(parameters) = parameters(route.path, path) else { continue };
        if route.method == method {
            return Ok(Matched { endpoint: route.endpoint, parameters: parameters? });
        }
        allowed.push(route.method);
        if route.method == "GET" {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() {
        return Err(ApiError::route_not_found());
    }
    let allowed = allowed.join(", ");
    let error = ApiError::new(405, "method_not_allowed", format!("{method} is not possible here"));
    Err(error.remedy(format!("use one of {allowed}")).header("allow", allowed))
}

/// Values of a pattern's parameters in a path; nothing where the path is another.
fn parameters(pattern: &str, path: &str) -> Option<Result<Vec<String>, ApiError>> {
    let mut values = Vec::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            values.push(segment);
        } else if expected != segment {
            return None;
        }
    }
    if segments.next().is_some() {
        return None;
    }
    Some(values.into_iter().map(decode).collect())
}

/// Takes percent-encoding away.
pub fn decode(text: &str) -> Result<String, ApiError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| {
        ApiError::new(400, "bad_encoding", format!("\"{text}\" is no percent-encoded UTF-8"))
            .remedy("write bytes beyond ASCII as \\DDD in names")
    })?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_find_their_route() {
        let found = |method, path| find(method, path).map(|matched| (matched.endpoint, matched.parameters.join(" ")));
        assert_eq!(found("GET", "/health"), Ok((Endpoint::Health, String::new())));
        assert_eq!(found("HEAD", "/ready"), Ok((Endpoint::Ready, String::new())));
        let path = "/api/v1/zones/example.org/rrsets/%2A.a%2Fb/TXT";
        assert_eq!(found("PUT", path), Ok((Endpoint::PutRrset, "example.org *.a/b TXT".to_owned())));
        for path in
            ["/", "", "/healthz", "/health/", "/api/v1/zones/", "/api/v1/zones//rrsets", "/api/v1/zones/a/rrsets/b"]
        {
            assert_eq!(found("GET", path).unwrap_err().status, 404, "{path}");
        }
        assert_eq!(found("GET", "/api/v1/zones/%FF").unwrap_err().status, 400);
    }

    #[test]
    fn a_wrong_method_learns_the_right_ones() {
        let error = find("PATCH", "/api/v1/zones/a").unwrap_err();
        assert_eq!((error.status, error.header), (405, Some(Box::new(("allow", "GET, HEAD, PUT, DELETE".to_owned())))));
        let error = find("POST", "/health").unwrap_err();
        assert_eq!((error.status, error.header), (405, Some(Box::new(("allow", "GET, HEAD".to_owned())))));
    }
}
