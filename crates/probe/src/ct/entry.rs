//! What a log signs.

use parallax_core::Fingerprint;

use super::wire::{Sct, V1};
use crate::der;

/// `1.3.6.1.4.1.11129.2.4.2`, the extension that holds SCTs (RFC 6962 section 3.3), as it stands in DER.
const SCT_LIST: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];

/// `[3]` of a TBSCertificate (RFC 5280 section 4.1): its extensions.
const EXTENSIONS: u8 = 0xa3;

/// `certificate_timestamp` of SignatureType (RFC 6962 section 3.2).
const CERTIFICATE_TIMESTAMP: u8 = 0;

/// `x509_entry` and `precert_entry` of LogEntryType (RFC 6962 section 3.1).
const CERTIFICATE: u16 = 0;
const PRECERTIFICATE: u16 = 1;

/// What a log was shown (RFC 6962 section 3.2).
pub(super) struct Entry {
    kind: u16,
    /// What the kind selects, in the form in which it is signed.
    body: Vec<u8>,
}

impl Entry {
    /// A certificate, once it was issued; `None` when it is longer than any entry.
    pub(super) fn certificate(der: &[u8]) -> Option<Self> {
        Some(Self { kind: CERTIFICATE, body: sized(der)? })
    }

    /// The precertificate of a certificate with this TBSCertificate; `None` when that can't be taken apart. It names the
    /// key of the final issuer, also where another certificate signed the precertificate.
    pub(super) fn precertificate(tbs: &[u8], issuer: Fingerprint) -> Option<Self> {
        let tbs = sized(&without_scts(tbs)?)?;
        Some(Self { kind: PRECERTIFICATE, body: [issuer.as_bytes().as_slice(), &tbs].concat() })
    }

    /// What the signature of an SCT is over.
    pub(super) fn signed(&self, sct: &Sct<'_>) -> Vec<u8> {
        let mut signed = vec![V1, CERTIFICATE_TIMESTAMP];
        signed.extend(sct.timestamp.to_be_bytes());
        signed.extend(self.kind.to_be_bytes());
        signed.extend(&self.body);
        signed.extend(sct.extensions);
        signed
    }
}

/// `opaque<1..2^24-1>`.
fn sized(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length < 1 << 24)?.to_be_bytes();
    Some([length.get(1..)?, bytes].concat())
}

/// A TBSCertificate without its SCTs; every other octet stays as it is.
fn without_scts(tbs: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::with_capacity(tbs.len());
    for part in der::elements(der::sole(tbs, der::SEQUENCE)?.content)? {
        match part.tag {
            EXTENSIONS => content.extend(other_extensions(part.content)?),
            _ => content.extend(part.whole),
        }
    }
    Some(der::element(der::SEQUENCE, &content))
}

fn other_extensions(explicit: &[u8]) -> Option<Vec<u8>> {
    let extensions = der::elements(der::sole(explicit, der::SEQUENCE)?.content)?;
    let others = extensions.iter().filter(|extension| !is_sct_list(extension.content));
    let others: Vec<u8> = others.flat_map(|extension| extension.whole).copied().collect();
    // RFC 5280 section 4.1: a list of extensions is never empty.
    let none = others.is_empty();
    Some(if none { Vec::new() } else { der::element(EXTENSIONS, &der::element(der::SEQUENCE, &others)) })
}

fn is_sct_list(extension: &[u8]) -> bool {
    der::split(extension).is_some_and(|(id, _)| id.tag == der::OBJECT_IDENTIFIER && id.content == SCT_LIST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(id: &[u8]) -> Vec<u8> {
        let content = [der::element(der::OBJECT_IDENTIFIER, id), der::element(der::OCTET_STRING, &[5; 200])];
        der::element(der::SEQUENCE, &content.concat())
    }

    fn tbs(extensions: &[&[u8]]) -> Vec<u8> {
        let explicit = der::element(EXTENSIONS, &der::element(der::SEQUENCE, &extensions.concat()));
        der::element(der::SEQUENCE, &[&[0xa0, 0, 2, 1, 7][..], &explicit].concat())
    }

    #[test]
    fn one_extension_is_taken_out_and_no_other() {
        let (list, other, longer) =
            (extension(&SCT_LIST), extension(&[0x55, 29, 17]), extension(&[&SCT_LIST[..], &[1]].concat()));
        for kept in [vec![&other[..]], vec![&other, &longer], vec![&longer]] {
            for at in 0..=kept.len() {
                let mut all = kept.clone();
                all.insert(at, &list);
                assert_eq!(without_scts(&tbs(&all)), Some(tbs(&kept)), "{at}");
            }
            assert_eq!(without_scts(&tbs(&kept)), Some(tbs(&kept)));
        }
        let bare = der::element(der::SEQUENCE, &[0xa0, 0, 2, 1, 7]);
        assert_eq!(without_scts(&tbs(&[&list])), Some(bare));
    }

    #[test]
    fn what_is_not_der_is_not_made_anew() {
        let good = tbs(&[&extension(&SCT_LIST)]);
        assert!(without_scts(&good).is_some());
        for cut in 0..good.len() {
            assert_eq!(without_scts(&good[..cut]), None, "{cut}");
        }
        // A length in more octets than it needs, as BER has it: the log may have seen another.
        let long = [&[0x30, 0x82, 0][..], &good[2..]].concat();
        assert_eq!((good[1], without_scts(&long)), (0x81, None));
        assert_eq!(without_scts(&[good, vec![0]].concat()), None);
    }
}
