//! The OpenAPI document, written by hand in `openapi.json`; its tests compare it with the routes.

use std::sync::LazyLock;

use serde_json::Value;

/// The document's text.
const TEXT: &str = include_str!("openapi.json");

/// The document; its tests prove that it is JSON.
pub(super) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let mut document: Value = serde_json::from_str(TEXT).unwrap_or_default();
        document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
        document
    });
    &DOCUMENT
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::route::ROUTES;

    /// Calls `visit` for every value below one, with the key that leads to it.
    fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    visit(key, value);
                    walk(value, visit);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
            _ => {}
        }
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let methods = ["get", "put", "post", "delete", "patch", "head", "options"];
        let mut documented = BTreeSet::new();
        for (path, item) in document()["paths"].as_object().unwrap() {
            for method in methods.iter().filter(|method| item.get(method).is_some()) {
                documented.insert((method.to_uppercase(), path.clone()));
            }
        }
        let routes: BTreeSet<_> = ROUTES.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
        assert_eq!(documented, routes);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_component_is_used() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let mut used = BTreeSet::new();
        walk(document, &mut |key, value| {
            if key == "$ref" {
                let pointer = value.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
                used.insert(pointer.to_owned());
            }
        });
        for kind in ["schemas", "parameters", "responses"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let pointer = format!("/components/{kind}/{name}");
                assert!(used.contains(&pointer), "{pointer} is used nowhere");
            }
        }
    }

    #[test]
    fn every_operation_says_who_may_and_what_comes_back() {
        let mut ids = BTreeSet::new();
        for route in ROUTES {
            let item = &document()["paths"][route.path];
            let operation = &item[route.method.to_lowercase()];
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "operationId is there and unique");
            assert!(operation["summary"].is_string());
            let security: Vec<&Value> = operation["security"].as_array().into_iter().flatten().collect();
            let may_need_token = route.endpoint.permission().is_some();
            assert_eq!(!security.is_empty(), may_need_token, "{}", route.path);
            assert_eq!(security.first().is_some_and(|first| !first["token"].is_null()), route.endpoint.is_write());
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|code| code.starts_with('2')));
            assert_eq!(responses.contains_key("401"), may_need_token);
            assert_eq!(responses.contains_key("403"), may_need_token);
            for parameter in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                let pointer = format!("#/components/parameters/{parameter}");
                let mut parameters = item["parameters"].as_array().unwrap().iter();
                assert!(parameters.any(|found| found["$ref"] == pointer), "{parameter} of {}", route.path);
            }
        }
    }
}
