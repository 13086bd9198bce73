//! Ports in JSON and in tables, as the configuration has them: `80`, `"8000-8100"`, `"any"`.

use std::net::{IpAddr, SocketAddr};

use lb_common::{addr::Port, service::Ports};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// `192.0.2.10:80`, `[2001:db8::10]:8000-8100`, `192.0.2.10:any`.
#[must_use]
pub fn endpoint(address: IpAddr, ports: Ports) -> String {
    if ports.is_one() {
        return SocketAddr::new(address, ports.first.get()).to_string();
    }
    match address {
        IpAddr::V4(v4) => format!("{v4}:{ports}"),
        IpAddr::V6(v6) => format!("[{v6}]:{ports}"),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Number(u16),
    Text(String),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) fn serialize<S: Serializer>(ports: &Ports, serializer: S) -> Result<S::Ok, S::Error> {
    if ports.is_one() {
        serializer.serialize_u16(ports.first.get())
    } else {
        serializer.collect_str(ports)
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ports, D::Error> {
    match Form::deserialize(deserializer)? {
        Form::Number(number) => Ok(Ports::one(Port::new(number))),
        Form::Text(text) => text.parse().map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, Deserialize)]
    #[serde(transparent)]
    struct Value(#[serde(with = "super")] Ports);

    #[test]
    fn ports_are_numbers_or_text() {
        for json in ["80", r#""8000-8100""#, r#""any""#] {
            let Value(ports) = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&Value(ports)).unwrap(), json);
        }
        for json in ["-1", "65536", r#""8100-8000""#, "null"] {
            assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn endpoints_are_written_as_in_urls() {
        let (v4, v6) = (IpAddr::from([192, 0, 2, 10]), "2001:db8::10".parse().unwrap());
        let range = "8000-8100".parse().unwrap();
        assert_eq!(endpoint(v4, Ports::one(Port::new(80))), "192.0.2.10:80");
        assert_eq!(endpoint(v6, Ports::one(Port::new(80))), "[2001:db8::10]:80");
        assert_eq!(endpoint(v4, Ports::ANY), "192.0.2.10:any");
        assert_eq!(endpoint(v6, range), "[2001:db8::10]:8000-8100");
    }
}
