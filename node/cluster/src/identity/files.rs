//! Certificates from files: the operator's own, read again when they change.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::NodeName;

/// A certificate with the chain up to its authority, and its key.
#[derive(Debug, PartialEq)]
pub struct Leaf {
    /// The node's own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// Where the operator's certificates lie, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The node's certificate and what lies between it and its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Roots that are trusted beside the cluster's own authority.
    pub roots: PathBuf,
}

/// What was in them.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnCertificates {
    /// What the node shows.
    pub leaf: Leaf,
    /// What it trusts, too.
    pub roots: Vec<CertificateDer<'static>>,
}

impl CertificateFiles {
    /// Reads them. The certificate must be for `name`.
    pub fn read(&self, name: NodeName) -> Result<OwnCertificates, FileError> {
        let chain = certificates(&self.certificate)?;
        let found = NodeName::of(&chain[0]).map_err(|why| FileError::new(&self.certificate, why))?;
        if found != name {
            let why = format!("expected a certificate for {name}, one for {found} came");
            return Err(FileError::new(&self.certificate, why));
        }
        let key = PrivateKeyDer::from_pem_slice(&content(&self.key)?)
            .map_err(|why| FileError::new(&self.key, why.to_string()))?;
        Ok(OwnCertificates { leaf: Leaf { chain, key }, roots: certificates(&self.roots)? })
    }

    /// They could not be read at all.
    pub(crate) fn unreadable(&self, why: &impl fmt::Display) -> FileError {
        FileError::new(&self.certificate, why.to_string())
    }
}

impl Clone for Leaf {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content(path)?).collect();
    let certificates = certificates.map_err(|why| FileError::new(path, why.to_string()))?;
    if certificates.is_empty() {
        return Err(FileError::new(path, "expected a certificate in PEM, there is none".to_owned()));
    }
    Ok(certificates)
}

fn content(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(|why| FileError::new(path, why.to_string()))
}

/// A file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Which one.
    pub path: PathBuf,
    /// What was expected and what came.
    pub why: String,
}

impl FileError {
    fn new(path: &Path, why: String) -> Self {
        Self { path: path.to_owned(), why }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for FileError {}
