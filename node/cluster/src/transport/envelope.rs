//! What stands around every message: whose cluster, from whom, to whom, and which version.
//!
//! A call carries one header, `tollgate-call-bin`; each message of it is one byte that says its version, and postcard.
//! Both versions count on their own: the header must be readable to be refused.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::refusal::Refusal;
use crate::identity::ClusterId;

/// The version of a call's header.
const CALL: u8 = 1;
/// The version of the messages.
const BODY: u8 = 1;
const HEADER: &str = "tollgate-call-bin";
/// Version, cluster, from, to.
const LENGTH: usize = 1 + 16 + 8 + 8;

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) cluster: ClusterId,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Call {
    /// The header as it is sent.
    pub(crate) fn write(&self, headers: &mut MetadataMap) {
        let mut bytes = BytesMut::with_capacity(LENGTH);
        bytes.put_u8(CALL);
        bytes.put_slice(&self.cluster.bytes());
        bytes.put_u64(self.from);
        bytes.put_u64(self.to);
        headers.insert_bin(HEADER, MetadataValue::from_bytes(&bytes));
    }

    /// The header as it came.
    pub(crate) fn read(headers: &MetadataMap) -> Result<Self, Refusal> {
        let header = headers
            .get_bin(HEADER)
            .ok_or_else(|| Refusal::malformed(format!("no header `{HEADER}` came")))?;
        let bytes =
            header.to_bytes().map_err(|why| Refusal::malformed(format!("header `{HEADER}`: {why}")))?;
        match bytes.first() {
            Some(&CALL) => {}
            Some(&got) => return Err(Refusal::Version { known: CALL, got }),
            None => return Err(Refusal::malformed(format!("header `{HEADER}` is empty"))),
        }
        let fixed: &[u8; LENGTH] = bytes.as_ref().try_into().map_err(|_| {
            Refusal::malformed(format!("header `{HEADER}`: expected {LENGTH} bytes, {} came", bytes.len()))
        })?;
        let (cluster, nodes) = fixed[1..].split_first_chunk::<16>().expect("32 bytes are more than 16");
        let (from, to) = nodes.split_at(8);
        let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("half of 16 bytes"));
        let cluster = ClusterId::from_bytes(*cluster)
            .ok_or_else(|| Refusal::malformed(format!("header `{HEADER}` names no cluster")))?;
        Ok(Self { cluster, from: number(from), to: number(to) })
    }
}

/// A message as it is sent.
pub(crate) fn pack<T: Serialize>(message: &T) -> Bytes {
    postcard::to_extend(message, vec![BODY])
        .expect("messages have known lengths and nothing that can't be written")
        .into()
}

/// A message as it came.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    match bytes.split_first() {
        Some((&BODY, body)) => match postcard::take_from_bytes(body) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(Refusal::malformed(format!("a message with {} bytes too many", rest.len()))),
            Err(why) => Err(Refusal::malformed(format!("a message of {} bytes: {why}", bytes.len()))),
        },
        Some((&got, _)) => Err(Refusal::Version { known: BODY, got }),
        None => Err(Refusal::malformed("an empty message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let call = Call { cluster: ClusterId::random(), from: 3, to: u64::MAX };
        let mut headers = MetadataMap::new();
        assert!(matches!(Call::read(&headers), Err(Refusal::Malformed { .. })));
        call.write(&mut headers);
        assert_eq!(Call::read(&headers), Ok(call));
        let whole = headers.get_bin(HEADER).unwrap().to_bytes().unwrap();
        for length in 0..whole.len() {
            headers.insert_bin(HEADER, MetadataValue::from_bytes(&whole[..length]));
            assert!(matches!(Call::read(&headers), Err(Refusal::Malformed { .. })), "{length} bytes");
        }
        headers.insert_bin(HEADER, MetadataValue::from_bytes(&[2, 0, 0]));
        assert_eq!(Call::read(&headers), Err(Refusal::Version { known: 1, got: 2 }));
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let message = (7_u64, "seven".to_owned());
        let whole = pack(&message);
        assert_eq!(unpack::<(u64, String)>(&whole), Ok(message));
        for length in 0..whole.len() {
            assert!(unpack::<(u64, String)>(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(matches!(unpack::<u64>(&whole), Err(Refusal::Malformed { .. })), "bytes are left over");
        assert_eq!(unpack::<u64>(&[5, 0]), Err(Refusal::Version { known: 1, got: 5 }));
    }
}
