//! The reply of a Perspectives notary, read and verified (`docs/protocols/perspectives-client.md`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax_core::{Md5Fingerprint, Md5Span, NotaryTestimony, Timestamp, VantageId};

use crate::CLOCK_SKEW;
use crate::perspectives::{LegacyKind, signed_bytes};
use crate::signed::{Signed, Verified};

/// Bytes of the largest reply that is read.
pub const LARGEST_REPLY: usize = 256 * 1024;

/// What a notary said of one service: keys and spans in the order of the document, which is what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotaryReply {
    keys: Vec<ReplyKey>,
}

/// One certificate in a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ReplyKey {
    fingerprint: Md5Fingerprint,
    /// First and last sight in seconds since 1970, both included.
    spans: Vec<(u32, u32)>,
}

/// Why a reply does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It is longer than any reply may be.
    #[error("its reply is larger than {LARGEST_REPLY} bytes")]
    TooLarge,
    /// It has not the one shape that a reply has.
    #[error("its reply is malformed at byte {at}: {wanted} was expected")]
    Malformed {
        /// Where.
        at: usize,
        /// What should have stood there.
        wanted: &'static str,
    },
    /// Two blocks for one certificate.
    #[error("its reply names the certificate {0} twice")]
    Repeated(Md5Fingerprint),
    /// A span that ends before it begins, or after now.
    #[error("its reply has a timespan that can't be: {0} to {1}")]
    Impossible(u32, u32),
    /// The signature is not that of its key over this service and these spans.
    #[error("the signature of its reply does not hold")]
    Signature,
}

impl NotaryReply {
    /// Reads a reply and verifies it. `service` is the service id exactly as it was asked for, `host:port,type`;
    /// `is_signed` says whether a signature of a message is the notary's (RSASSA-PKCS1-v1_5 with MD5).
    pub fn verify(
        body: &[u8],
        service: &str,
        now: Timestamp,
        is_signed: impl FnOnce(&[u8], &[u8]) -> bool,
    ) -> Result<Verified<Self>, ReplyError> {
        if body.len() > LARGEST_REPLY {
            return Err(ReplyError::TooLarge);
        }
        let (signature, reply) = Reader::new(body).reply()?;
        let raw = STANDARD.decode(&signature).map_err(|_| ReplyError::Signature)?;
        let message = reply.signed_bytes(service).ok_or(ReplyError::Signature)?;
        if !is_signed(&message, &raw) {
            return Err(ReplyError::Signature);
        }
        reply.check(now)?;
        let body = String::from_utf8_lossy(body).into_owned();
        Ok(Verified::new(reply, Signed { body, signature }))
    }

    /// What it is worth to a policy.
    pub fn testimony(&self, vantage: VantageId) -> NotaryTestimony {
        let moment = |seconds: u32| Timestamp::from_unix_secs(i64::from(seconds));
        let spans = self.keys.iter().flat_map(|key| {
            key.spans.iter().map(|(start, end)| Md5Span {
                leaf_md5: key.fingerprint,
                first_seen: moment(*start),
                last_seen: moment(*end),
            })
        });
        NotaryTestimony { vantage, spans: spans.collect() }
    }

    /// What the signature is over; `None` where the number of spans does not fit its field.
    fn signed_bytes(&self, service: &str) -> Option<Vec<u8>> {
        let fits = self.keys.iter().all(|key| u16::try_from(key.spans.len()).is_ok());
        fits.then(|| signed_bytes(service, self.keys.iter().map(|key| (&key.fingerprint, key.spans.as_slice()))))
    }

    fn check(&self, now: Timestamp) -> Result<(), ReplyError> {
        let mut seen = std::collections::BTreeSet::new();
        if let Some(key) = self.keys.iter().find(|key| !seen.insert(key.fingerprint)) {
            return Err(ReplyError::Repeated(key.fingerprint));
        }
        let latest = now.plus(CLOCK_SKEW).unix_secs();
        let mut spans = self.keys.iter().flat_map(|key| &key.spans);
        match spans.find(|(start, end)| start > end || i64::from(*end) > latest) {
            Some((start, end)) => Err(ReplyError::Impossible(*start, *end)),
            None => Ok(()),
        }
    }
}

