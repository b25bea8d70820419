//! A node's place in its cluster, as its data folder remembers it.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use super::authority::{Authority, RENEW_AFTER, new_key};
use super::files::Leaf;
use super::folder::{Folder, FolderError};
use super::newcomer::{Admission, Admitted};
use super::record::Form;
use super::secret::ClusterSecret;
use super::token::{Fingerprint, JoinToken, TokenHash};
use super::{ClusterId, Newcomer, NodeName};

const FILE: Form = Form { name: "identity", magic: *b"TGID", format: 1 };
const TOKEN: &str = "join-token";
/// Linux makes another one at each boot of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What a data folder holds.
#[derive(Debug)]
pub enum Found {
    /// Nothing: a new node, that founds a cluster or joins one.
    Nobody(Folder),
    /// A node that was here before. Its incarnation is a new one already.
    Known(Box<Home>),
}

/// A node of a cluster, with the folder that it lives in.
pub struct Home {
    folder: Folder,
    written: Written,
    since: Since,
}

/// What happened between the last run in this folder and this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// There was none.
    First,
    /// A process ended: whatever it had written is there.
    SameBoot,
    /// The machine was started again: what was not flushed may be lost.
    OtherBoot,
    /// This system does not say. To be read as the other boot.
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct Written {
    cluster: ClusterId,
    node: u64,
    incarnation: u64,
    boot: String,
    secret: ClusterSecret,
    authority: Vec<u8>,
    /// The founder's, for as long as the cluster's first entry may not be there yet.
    sealed_authority: Option<Vec<u8>>,
    certificate: Vec<u8>,
    key: Vec<u8>,
    issued_s: u64,
}

