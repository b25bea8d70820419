//! Texts of a fixed form that several kinds use, each with its pattern and bounds in one place.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

/// A label or dotted name, as objects are named.
pub(crate) const DNS_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A single label, as namespaces are named.
pub(crate) const DNS_LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A host, or `*.` and a host.
const HOSTNAME: &str = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A duration of Gateway API (GEP-2257).
const DURATION: &str = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// A header's name (RFC 9110 token).
const HEADER_NAME: &str = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$";

/// Declares a text with its schema; the schema is the only place where its form is written.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident: $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) String);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }
    };
}

text! {
    /// The name of an object.
    ObjectName: {"type": "string", "minLength": 1, "maxLength": 253}
}
text! {
    /// The name of a namespace.
    Namespace: {"type": "string", "minLength": 1, "maxLength": 63, "pattern": DNS_LABEL}
}
text! {
    /// The name of a section of an object: a listener, a rule, a port.
    SectionName: {"type": "string", "minLength": 1, "maxLength": 253, "pattern": DNS_NAME}
}
text! {
    /// An API group; empty for the core group.
    Group: {"type": "string", "maxLength": 253, "pattern": r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"}
}
text! {
    /// A Kind.
    KindName: {"type": "string", "minLength": 1, "maxLength": 63, "pattern": r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"}
}
text! {
    /// A host name, or a wildcard over one.
    Hostname: {"type": "string", "minLength": 1, "maxLength": 253, "pattern": HOSTNAME}
}
text! {
    /// A host name without a wildcard.
    PreciseHostname: {"type": "string", "minLength": 1, "maxLength": 253, "pattern": DNS_NAME}
}
text! {
    /// The name of an HTTP header.
    HeaderName: {"type": "string", "minLength": 1, "maxLength": 256, "pattern": HEADER_NAME}
}
text! {
    /// A length of time, such as `30s` or `1h30m`.
    GatewayDuration: {"type": "string", "pattern": DURATION}
}

text! {
    /// A name that budgets are divided by: short enough for the key of a bucket.
    NameText: {"type": "string", "minLength": 1, "maxLength": 128}
}
text! {
    /// A text in which `*` stands for any run of characters.
    Pattern: {"type": "string", "minLength": 1, "maxLength": 256}
}
text! {
    /// A day, such as `2026-01-31`.
    DateText: {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
}
text! {
    /// A price without its currency, such as `1.25`: a text, since numbers with a point lose digits.
    PriceText: {"type": "string", "minLength": 1, "maxLength": 32, "pattern": r"^[0-9]+(\.[0-9]+)?$"}
}
text! {
    /// An amount, such as `100000`, `10M` or `250.00 USD`; a number is read as its text.
    AmountText: {"x-kubernetes-int-or-string": true, "x-kubernetes-validations": [{
        "rule": "string(self) != '' && !string(self).startsWith('-')",
        "message": "must be a whole number that is not negative, or a text",
    }]}
}

text! {
    /// A number of bytes, such as `50Mi`; a number is read as its text.
    QuantityText: {"x-kubernetes-int-or-string": true, "x-kubernetes-validations": [{
        "rule": "type(self) == string ? self.matches(r\"^[1-9][0-9]*([EPTGMK]i|[EPTGMk])?$\") : type(self) == int",
        "message": "must be a whole number, with a unit such as Mi or M",
    }]}
}

impl QuantityText {
    /// The number; none where it is not one that a machine can hold.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let digits = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (number, unit) = self.0.split_at(digits);
        let (letter, base) = unit.strip_suffix('i').map_or((unit, 1_000), |letter| (letter, 1_024_u64));
        let power = match letter {
            "" => 0,
            "k" | "K" => 1,
            "M" => 2,
            "G" => 3,
            "T" => 4,
            "P" => 5,
            "E" => 6,
            _ => return None,
        };
        let times = base.checked_pow(power)?;
        number.parse::<u64>().ok()?.checked_mul(times)
    }
}

impl GatewayDuration {
    /// The length; the pattern was checked, so that this can't fail on a loaded resource.
    pub(crate) fn length(&self) -> Duration {
        let mut total_ms: u64 = 0;
        let mut rest = self.0.as_str();
        while let Some(digits) = rest.find(|c: char| !c.is_ascii_digit()) {
            let count: u64 = rest[..digits].parse().unwrap_or(0);
            let unit_end =
                rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
            total_ms += count * unit_ms(&rest[digits..unit_end]);
            rest = &rest[unit_end..];
        }
        Duration::from_millis(total_ms)
    }
}

fn unit_ms(unit: &str) -> u64 {
    match unit {
        "h" => 3_600_000,
        "m" => 60_000,
        "s" => 1_000,
        _ => 1,
    }
}

/// An object of another project whose fields we neither read nor judge.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Untyped(pub(crate) Value);

impl JsonSchema for Untyped {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Untyped".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        let rows = [
            ("32768", Some(32_768)),
            ("50Mi", Some(50 << 20)),
            ("1k", Some(1_000)),
            ("1Ki", Some(1_024)),
            ("2M", Some(2_000_000)),
            ("1Gi", Some(1 << 30)),
            ("3E", Some(3_000_000_000_000_000_000)),
            ("20Ei", None),
            ("1m", None), // A thousandth of one.
            ("", None),
            ("-1", None),
            ("1Q", None),
        ];
        for (text, want) in rows {
            assert_eq!(QuantityText(text.into()).bytes(), want, "{text}");
        }
    }

    #[test]
    fn durations_are_read() {
        let rows = [
            ("60s", 60_000),
            ("0s", 0),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("99999h", 359_996_400_000),
        ];
        for (text, want) in rows {
            assert_eq!(GatewayDuration(text.into()).length(), Duration::from_millis(want), "{text}");
        }
    }
}
