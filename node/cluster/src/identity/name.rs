//! What a node's certificate says: `node-<id>.<cluster>`.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use webpki::EndEntityCert;

use super::ClusterId;

/// A node of a cluster, as its certificate names it, and as it is asked for in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName {
    /// Its Raft id.
    pub node: u64,
    /// Whose.
    pub cluster: ClusterId,
}

impl NodeName {
    /// The first name of a node in a certificate. What it is worth, whoever checked the signatures knows.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let parsed = EndEntityCert::try_from(certificate).map_err(|error| format!("certificate: {error}"))?;
        let names: Vec<&str> = parsed.valid_dns_names().collect();
        let ours = names.iter().find_map(|name| name.parse().ok());
        ours.ok_or_else(|| {
            format!("expected a certificate for `node-<id>.<cluster>`, one for [{}] came", names.join(", "))
        })
    }

    /// The name as TLS asks for it.
    pub fn server_name(&self) -> ServerName<'static> {
        dns_name(self.to_string())
    }
}

/// What a newcomer asks for: any node of the cluster.
pub(crate) fn reception(cluster: ClusterId) -> ServerName<'static> {
    dns_name(format!("join.{cluster}"))
}

/// The cluster that somebody asks for by a name of either kind.
pub(crate) fn cluster_asked_for(name: &str) -> Option<ClusterId> {
    name.split_once('.')?.1.parse().ok()
}

fn dns_name(name: String) -> ServerName<'static> {
    let name = DnsName::try_from(name)
        .expect("two short labels of letters, digits and a hyphen; the last begins with a letter");
    ServerName::DnsName(name)
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node-{}.{}", self.node, self.cluster)
    }
}

impl FromStr for NodeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected `node-<id>.<cluster>`, `{text}` came");
        let (node, cluster) =
            text.strip_prefix("node-").and_then(|rest| rest.split_once('.')).ok_or_else(wrong)?;
        let name =
            Self { node: node.parse().map_err(|_| wrong())?, cluster: cluster.parse().map_err(|_| wrong())? };
        // One spelling a node: `node-007` is nobody.
        if name.to_string() == text { Ok(name) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let cluster = "c0000000000000000000000000000001";
        #[rustfmt::skip]
        let cases = [
            // text                                   right   why
            (format!("node-7.{cluster}"),             true),  // as it is written
            (format!("node-18446744073709551615.{cluster}"), true),  // the largest id
            (format!("node-07.{cluster}"),            false), // another spelling of 7
            (format!("node-+7.{cluster}"),            false), // what Rust's parser would take
            (format!("node-7.{}", &cluster[1..]),     false), // not a whole cluster id
            ("node-7.10000000000000000000000000000001".to_owned(), false), // could be an address
            (format!("NODE-7.{cluster}"),             false), // not ours
            ("node-7".to_owned(),                     false), // of no cluster
            (String::new(),                           false), // nothing
        ];
        for (text, right) in cases {
            assert_eq!(text.parse::<NodeName>().is_ok(), right, "{text}");
        }
    }

    #[test]
    fn every_id_makes_a_host_name() {
        for _ in 0..200 {
            let name = NodeName { node: u64::MAX, cluster: ClusterId::random() };
            assert_eq!(name.server_name().to_str(), name.to_string());
            assert_eq!(cluster_asked_for(&name.to_string()), Some(name.cluster));
            assert_eq!(cluster_asked_for(&reception(name.cluster).to_str()), Some(name.cluster));
        }
    }
}