impl Home {
    /// Whether the folder is a node's already.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(FILE.name).exists()
    }

    /// What is in the folder. A node that was here before begins a new incarnation, which is on the disk before it is used.
    pub fn open(folder: Folder) -> Result<Found, FolderError> {
        let Some(mut written) = FILE.read::<Written>(&folder)? else { return Ok(Found::Nobody(folder)) };
        let boot = boot();
        let since = match (written.boot.as_str(), boot.as_str()) {
            ("", _) | (_, "") => Since::Unknown,
            (before, now) if before == now => Since::SameBoot,
            _ => Since::OtherBoot,
        };
        written.boot = boot;
        written.incarnation += 1;
        FILE.replace(&folder, &written)?;
        Newcomer::forget(&folder)?;
        Ok(Found::Known(Box::new(Self { folder, written, since })))
    }

    /// The first node of a new cluster, with the id `node`. Its join token is in the folder.
    pub fn found(folder: Folder, node: u64, now: SystemTime) -> Result<Self, FolderError> {
        let (cluster, secret) = (ClusterId::random(), ClusterSecret::random());
        let authority = Authority::create(cluster, now);
        let key = new_key();
        let certificate = issued(&authority, node, &key, now);
        // The token first: a folder with an identity has one.
        write_token(&folder, &JoinToken::new(cluster, authority.fingerprint(), None))?;
        let sealed_authority = Some(authority.sealed_key(&secret));
        let authority = authority.certificate().to_vec();
        let admission = Admission { node, certificate: certificate.to_vec(), authority, secret };
        Self::move_in(folder, Admitted { cluster, admission, key }, sealed_authority, now)
    }

    /// A node that was let in.
    pub fn joined(folder: Folder, admitted: Admitted, now: SystemTime) -> Result<Self, FolderError> {
        let home = Self::move_in(folder, admitted, None, now)?;
        Newcomer::forget(&home.folder)?;
        Ok(home)
    }

    fn move_in(
        folder: Folder,
        admitted: Admitted,
        sealed_authority: Option<Vec<u8>>,
        now: SystemTime,
    ) -> Result<Self, FolderError> {
        let Admitted { cluster, admission, key } = admitted;
        let Admission { node, certificate, authority, secret } = admission;
        let key = key.serialize_der();
        let (incarnation, boot, issued_s) = (1, boot(), seconds(now));
        let written = Written {
            cluster,
            node,
            incarnation,
            boot,
            secret,
            authority,
            sealed_authority,
            certificate,
            key,
            issued_s,
        };
        FILE.replace(&folder, &written)?;
        Ok(Self { folder, written, since: Since::First })
    }

    /// Its cluster and its id.
    pub fn name(&self) -> NodeName {
        NodeName { node: self.written.node, cluster: self.written.cluster }
    }

    /// Begins another incarnation while the process goes on: its session was lost. It is on the disk before it is used.
    pub fn begin_again(&mut self) -> Result<u64, FolderError> {
        self.written.incarnation += 1;
        FILE.replace(&self.folder, &self.written)?;
        Ok(self.written.incarnation)
    }

    /// Which start of the machine this is; one that was never used before where the machine does not say.
    pub fn boot(&self) -> [u8; 16] {
        let hex: String = self.written.boot.chars().filter(char::is_ascii_hexdigit).collect();
        u128::from_str_radix(&hex, 16).map_or_else(|_| rand::random(), u128::to_be_bytes)
    }

    /// Which run of the node this is: larger than all before.
    pub fn incarnation(&self) -> u64 {
        self.written.incarnation
    }

    /// What happened since the run before.
    pub fn since(&self) -> Since {
        self.since
    }

    /// The cluster's secret.
    pub fn secret(&self) -> &ClusterSecret {
        &self.written.secret
    }

    /// The certificate of the cluster's authority.
    pub fn authority(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.written.authority.clone())
    }

    /// The key of the authority, sealed, if this node founded the cluster: for the cluster's first entry.
    pub fn sealed_authority(&self) -> Option<&[u8]> {
        self.written.sealed_authority.as_deref()
    }

    /// The certificate that the cluster gave this node, with its key.
    pub fn leaf(&self) -> Leaf {
        let chain = vec![CertificateDer::from(self.written.certificate.clone()), self.authority()];
        Leaf { chain, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.written.key.clone())) }
    }

    /// Whether it is time for [`renew`](Self::renew).
    pub fn renewal_is_due(&self, now: SystemTime) -> bool {
        seconds(now).saturating_sub(self.written.issued_s) >= RENEW_AFTER.as_secs()
    }

    /// Gives the node another certificate for another year, and another key.
    pub fn renew(&mut self, authority: &Authority, now: SystemTime) -> Result<(), FolderError> {
        let key = new_key();
        self.written.certificate = issued(authority, self.written.node, &key, now).to_vec();
        self.written.key = key.serialize_der();
        self.written.issued_s = seconds(now);
        FILE.replace(&self.folder, &self.written)
    }

    /// The join token that lies in the folder; only nodes that founded the cluster or replaced the token have one.
    pub fn token(&self) -> Result<Option<JoinToken>, FolderError> {
        let Some(text) = self.folder.read(TOKEN)? else { return Ok(None) };
        let token = String::from_utf8(text).map_err(|_| "expected one line of ASCII".to_owned());
        let token = token.and_then(|text| text.parse());
        token.map(Some).map_err(|why| self.folder.damaged(TOKEN, why))
    }

    /// A token that replaces the one before once its hash is in the replicated state; then [`keep_token`](Self::keep_token).
    pub fn new_token(&self, expires: Option<SystemTime>) -> JoinToken {
        JoinToken::new(self.written.cluster, Fingerprint::of(&self.written.authority), expires)
    }

    /// Takes the folder's token away unless it is the one of this hash: it lets nobody in any more.
    pub fn drop_old_token(&self, now: Option<TokenHash>) -> Result<(), FolderError> {
        match self.token()? {
            Some(token) if Some(token.hash()) != now => self.folder.remove(TOKEN),
            Some(_) | None => Ok(()),
        }
    }

    /// Puts a token into the folder, readable by its owner only.
    pub fn keep_token(&self, token: &JoinToken) -> Result<(), FolderError> {
        write_token(&self.folder, token)
    }
}

fn issued(authority: &Authority, node: u64, key: &KeyPair, now: SystemTime) -> CertificateDer<'static> {
    authority.issue(node, key.public_key_raw(), now).expect("our keys are on P-256")
}

fn write_token(folder: &Folder, token: &JoinToken) -> Result<(), FolderError> {
    folder.replace(TOKEN, format!("{token}\n").as_bytes())
}

fn boot() -> String {
    std::fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned()
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home({}, incarnation {})", self.name(), self.written.incarnation)
    }
}

#[cfg(test)]
#[path = "home_test.rs"]
mod tests;