/// Reads the one shape that a reply has, and nothing else of XML: no declaration, no document type, no entity, no
/// comment, no text between elements. White space may stand where XML ignores it; attributes may come in any order.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Attributes<'a> = Vec<(&'a [u8], &'a [u8])>;

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn reply(mut self) -> Result<(String, NotaryReply), ReplyError> {
        let [sig, kind, version] = self.open(b"<notary_reply", [b"sig", b"sig_type", b"version"])?;
        if (kind, version) != (b"rsa-md5".as_slice(), b"1".as_slice()) {
            return Err(self.wanted("sig_type=\"rsa-md5\" version=\"1\""));
        }
        self.expect(b">", ">")?;
        let mut keys = Vec::new();
        while !self.skip(b"</notary_reply>") {
            keys.push(self.key()?);
        }
        self.white();
        match self.at == self.bytes.len() {
            true => Ok((String::from_utf8_lossy(sig).into_owned(), NotaryReply { keys })),
            false => Err(self.wanted("the end")),
        }
    }

    fn key(&mut self) -> Result<ReplyKey, ReplyError> {
        let [fp, kind] = self.open(b"<key", [b"fp", b"type"])?;
        let fingerprint = parse_fingerprint(fp).ok_or_else(|| self.wanted("fp with 16 bytes in hex and colons"))?;
        if kind != LegacyKind::Ssl.name().as_bytes() {
            return Err(self.wanted("type=\"ssl\""));
        }
        self.expect(b">", ">")?;
        let mut spans = Vec::new();
        while !self.skip(b"</key>") {
            let [end, start] = self.open(b"<timestamp", [b"end", b"start"])?;
            let number = |text| parse_number(text).ok_or_else(|| self.wanted("seconds since 1970 in 32 bits"));
            spans.push((number(start)?, number(end)?));
            self.expect(b"/>", "/>")?;
        }
        Ok(ReplyKey { fingerprint, spans })
    }

    /// The opening of an element up to its `>`, with exactly these attributes.
    fn open<const N: usize>(&mut self, tag: &'static [u8], names: [&[u8]; N]) -> Result<[&'a [u8]; N], ReplyError> {
        self.expect(tag, "an element of a notary_reply in its place")?;
        let mut found: Attributes<'a> = Vec::with_capacity(N);
        while found.len() < N {
            found.push(self.attribute()?);
        }
        let mut values = [&[][..]; N];
        for (value, name) in values.iter_mut().zip(names) {
            let known = found.iter().find(|(found, _)| *found == name);
            *value =
                known.map(|(_, value)| *value).ok_or_else(|| self.wanted("the element's own attributes, once each"))?;
        }
        Ok(values)
    }

    fn attribute(&mut self) -> Result<(&'a [u8], &'a [u8]), ReplyError> {
        if !self.white() {
            return Err(self.wanted("an attribute"));
        }
        let name = self.take(|byte| byte.is_ascii_lowercase() || byte == b'_');
        self.expect(b"=\"", "=\"")?;
        // No entities: an ampersand ends the value, and then no quotation mark follows.
        let value = self.take(|byte| byte.is_ascii_graphic() && !b"\"<>&".contains(&byte));
        self.expect_here(b"\"", "a plain value and its closing quotation mark")?;
        Ok((name, value))
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn white(&mut self) -> bool {
        !self.take(|byte| b" \t\r\n".contains(&byte)).is_empty()
    }

    /// Skips white space and this, if it is there.
    fn skip(&mut self, token: &[u8]) -> bool {
        self.white();
        let there = self.rest().starts_with(token);
        self.at += if there { token.len() } else { 0 };
        there
    }

    fn expect(&mut self, token: &[u8], wanted: &'static str) -> Result<(), ReplyError> {
        if self.skip(token) { Ok(()) } else { Err(self.wanted(wanted)) }
    }

    fn expect_here(&mut self, token: &[u8], wanted: &'static str) -> Result<(), ReplyError> {
        let there = self.rest().starts_with(token);
        if there { self.expect(token, wanted) } else { Err(self.wanted(wanted)) }
    }

    fn wanted(&self, wanted: &'static str) -> ReplyError {
        ReplyError::Malformed { at: self.at, wanted }
    }
}

fn parse_fingerprint(text: &[u8]) -> Option<Md5Fingerprint> {
    let pairs: Vec<&[u8]> = text.split(|byte| *byte == b':').collect();
    if pairs.len() != 16 || pairs.iter().any(|pair| pair.len() != 2) {
        return None;
    }
    std::str::from_utf8(&pairs.concat()).ok()?.parse().ok()
}

