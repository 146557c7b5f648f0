//! What a log signs.

use parallax_core::Fingerprint;

use super::wire::Sct;
use crate::der;

/// `1.3.6.1.4.1.11129.2.4.2`, the extension that holds SCTs (RFC 6962 section 3.3), as it stands in DER.
const SCT_LIST: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];

/// `[3]` of a TBSCertificate (RFC 5280 section 4.1): its extensions.
const EXTENSIONS: u8 = 0xa3;

/// `precert_entry` of LogEntryType (RFC 6962 section 3.1).
const PRECERT_ENTRY: u16 = 1;

/// The precertificate that a log was shown before the certificate was issued (RFC 6962 section 3.2). It names the key of
/// the final issuer, also where another certificate signed the precertificate.
pub(super) struct Precertificate {
    issuer: Fingerprint,
    tbs: Vec<u8>,
}

impl Precertificate {
    /// That of a certificate with this TBSCertificate; `None` when that can't be taken apart.
    pub(super) fn of(tbs: &[u8], issuer: Fingerprint) -> Option<Self> {
        Some(Self { issuer, tbs: without_scts(tbs)? })
    }

    /// What the signature of an SCT is over (RFC 6962 section 3.2); `None` when it is longer than any entry.
    pub(super) fn signed(&self, sct: &Sct<'_>) -> Option<Vec<u8>> {
        let length = u32::try_from(self.tbs.len()).ok().filter(|length| *length < 1 << 24)?.to_be_bytes();
        let mut signed = vec![0, 0];
        signed.extend(sct.timestamp.to_be_bytes());
        signed.extend(PRECERT_ENTRY.to_be_bytes());
        signed.extend(self.issuer.as_bytes());
        signed.extend(length.get(1..)?);
        signed.extend(&self.tbs);
        signed.extend(u16::try_from(sct.extensions.len()).ok()?.to_be_bytes());
        signed.extend(sct.extensions);
        Some(signed)
    }
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
