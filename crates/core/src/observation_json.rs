//! Observations in JSON: one flat object, of which a part is there only when a certificate was met.
//!
//! Field by field and not by serde's `flatten`: that reads every field into a table first and takes a certificate with one
//! broken field for none at all, and observations are most of what is written and read.

use std::net::SocketAddr;

use serde::de::Error as _;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::host_key::HostKey;
use crate::id::{Fingerprint, Md5Fingerprint};
use crate::observation::{CaId, Met, Observation, Outcome, PublicCa, Starttls};
use crate::scts::Scts;
use crate::time::Timestamp;

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { at, address, outcome, starttls, met } = self;
        // More than are ever left out: the number is a hint, but for zero.
        let mut out = serializer.serialize_struct("Observation", 19)?;
        out.serialize_field("at", at)?;
        out.serialize_field("address", address)?;
        out.serialize_field("outcome", outcome)?;
        if starttls.is_some() {
            out.serialize_field("starttls", starttls)?;
        }
        if let Some(met) = met {
            let Met {
                protocol,
                proved,
                leaf,
                leaf_md5,
                key,
                issuer_key,
                chain,
                path,
                names,
                not_before,
                not_after,
                ca_id,
                public_ca,
                host_keys,
                scts,
            } = met;
            out.serialize_field("protocol", protocol)?;
            out.serialize_field("proved", proved)?;
            out.serialize_field("leaf", leaf)?;
            out.serialize_field("leaf_md5", leaf_md5)?;
            out.serialize_field("key", key)?;
            out.serialize_field("issuer_key", issuer_key)?;
            out.serialize_field("chain", chain)?;
            out.serialize_field("path", path)?;
            out.serialize_field("names", names)?;
            out.serialize_field("not_before", not_before)?;
            out.serialize_field("not_after", not_after)?;
            out.serialize_field("ca_id", ca_id)?;
            out.serialize_field("public_ca", public_ca)?;
            if !host_keys.is_empty() {
                out.serialize_field("host_keys", host_keys)?;
            }
            if scts.is_some() {
                out.serialize_field("scts", scts)?;
            }
        }
        out.end()
    }
}

/// An observation as it is read, field by field. What a certificate must have is optional here, as there may be none.
#[derive(Deserialize)]
struct Read {
    at: Timestamp,
    #[serde(default)]
    address: Option<SocketAddr>,
    outcome: Outcome,
    #[serde(default)]
    starttls: Option<Starttls>,
    #[serde(default)]
    protocol: Option<String>,
    #[serde(default)]
    proved: Option<bool>,
    #[serde(default)]
    leaf: Option<Fingerprint>,
    #[serde(default)]
    leaf_md5: Option<Md5Fingerprint>,
    #[serde(default)]
    key: Option<Fingerprint>,
    #[serde(default)]
    issuer_key: Option<Fingerprint>,
    #[serde(default)]
    chain: Option<Vec<Fingerprint>>,
    #[serde(default)]
    path: Vec<Fingerprint>,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    not_before: Option<Timestamp>,
    #[serde(default)]
    not_after: Option<Timestamp>,
    #[serde(default)]
    ca_id: Option<CaId>,
    #[serde(default)]
    public_ca: Option<PublicCa>,
    #[serde(default)]
    host_keys: Vec<HostKey>,
    #[serde(default)]
    scts: Option<Scts>,
}

impl Read {
    /// The certificate, or what it lacks.
    fn met(self) -> Result<Met, &'static str> {
        Ok(Met {
            protocol: self.protocol.ok_or("protocol")?,
            proved: self.proved.ok_or("proved")?,
            leaf: self.leaf.ok_or("leaf")?,
            leaf_md5: self.leaf_md5,
            key: self.key.ok_or("key")?,
            issuer_key: self.issuer_key,
            chain: self.chain.ok_or("chain")?,
            path: self.path,
            names: self.names.ok_or("names")?,
            not_before: self.not_before.ok_or("not_before")?,
            not_after: self.not_after.ok_or("not_after")?,
            ca_id: self.ca_id.ok_or("ca_id")?,
            public_ca: self.public_ca.ok_or("public_ca")?,
            host_keys: self.host_keys,
            scts: self.scts,
        })
    }
}

