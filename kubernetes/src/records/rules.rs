//! How the zones of a cluster are answered beyond their records.

use ringdns_engine::rules::{PodRule, Rules};

use super::zone::{Role, Zone};
use crate::options::{Options, PodMode};

/// Labels of `<namespace>.svc`: the deepest name of a cluster's zone that exists without records.
const NAMESPACE_DEPTH: u8 = 2;

/// The rules of a zone.
pub(super) fn of(options: &Options, zone: &Zone) -> Rules {
    let is_of_leaves = options.is_of_leaves();
    let common = Rules {
        fallthrough: zone.falls_through,
        // A Service is told with all that it has.
        whole_names: true,
        ..Rules::default()
    };
    match zone.role {
        Role::Services | Role::Imports => Rules {
            // The older servers have leaves and nothing between them.
            empty_depth_max: Some(if is_of_leaves { 0 } else { NAMESPACE_DEPTH }),
            soa_below_apex: !is_of_leaves,
            pods: (options.pods == PodMode::Insecure).then_some(PodRule {
                ttl: options.ttl,
                bad_pod_nodata: is_of_leaves,
                any_namespace: is_of_leaves,
            }),
            deep_pods: options.pods != PodMode::Disabled && !is_of_leaves,
            bare_ports: !is_of_leaves,
            no_dangling_cname: true,
            cname_for_addresses_only: !is_of_leaves,
            zone_case: !is_of_leaves,
            search: options.search.clone().filter(|_| zone.role == Role::Services),
            ..common
        },
        Role::Outer => {
            Rules { empty_depth_max: Some(1), soa_below_apex: true, bare_ports: true, zone_case: true, ..common }
        }
        // Where others are asked for what is missing, a network is theirs to answer for. Else it exists (RFC 8020).
        Role::Reverse { .. } => Rules { empty_depth_max: zone.falls_through.then_some(0), ..common },
    }
}
