//! Names of namespaces and objects, each in memory once however many objects have it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::object::Key;

/// Names from which on it is looked whether some are of nothing any more.
const SWEPT_FROM: usize = 1024;

/// The names in use.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<Table>);

/// What is behind the lock.
#[derive(Debug, Default)]
struct Table {
    /// The names.
    names: HashSet<Arc<str>>,
    /// How many there are when they are swept next.
    sweep_at: usize,
}

impl Names {
    /// A name, shared with all that have it.
    pub(crate) fn share(&self, name: &str) -> Arc<str> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = table.names.get(name) {
            return Arc::clone(known);
        }
        if table.names.len() >= table.sweep_at.max(SWEPT_FROM) {
            // What is held here alone is of nothing any more. Swept when twice as many have come as stayed, so this costs each
            // name a constant.
            table.names.retain(|name| Arc::strong_count(name) > 1);
            table.sweep_at = table.names.len() * 2;
        }
        let name: Arc<str> = name.into();
        table.names.insert(Arc::clone(&name));
        name
    }

    /// The key of an object.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> Key {
        Key { namespace: self.share(namespace), name: self.share(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shared_and_leave_when_nobody_has_them() {
        let names = Names::default();
        let kept = names.key("a", "b");
        assert!(Arc::ptr_eq(&kept.namespace, &names.key("a", "c").namespace));
        for number in 0..10 * SWEPT_FROM {
            names.share(&number.to_string());
        }
        let count = names.0.lock().unwrap().names.len();
        assert!(count <= SWEPT_FROM + 1, "{count} names are held");
        assert!(Arc::ptr_eq(&kept.name, &names.share("b")), "what is in use stays");
    }
}