impl<'de> Deserialize<'de> for Observation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let (at, address, outcome, starttls) = (read.at, read.address, read.outcome, read.starttls);
        let met = match read.met() {
            Ok(met) => Some(met),
            Err(lacking) if outcome == Outcome::Seen => {
                return Err(D::Error::custom(format_args!(
                    "an observation with the outcome \"seen\" lacks a readable certificate: {lacking} is missing"
                )));
            }
            Err(_) => None,
        };
        Ok(Self { at, address, outcome, starttls, met })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn met() -> Met {
        let print = |byte| Fingerprint::from_bytes([byte; 32]);
        Met {
            protocol: "TLSv1.3".into(),
            proved: true,
            leaf: print(1),
            leaf_md5: None,
            key: print(2),
            issuer_key: None,
            chain: vec![print(1)],
            path: vec![print(2)],
            names: vec!["example.com".into()],
            not_before: Timestamp::from_unix_secs(0),
            not_after: Timestamp::from_unix_secs(1),
            ca_id: CaId::Organisation("Example".into()),
            public_ca: PublicCa::Valid,
            host_keys: Vec::new(),
            scts: None,
        }
    }

    /// Views are signed over these bytes, and stored ones are read for years: their order and form are fixed.
    #[test]
    fn the_form_is_fixed() {
        let at = Timestamp::from_unix_secs(1_700_000_000);
        let seen = Observation::seen(at, Some(([192, 0, 2, 1], 443).into()), met());
        let (one, two) = ("01".repeat(32), "02".repeat(32));
        let text = serde_json::to_string(&seen).unwrap();
        let expected = format!(
            "{{\"at\":\"2023-11-14T22:13:20.000Z\",\"address\":\"192.0.2.1:443\",\"outcome\":\"seen\",\
             \"protocol\":\"TLSv1.3\",\"proved\":true,\"leaf\":\"{one}\",\"leaf_md5\":null,\"key\":\"{two}\",\
             \"issuer_key\":null,\"chain\":[\"{one}\"],\"path\":[\"{two}\"],\"names\":[\"example.com\"],\
             \"not_before\":\"1970-01-01T00:00:00.000Z\",\"not_after\":\"1970-01-01T00:00:01.000Z\",\
             \"ca_id\":\"org:Example\",\"public_ca\":\"valid\"}}"
        );
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Observation>(&text).unwrap(), seen);
        let failed = Observation::failed(at, None, Outcome::Refused).with_starttls(Some(Starttls::NotOffered));
        let text = serde_json::to_string(&failed).unwrap();
        let expected = "{\"at\":\"2023-11-14T22:13:20.000Z\",\"address\":null,\"outcome\":\"refused\",\
                        \"starttls\":\"not-offered\"}";
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Observation>(&text).unwrap(), failed);
    }

    #[test]
    fn a_certificate_lacks_nothing_that_it_must_have_and_broken_fields_are_errors() {
        let at = Timestamp::from_unix_secs(0);
        let whole = serde_json::to_value(Observation::seen(at, None, met())).unwrap();
        for field in
            ["protocol", "proved", "leaf", "key", "chain", "names", "not_before", "not_after", "ca_id", "public_ca"]
        {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(field);
            let error = serde_json::from_value::<Observation>(without).unwrap_err().to_string();
            assert!(error.ends_with(&format!("{field} is missing")), "{error}");
            let mut broken = whole.clone();
            broken[field] = json!({ "broken": true });
            assert!(serde_json::from_value::<Observation>(broken).is_err(), "{field}");
        }
        // Older nodes tell neither, and newer ones more.
        let mut other: Value = whole.clone();
        other.as_object_mut().unwrap().remove("path");
        other.as_object_mut().unwrap().remove("issuer_key");
        other["of_next_year"] = json!([1, 2]);
        assert!(serde_json::from_value::<Observation>(other).unwrap().met.unwrap().path.is_empty());
        let nothing = json!({ "at": at, "outcome": "timeout", "leaf": "00".repeat(32) });
        assert_eq!(serde_json::from_value::<Observation>(nothing).unwrap().met, None);
    }
}
