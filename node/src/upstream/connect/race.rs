//! Happy eyeballs (RFC 8305): the addresses of one name are tried one after the other, each beside those that have not
//! answered yet, so that one that is down costs a moment and not the whole time-out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::task::JoinSet;

/// How long one address of a name is waited for before the next is tried beside it (RFC 8305, section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Connects to an address or a name.
pub(super) async fn tcp(name: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let stream = race(tokio::net::lookup_host(name).await?.collect()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connects to the first of a name's addresses that answers. None of them can use up the time of the others.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = families_in_turn(addresses).into_iter();
    let mut running = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = waiting.next() {
            running.spawn(TcpStream::connect(address));
        }
        match tokio::time::timeout(NEXT_ADDRESS_AFTER, running.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => failure = error,
            Ok(Some(Err(broken))) => failure = broken.into(),
            Ok(None) => return Err(failure),
            Err(_nobody_answered_yet) => {}
        }
    }
}

/// The resolver's order, but IPv6 and IPv4 take turns (RFC 8305, section 4): often a whole family is out of reach.
fn families_in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let of_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let mut counts = [0, 0];
    let mut ranked: Vec<_> = addresses
        .into_iter()
        .map(|address| {
            let family = usize::from(address.is_ipv6() != of_first);
            counts[family] += 1;
            (counts[family], family, address)
        })
        .collect();
    ranked.sort_by_key(|(turn, family, _)| (*turn, *family));
    ranked.into_iter().map(|(.., address)| address).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Bound, and nobody accepts: once the kernel's queue is full, it lets further connections hang.
    async fn silent() -> (SocketAddr, Vec<TcpStream>, socket2::Socket) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) =
            tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await
        {
            queued.push(stream.unwrap());
        }
        (address, queued, socket)
    }

    #[tokio::test]
    async fn no_address_of_a_name_uses_up_the_time_of_the_others() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let (silent, _queued, _socket) = silent().await;
        let refusing = SocketAddr::from(([127, 0, 0, 1], 1));
        let refused = Err(io::ErrorKind::ConnectionRefused);
        #[rustfmt::skip]
        let cases = [
            // addresses                      outcome    why
            (vec![live],                      Ok(live),  "the usual case"),
            (vec![refusing, live],            Ok(live),  "the next one, at once"),
            (vec![silent, live],              Ok(live),  "the next one, beside the first"),
            (vec![silent, silent, refusing, live], Ok(live), "and so on"),
            (vec![refusing, refusing],        refused,   "nobody left"),
            (vec![],                          Err(io::ErrorKind::NotFound), "nobody to begin with"),
        ];
        for (addresses, expected, why) in cases {
            let begun = Instant::now();
            let raced = tokio::time::timeout(Duration::from_secs(5), race(addresses)).await.expect(why);
            let reached = raced.map(|stream| stream.peer_addr().unwrap()).map_err(|error| error.kind());
            assert_eq!(reached, expected, "{why}, after {:?}", begun.elapsed());
        }
    }

    #[test]
    fn families_take_turns() {
        let sort = |addresses: &[&str]| -> Vec<String> {
            let addresses = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 1)).collect();
            families_in_turn(addresses).iter().map(|address| address.ip().to_string()).collect()
        };
        #[rustfmt::skip]
        let cases: [(&[&str], &[&str]); 4] = [
            (&["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"], &["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"]),
            (&["10.0.0.1", "10.0.0.2", "::1"],               &["10.0.0.1", "::1", "10.0.0.2"]), // the resolver prefers IPv4
            (&["10.0.0.2", "10.0.0.1"],                      &["10.0.0.2", "10.0.0.1"]),        // its order, not ours
            (&[],                                            &[]),
        ];
        for (addresses, expected) in cases {
            assert_eq!(sort(addresses), expected);
        }
    }
}
