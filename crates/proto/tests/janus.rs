//! `GET /v1/ca` under a pure-Rust suite: believed whole, or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use parallax_core::{Fingerprint, Timestamp, VantageId};
use parallax_proto::janus::{CA_FORMAT, CA_LIFE, CaList};
use parallax_proto::mirror::{Signatory, StatementError, sign, verify};
use parallax_proto::{Signed, StatementKey};

use support::{PureRust, Statement};

const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

fn list() -> CaList {
    CaList {
        format: CA_FORMAT.into(),
        vantage: VantageId::from_bytes([7; 32]),
        issued_at: NOW,
        valid_until: NOW.plus(CA_LIFE),
        roots: vec!["-----BEGIN CERTIFICATE-----\n".into()],
        issuing: vec![],
        keys: vec![Fingerprint::from_bytes([1; 32])],
    }
}

fn read(list: &CaList, at: Timestamp) -> Result<CaList, StatementError> {
    let key = Statement(ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    let statement_key = StatementKey::from_bytes(key.0.verifying_key().to_bytes());
    let by = Signatory { vantage: VantageId::from_bytes([7; 32]), statement_key };
    let signed: Signed = sign(list, &key).unwrap();
    verify::<CaList>(&PureRust, by, signed, at).map(|verified| verified.into_content())
}

#[test]
fn a_list_is_believed_for_its_hour() {
    assert_eq!(read(&list(), NOW).unwrap(), list());
    let late = NOW.plus(CA_LIFE + Duration::from_secs(121));
    assert!(matches!(read(&list(), late), Err(StatementError::NotCurrent { .. })));
    let longer = CaList { valid_until: NOW.plus(CA_LIFE + Duration::from_secs(1)), ..list() };
    assert!(matches!(read(&longer, NOW), Err(StatementError::TooLong { .. })));
}

#[test]
fn what_a_list_may_hold_is_bounded() {
    let pem = "x".repeat(8 * 1024 + 1);
    for wrong in [
        CaList { format: "parallax-mirrors/1".into(), ..list() },
        CaList { vantage: VantageId::from_bytes([8; 32]), ..list() },
        CaList { roots: vec![], ..list() },
        CaList { roots: vec![String::new(); 5], ..list() },
        CaList { issuing: vec![String::new(); 9], ..list() },
        CaList { roots: vec![pem], ..list() },
        CaList { keys: vec![Fingerprint::from_bytes([1; 32]); 100_001], ..list() },
    ] {
        assert!(read(&wrong, NOW).is_err());
    }
}
