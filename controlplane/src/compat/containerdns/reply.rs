//! The words of the replies. Blanks at their ends and doubled blanks are part of the contract: clients compare whole lines.

/// It is done.
pub(in crate::compat) const OK: &str = "OK";
/// No user is named, and none may be missing.
pub(super) const NO_USER: &str = "No User info";
/// The token is missing or wrong.
pub(in crate::compat) const NOT_AUTHORISED: &str = "No authorized";
/// The path names no domain that can have such a record.
pub(super) const NO_NAME: &str = "ERR, no domain name input ";
/// The domain is not below a suffix of the configuration.
pub(super) const NOT_SUFFIX: &str = "ERR, the api not support this domain  ";
/// A bare label was expected.
pub(super) const DOT: &str = "ERR,  domain name cant not contain dot ";
/// A record of the name is another user's.
pub(super) const OTHER_USER: &str = "ERR, user name not match  ";
/// The name is of Kubernetes' subtree.
pub(super) const OF_KUBERNETES: &str = "ERR, can not ops k8s svc ";
/// A suffix without a type would list everything.
pub(super) const TYPE_NEEDED: &str = "ERR, type input ";
/// No type in the body.
pub(super) const TYPE_MISSING: &str = "ERR,type not support ";
/// A type that the interface does not have.
pub(super) const TYPE_UNKNOWN: &str = "ERR, no type offered ";
/// Nothing of that name.
pub(super) const NOT_FOUND: &str = "ERR, no find  domain name ";
/// Nothing at or below that name, in the words of the store behind the original.
pub(super) const KEY_NOT_FOUND: &str = "key not found";
/// No addresses in the body.
pub(super) const NO_IPS: &str = "ERR, no domain ips ";
/// No ports in the body.
pub(super) const NO_PORTS: &str = "ERR, no domain ports ";
/// Not as many ports as addresses.
pub(super) const PORTS_MISMATCH: &str = "ERR, ips and ports not match ";
/// No address.
pub(super) const NOT_IP: &str = "ERR, it is not  IP addr ";
/// It could not be made.
pub(super) const NOT_SET: &str = "ERR, set domain name error ";
/// It exists; what exists may follow.
pub(super) const EXISTS: &str = "ERR, set domain name error  domain exists ";
/// The alias exists, for those who write bare labels.
pub(super) const ALIAS_EXISTS: &str = "ERR, set domain name error  alias exists ";
/// Nothing to update in the body.
pub(super) const NO_UPDATE: &str = "ERR, no body update ";
/// More than one update in the body.
pub(super) const SEVERAL_UPDATES: &str = "ERR, put just support  one update one time";
/// The old one is missing, or the new one is there.
pub(super) const NOT_MOVED: &str = "del or set key err";
/// The old address is missing, for those who write bare labels; it follows.
pub(super) const IP_NOT_FOUND: &str = "ERR, no find  domain ip ";
/// The old alias is missing; it follows.
pub(super) const ALIAS_NOT_FOUND: &str = "ERR, not find   alias name ";
/// The old alias is that of another domain; it follows.
pub(super) const ALIAS_MISMATCH: &str = "ERR, alias name and domain not match ";
/// It could not be updated.
pub(super) const NOT_UPDATED: &str = "ERR, update domain name error ";
/// It could not be deleted.
pub(super) const NOT_DELETED: &str = "ERR, delete domain name error";
/// It could not be read.
pub(super) const NOT_READ: &str = "ERR, get domain name error ";
