//! Which negative answers the rules of a zone leave as they are: nearly all. These go the ways that know of no rules.

use super::lookup::{is_bare_port, is_void};
use super::pod::POD;
use super::search::{NAMESPACE_LABELS, SVC};
use super::view::{ANY_NAMESPACE, BARE_PORTS, DEEP_PODS, FALLTHROUGH, PODS, RulesView, SEARCH, SOA_BELOW_APEX};
use crate::query::QueryName;
use crate::rtype::types;
use crate::snapshot::NodeView;

/// Bytes that tell the branches of a zone apart: a label with its length.
pub(crate) const BRANCH_BYTES: usize = 4;

/// Labels below the apex of the highest name that is a Pod's or has a namespace above it.
const IN_NAMESPACE_LABELS: usize = NAMESPACE_LABELS + 1;

/// Labels below the apex of the highest name that is a service's port.
const PORT_LABELS: usize = 3;

/// A name that does not exist, as far as rules ask.
#[derive(Clone, Copy)]
pub(crate) struct Denial {
    /// Labels below the apex.
    pub below_apex: usize,
    /// Labels of its closest encloser below the apex.
    pub encloser_below_apex: usize,
    /// The first bytes of its ancestor right below the apex, in lower case.
    pub branch: [u8; BRANCH_BYTES],
}

impl Denial {
    /// The name, whose closest encloser has so many labels.
    pub(crate) fn of(name: &QueryName, apex_depth: usize, encloser_depth: usize) -> Self {
        Self {
            below_apex: name.depth().saturating_sub(apex_depth),
            encloser_below_apex: encloser_depth.saturating_sub(apex_depth),
            branch: name.suffix(apex_depth + 1).first_chunk().copied().unwrap_or_default(),
        }
    }
}

impl RulesView<'_> {
    /// True where NXDOMAIN is right, whatever the type, as far as labels need not be read.
    pub(crate) fn leave_missing(&self, denial: Denial) -> bool {
        !self.may_have_ports(denial.below_apex) && self.leave_all_but_ports(denial)
    }

    /// True where NXDOMAIN is right for a name and type.
    pub(crate) fn leave_missing_name(&self, name: &QueryName, qtype: u16, apex_depth: usize, denial: Denial) -> bool {
        let is_port = || self.may_have_ports(denial.below_apex) && is_bare_port(name, apex_depth);
        !(qtype == types::SOA && self.has(SOA_BELOW_APEX)) && self.leave_all_but_ports(denial) && !is_port()
    }

    /// True where NODATA is right for a node without the type that is asked for.
    pub(crate) fn leave_existing(&self, node: NodeView<'_>) -> bool {
        !is_void(node, *self)
    }

    /// True where a name could be a port without its underscores.
    fn may_have_ports(&self, below_apex: usize) -> bool {
        self.has(BARE_PORTS) && below_apex >= PORT_LABELS
    }

    /// The rules but that for ports.
    fn leave_all_but_ports(&self, denial: Denial) -> bool {
        let Denial { below_apex, encloser_below_apex, branch } = denial;
        if self.has(FALLTHROUGH) {
            return false;
        }
        if below_apex < IN_NAMESPACE_LABELS {
            return true;
        }
        let has_namespace = encloser_below_apex >= NAMESPACE_LABELS;
        if branch == POD {
            let has_pods = self.has(PODS) || self.has(DEEP_PODS);
            return !(has_pods && (has_namespace || self.has(ANY_NAMESPACE)));
        }
        !(branch == SVC && has_namespace && self.has(SEARCH))
    }
}
