//! Kinds of others that manifests of this field contain, and what we say of them: nothing is skipped in silence.

/// Core and other infrastructure kinds: they mean something to a cluster, nothing to a gateway.
const INFRASTRUCTURE_GROUPS: [&str; 8] = [
    "",
    "apps",
    "batch",
    "autoscaling",
    "policy",
    "rbac.authorization.k8s.io",
    "networking.k8s.io",
    "apiextensions.k8s.io",
];

/// What is said of a kind that is not ours.
pub(crate) fn ignored(group: &str, kind: &str) -> String {
    if INFRASTRUCTURE_GROUPS.contains(&group) {
        format!("a kind that a gateway serves: {kind} is infrastructure of a cluster; ignored")
    } else {
        format!("a kind that is served: kind {kind} of group {group} is not served yet; ignored")
    }
}
