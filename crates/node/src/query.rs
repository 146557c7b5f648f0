//! Parameters of requests, read strictly: what is misspelt is refused with a sentence, not ignored.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use parallax_core::{BadDnsName, BadRecordKind, RecordKind, ServiceId};
use parallax_proto::{
    DEFAULT_MAX_AGE, DEFAULT_WAIT, DnsQuestion, LONGEST_NONCE, LONGEST_WAIT, MAX_DNS_TYPES, Question,
};

use crate::problem::Problem;

/// The oldest look that may be asked for: ten years.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The pairs of a query string, decoded.
pub(crate) type Pairs = Vec<(String, String)>;

/// Parameters by name, each known and each at most once.
struct Parameters {
    known: &'static [&'static str],
    pairs: Pairs,
}

impl Parameters {
    fn new(known: &'static [&'static str], pairs: Pairs) -> Result<Self, Problem> {
        let mut seen = BTreeSet::new();
        for (name, _) in &pairs {
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                return Err(Problem::parameter(name, format!("this parameter is not known; known are {known}")));
            }
            if !seen.insert(name.as_str()) {
                return Err(Problem::parameter(name, "this parameter is given twice; give it once"));
            }
        }
        Ok(Self { known, pairs })
    }

    fn optional(&self, name: &'static str) -> Option<&str> {
        debug_assert!(self.known.contains(&name));
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &'static str, what: &str) -> Result<&str, Problem> {
        self.optional(name).ok_or_else(|| Problem::parameter(name, format!("this parameter is missing; {what}")))
    }

    fn seconds(&self, name: &'static str, default: Duration, longest: Duration) -> Result<Duration, Problem> {
        let Some(text) = self.optional(name) else { return Ok(default) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = digits.then(|| u64::from_str(text).ok()).flatten().map(Duration::from_secs);
        seconds
            .filter(|seconds| *seconds <= longest)
            .ok_or_else(|| Problem::parameter(name, format!("a whole number of seconds, 0 to {}", longest.as_secs())))
    }

    fn nonce(&self) -> Result<Option<String>, Problem> {
        let Some(nonce) = self.optional("nonce") else { return Ok(None) };
        let printable = nonce.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if printable && nonce.len() <= LONGEST_NONCE {
            return Ok(Some(nonce.to_owned()));
        }
        Err(Problem::parameter("nonce", format!("at most {LONGEST_NONCE} printable ASCII characters")))
    }
}

/// The question of `GET /v1/view`.
pub(crate) fn view_question(pairs: Pairs) -> Result<Question, Problem> {
    let known = &["service", "max_age", "address", "wait", "nonce"];
    let parameters = Parameters::new(known, pairs)?;
    let service = parameters.required("service", "name a service such as tls://example.com:443")?;
    let service = ServiceId::from_str(service).map_err(|error| Problem::parameter("service", error.to_string()))?;
    let address = parameters.optional("address").map(IpAddr::from_str).transpose();
    let address = address
        .map_err(|_| Problem::parameter("address", "an IPv4 or IPv6 address, such as 192.0.2.7 or 2001:db8::1"))?;
    Ok(Question {
        service,
        max_age: parameters.seconds("max_age", DEFAULT_MAX_AGE, LONGEST_MAX_AGE)?,
        address: address.map(|address| address.to_canonical()),
        wait: parameters.seconds("wait", DEFAULT_WAIT, LONGEST_WAIT)?,
        nonce: parameters.nonce()?,
    })
}

/// The question of `GET /v1/dns`.
pub(crate) fn dns_question(pairs: Pairs) -> Result<DnsQuestion, Problem> {
    let parameters = Parameters::new(&["name", "types", "nonce"], pairs)?;
    let name = parameters.required("name", "give a DNS name such as example.com")?;
    let name = name.parse().map_err(|error: BadDnsName| Problem::parameter("name", error.to_string()))?;
    let kinds = record_kinds(parameters.required("types", "list record types, such as A,AAAA,MX")?)?;
    Ok(DnsQuestion { name, kinds, nonce: parameters.nonce()? })
}

