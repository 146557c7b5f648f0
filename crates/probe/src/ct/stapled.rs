//! SCTs in a stapled OCSP response (RFC 6962 section 3.3, RFC 6960 section 4.2.1).
//!
//! Nothing of the response is believed, so nothing of it is checked: an SCT is signed by a log and for one certificate,
//! wherever it is found.

use crate::der::{self, Element};

/// `1.3.6.1.4.1.11129.2.4.5`, the extension of a SingleResponse that holds SCTs, as it stands in DER.
const SCT_LIST: [u8; 10] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x05];

/// `[0]` and `[1]` around something.
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;

/// The value of the extension in the first answer of an OCSPResponse that has it; `None` when there is none, or the bytes
/// are no such response.
pub(super) fn stapled(ocsp: &[u8]) -> Option<&[u8]> {
    let response = parts(der::sole(ocsp, der::SEQUENCE)?)?;
    let bytes = parts(der::sole(tagged(&response, EXPLICIT_0)?.content, der::SEQUENCE)?)?;
    let basic = parts(der::sole(tagged(&bytes, der::OCTET_STRING)?.content, der::SEQUENCE)?)?;
    let data = parts(*basic.first()?)?;
    // `responses` is the only SEQUENCE in ResponseData.
    let answers = parts(tagged(&data, der::SEQUENCE)?)?;
    answers.into_iter().find_map(in_answer)
}

fn in_answer(answer: Element<'_>) -> Option<&[u8]> {
    // `nextUpdate` is [0]; certStatus `revoked` is [1] too, and stands before.
    let parts = parts(answer)?;
    let explicit = parts.get(3..)?.iter().find(|part| part.tag == EXPLICIT_1)?;
    let extensions = der::elements(der::sole(explicit.content, der::SEQUENCE)?.content)?;
    extensions.into_iter().find_map(|extension| {
        let parts = self::parts(extension)?;
        let is_list = parts.first().is_some_and(|id| id.tag == der::OBJECT_IDENTIFIER && id.content == SCT_LIST);
        is_list.then(|| tagged(&parts, der::OCTET_STRING)).flatten().map(|value| value.content)
    })
}

fn parts(element: Element<'_>) -> Option<Vec<Element<'_>>> {
    der::elements(element.content)
}

fn tagged<'a>(parts: &[Element<'a>], tag: u8) -> Option<Element<'a>> {
    parts.iter().find(|part| part.tag == tag).copied()
}
