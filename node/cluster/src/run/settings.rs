//! What one node is started with.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;

use crate::identity::token::JoinToken;

/// A free TCP port whose UDP port is taken: another one is tried.
const MOST_TRIES: usize = 32;

/// See the file's purpose.
#[derive(Debug)]
pub struct Settings {
    /// Where the node keeps what it must not lose.
    pub data: PathBuf,
    /// Where its peers reach it.
    pub door: Door,
    /// Nodes of the cluster that it is to join, `host:port` each. None: it founds one. Without meaning for a node that belongs
    /// to one already, but that it finds the others there.
    pub join: Vec<String>,
    /// Lets it in.
    pub token: Option<JoinToken>,
    /// How many nodes should vote, if that is to be changed.
    pub voters: Option<u8>,
    /// Whether this one serves and never votes.
    pub stays_learner: bool,
    /// A label for people.
    pub name: String,
    /// Where it stands.
    pub region: String,
    /// A part of the region that fails alone.
    pub zone: String,
    /// Where its admin API is.
    pub admin: String,
    /// The program's version.
    pub version: String,
}

/// A bound port: TCP for calls, and UDP of the same number, which gossip binds.
#[derive(Debug)]
pub struct Door {
    pub(super) listener: TcpListener,
    pub(super) listen: SocketAddr,
    pub(super) advertise: Option<String>,
}

impl Door {
    /// Binds; port 0 is any that is free. `advertise` is where peers reach it (`host:port`), if not where it listens.
    pub fn open(listen: SocketAddr, advertise: Option<String>) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            let listener = TcpListener::bind(listen)?;
            let bound = listener.local_addr()?;
            match UdpSocket::bind(bound) {
                Ok(_free) => {
                    listener.set_nonblocking(true)?;
                    return Ok(Self { listener, listen: bound, advertise });
                }
                Err(_taken) if listen.port() == 0 && tries < MOST_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where peers reach it: `host:port`.
    pub fn address(&self) -> Result<String, NotReachable> {
        match &self.advertise {
            Some(address) => Ok(address.clone()),
            None if self.listen.ip().is_unspecified() => Err(NotReachable { listen: self.listen }),
            None => Ok(self.listen.to_string()),
        }
    }

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        self.listen.ip().is_loopback()
    }
}

/// Bound to all addresses, a node has to be told which of them peers reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotReachable {
    listen: SocketAddr,
}

impl fmt::Display for NotReachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.listen.port();
        let example = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), port));
        write!(
            f,
            "{} is every address: say which one the other nodes reach with --advertise, as in --advertise {example}",
            self.listen
        )
    }
}

impl std::error::Error for NotReachable {}