fn record_kinds(text: &str) -> Result<BTreeSet<RecordKind>, Problem> {
    let bad = |why: String| Problem::parameter("types", why);
    let mut kinds = BTreeSet::new();
    for kind in text.split(',') {
        let kind = kind.parse().map_err(|error: BadRecordKind| bad(error.to_string()))?;
        if !kinds.insert(kind) {
            return Err(bad(format!("the record type {kind} is given twice; give it once")));
        }
        if kinds.len() > MAX_DNS_TYPES {
            return Err(bad(format!("at most {MAX_DNS_TYPES} record types in one question")));
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &[(&str, &str)]) -> Pairs {
        query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const SERVICE: (&str, &str) = ("service", "example.com");

    #[test]
    fn defaults_and_everything() {
        let question = view_question(pairs(&[SERVICE])).unwrap();
        assert_eq!(question, Question::about("example.com".parse().unwrap()));
        let question = view_question(pairs(&[
            ("service", "https://EXAMPLE.com/x"),
            ("max_age", "0"),
            ("address", "::ffff:192.0.2.7"),
            ("wait", "15"),
            ("nonce", "a b~"),
        ]))
        .unwrap();
        assert_eq!(question.service.to_string(), "tls://example.com:443");
        assert_eq!(question.address, "192.0.2.7".parse().ok());
        assert_eq!((question.max_age, question.wait), (Duration::ZERO, LONGEST_WAIT));
        assert_eq!(question.nonce.as_deref(), Some("a b~"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = "n".repeat(65);
        for (query, field, part) in [
            (vec![], "service", "missing"),
            (vec![("service", "")], "service", "no service was named"),
            (vec![("service", "gopher://x")], "service", "tls://"),
            (vec![("service", "127.1")], "service", "unusual spelling"),
            (vec![SERVICE, SERVICE], "service", "twice"),
            (vec![SERVICE, ("Service", "x")], "Service", "not known"),
            (vec![SERVICE, ("maxage", "1")], "maxage", "not known"),
            (vec![SERVICE, ("max_age", "-1")], "max_age", "0 to 315360000"),
            (vec![SERVICE, ("max_age", "+1")], "max_age", "0 to"),
            (vec![SERVICE, ("max_age", "1.5")], "max_age", "0 to"),
            (vec![SERVICE, ("max_age", "")], "max_age", "0 to"),
            (vec![SERVICE, ("max_age", "99999999999999999999")], "max_age", "0 to"),
            (vec![SERVICE, ("wait", "16")], "wait", "0 to 15"),
            (vec![SERVICE, ("address", "example.com")], "address", "192.0.2.7"),
            (vec![SERVICE, ("address", "127.1")], "address", "192.0.2.7"),
            (vec![SERVICE, ("address", "fe80::1%eth0")], "address", "192.0.2.7"),
            (vec![SERVICE, ("nonce", &long)], "nonce", "at most 64"),
            (vec![SERVICE, ("nonce", "a\nb")], "nonce", "printable"),
            (vec![SERVICE, ("nonce", "é")], "nonce", "printable"),
        ] {
            let problem = view_question(pairs(&query)).unwrap_err();
            assert_eq!(problem.field(), Some(field), "{query:?}");
            assert!(problem.detail().contains(part), "{query:?}: {}", problem.detail());
        }
    }

    #[test]
    fn dns_questions() {
        let question = dns_question(pairs(&[("name", "_443._tcp.Bücher.example."), ("types", "tlsa,A")])).unwrap();
        assert_eq!(question.name.as_str(), "_443._tcp.xn--bcher-kva.example");
        assert_eq!(question.kinds, [RecordKind::A, RecordKind::Tlsa].into());
        let seventeen: Vec<_> = (1..=17).map(|n| format!("TYPE{n}")).collect();
        let seventeen = seventeen.join(",");
        for (query, field) in [
            (vec![("types", "A")], "name"),
            (vec![("name", "example.com")], "types"),
            (vec![("name", "192.0.2.7"), ("types", "A")], "name"),
            (vec![("name", "a..b"), ("types", "A")], "name"),
            (vec![("name", "example.com:443"), ("types", "A")], "name"),
            (vec![("name", "example.com"), ("types", "")], "types"),
            (vec![("name", "example.com"), ("types", "A,")], "types"),
            (vec![("name", "example.com"), ("types", "A,a")], "types"),
            (vec![("name", "example.com"), ("types", "A, MX")], "types"),
            (vec![("name", "example.com"), ("types", "ANY")], "types"),
            (vec![("name", "example.com"), ("types", "AXFR")], "types"),
            (vec![("name", "example.com"), ("types", &seventeen)], "types"),
            (vec![("name", "example.com"), ("types", "A"), ("wait", "1")], "wait"),
        ] {
            assert_eq!(dns_question(pairs(&query)).unwrap_err().field(), Some(field), "{query:?}");
        }
    }
}
