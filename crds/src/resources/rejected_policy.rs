//! What is left of a policy that did not pass its checks: whom it was to protect.
//!
//! A BackendSecurityPolicy or BackendTLSPolicy with a mistake must not become a backend that is called without a
//! credential or in the clear. So its targets are remembered, as far as they can be read, and left out. The same goes for
//! Envoy Gateway's SecurityPolicy, and for a ClientTrafficPolicy that asks clients for certificates: what it was to guard is not opened unguarded.

use serde_json::Value;

/// A policy that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPolicy {
    pub(crate) kind: Protection,
    /// Kind and name of each target that could be read.
    pub(crate) targets: Vec<(String, String)>,
}

/// What the policy was to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Credential,
    Tls,
    /// The check of who calls.
    Access,
}

impl RejectedPolicy {
    /// What is left of an object, if it is such a policy.
    pub(crate) fn read(kind: &str, object: &Value) -> Option<Self> {
        let kind = match kind {
            "BackendSecurityPolicy" => Protection::Credential,
            "BackendTLSPolicy" => Protection::Tls,
            "SecurityPolicy" => Protection::Access,
            // Clients were to show certificates.
            "ClientTrafficPolicy" if !object["spec"]["tls"]["clientValidation"].is_null() => {
                Protection::Access
            }
            _ => return None,
        };
        let text = |target: &Value, name: &str| target[name].as_str().unwrap_or_default().to_owned();
        let several = object["spec"]["targetRefs"].as_array();
        let one = object["spec"].get("targetRef");
        let targets = several
            .into_iter()
            .flatten()
            .chain(one)
            .map(|target| (text(target, "kind"), text(target, "name")))
            .collect();
        Some(Self { kind, targets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn targets_are_read_as_far_as_they_go() {
        let object = json!({"spec": {"targetRefs": [{"kind": "Backend", "name": "a"}, 1, {"name": "b"}]}});
        let policy = RejectedPolicy::read("BackendTLSPolicy", &object).unwrap();
        let want =
            [("Backend", "a"), ("", ""), ("", "b")].map(|(kind, name)| (kind.to_owned(), name.to_owned()));
        assert_eq!(policy.targets, want);
        assert_eq!(RejectedPolicy::read("BackendSecurityPolicy", &json!(null)).unwrap().targets, []);
        assert_eq!(RejectedPolicy::read("Backend", &object), None);
        assert_eq!(RejectedPolicy::read("ClientTrafficPolicy", &object), None, "it protects nothing");
        let object =
            json!({"spec": {"tls": {"clientValidation": {}}, "targetRef": {"kind": "Gateway", "name": "g"}}});
        let policy = RejectedPolicy::read("ClientTrafficPolicy", &object).unwrap();
        assert_eq!(policy.targets, [("Gateway".to_owned(), "g".to_owned())]);
    }
}