fn parse_number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const K1: &str = "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f";
    const K2: &str = "ff:fe:fd:fc:fb:fa:f9:f8:f7:f6:f5:f4:f3:f2:f1:f0";
    const NOW: Timestamp = Timestamp::from_unix_secs(1_800_000_000);

    fn reply(keys: &str) -> String {
        format!("<notary_reply sig=\"c2ln\" sig_type=\"rsa-md5\" version=\"1\">\n{keys}</notary_reply>\n")
    }

    fn vector() -> String {
        reply(&format!(
            "\t<key fp=\"{K1}\" type=\"ssl\">\n\t\t<timestamp end=\"2\" start=\"1\"/>\n\t\t<timestamp end=\"65536\" \
             start=\"256\"/>\n\t</key>\n\t<key fp=\"{K2}\" type=\"ssl\">\n\t\t<timestamp end=\"1000000500\" \
             start=\"1000000000\"/>\n\t</key>\n"
        ))
    }

    fn read(text: &str) -> Result<Verified<NotaryReply>, ReplyError> {
        NotaryReply::verify(text.as_bytes(), "example.test:443,2", NOW, |_, _| true)
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_vector() {
        let mut signed = Vec::new();
        let verified = NotaryReply::verify(vector().as_bytes(), "example.test:443,2", NOW, |message, signature| {
            signed = message.to_vec();
            signature == b"sig"
        });
        let hex: String = signed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "6578616d706c652e746573743a3434332c32000001001003fffefdfcfbfaf9f8f7f6f5f4f3f2f1f03b9aca003b9acbf40002001003000102030405060708090a0b0c0d0e0f00000001000000020000010000010000"
        );
        let testimony = verified.unwrap().content().testimony(VantageId::from_bytes([1; 32]));
        assert_eq!(testimony.spans.len(), 3);
        assert_eq!(testimony.newest(), Some(Timestamp::from_unix_secs(1_000_000_500)));
        assert_eq!(NotaryReply::verify(vector().as_bytes(), "x:1,2", NOW, |_, _| false), Err(ReplyError::Signature));
    }

    #[test]
    fn space_and_order_of_attributes_do_not_matter() {
        let other = vector().replace(['\n', '\t'], " ").replace("end=\"2\" start=\"1\"", "start=\"1\"   end=\"2\" ");
        assert_eq!(read(&other).unwrap().content(), read(&vector()).unwrap().content());
        assert!(read(&reply("")).unwrap().content().keys.is_empty());
    }

    #[test]
    fn nothing_else_of_xml_is_read() {
        let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;\">]>";
        for (bad, what) in [
            (format!("{bomb}{}", vector()), "document type"),
            (format!("<?xml version=\"1.0\"?>{}", vector()), "declaration"),
            (vector().replace("c2ln", "&a;"), "entity"),
            (vector().replace("\"2\"", "\"&#50;\""), "character reference"),
            (vector().replace("</key>", "<!-- x --></key>"), "comment"),
            (vector().replace("</key>", "<![CDATA[x]]></key>"), "CDATA"),
            (vector().replace("</key>", "text</key>"), "text"),
            (vector().replace("<key", "<n:key"), "name space"),
            (vector().replace("<key", "<key "), ""),
            (format!("{}<x/>", vector()), "trailer"),
            (vector().replace("end=\"2\" start=\"1\"", "end=\"2\" end=\"1\""), "attribute twice"),
            (vector().replace("end=\"2\"", "x=\"2\""), "unknown attribute"),
            (vector().replace("end=\"2\"", "end='2'"), "other quotation marks"),
            (vector().replace("end=\"2\"", "end=\"2"), "no closing mark"),
            (vector().replace("end=\"2\"", "end=\"+2\""), "sign"),
            (vector().replace("65536", "4294967296"), "33 bits"),
            (vector().replace("rsa-md5", "rsa-sha1"), "other algorithm"),
            (vector().replace("version=\"1\"", "version=\"2\""), "other version"),
            (vector().replace("type=\"ssl\"", "type=\"ssh\""), "other kind"),
            (vector().replace(K1, "00:01"), "short fingerprint"),
            (vector().replace(K2, &K2.to_uppercase()), "upper case"),
            (vector().replace("</key>", ""), "not closed"),
            (String::new(), "nothing"),
            ("<notary_reply".into(), "the beginning alone"),
        ] {
            if what.is_empty() {
                assert!(read(&bad).is_ok(), "more space");
            } else {
                assert!(matches!(read(&bad), Err(ReplyError::Malformed { .. })), "{what}: {:?}", read(&bad));
            }
        }
        for end in 0..vector().len() - 1 {
            assert!(read(vector().get(..end).unwrap()).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_can_not_be_is_refused() {
        assert!(matches!(read(&vector().replace(K2, K1)), Err(ReplyError::Repeated(_))));
        assert_eq!(read(&vector().replace("\"2\"", "\"0\"")), Err(ReplyError::Impossible(1, 0)));
        let ahead = vector().replace("1000000500", "1800000121");
        assert_eq!(read(&ahead), Err(ReplyError::Impossible(1_000_000_000, 1_800_000_121)));
        assert_eq!(read(&vector().replace("c2ln", "c2l")), Err(ReplyError::Signature), "no base64");
        assert_eq!(read(&" ".repeat(LARGEST_REPLY + 1)), Err(ReplyError::TooLarge));
        // 65,536 spans do not fit the count that is signed.
        let spans = "<timestamp end=\"2\" start=\"1\"/>".repeat(65_536);
        let many = reply(&format!("<key fp=\"{K1}\" type=\"ssl\">{spans}</key>"));
        let (_, parsed) = Reader::new(many.as_bytes()).reply().unwrap();
        assert_eq!(parsed.signed_bytes("x"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(at in 0usize..400, with in proptest::collection::vec(proptest::num::u8::ANY, 0..8)) {
            let mut bytes = vector().into_bytes();
            let at = at.min(bytes.len());
            bytes.splice(at..(at + with.len()).min(bytes.len()), with);
            let _ = NotaryReply::verify(&bytes, "example.test:443,2", NOW, |_, _| true);
        }
    }
}
