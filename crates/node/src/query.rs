//! Parameters of requests, read strictly: what is misspelt is refused with a sentence, not ignored.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use parallax_core::{BadDnsName, BadRecordKind, RecordKind, ServiceId};
use parallax_proto::mirror::{Hop, Status};
use parallax_proto::{
    DEFAULT_MAX_AGE, DEFAULT_WAIT, DnsQuestion, LONGEST_NONCE, LONGEST_WAIT, MAX_DNS_TYPES, Question, is_region,
};

use crate::mirror::ListQuestion;
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

/// The question of `GET /v1/mirrors`.
pub(crate) fn list_question(pairs: Pairs) -> Result<ListQuestion, Problem> {
    let parameters = Parameters::new(&["status", "region", "page"], pairs)?;
    let status = parameters.optional("status").map(|text| {
        let known = [Status::Candidate, Status::Active, Status::Inactive, Status::Gone];
        let status = known.into_iter().find(|status| status.as_str() == text);
        status.ok_or_else(|| Problem::parameter("status", "candidate, active, inactive or gone"))
    });
    let region = parameters.optional("region").map(|text| match is_region(text) {
        true => Ok(text.to_owned()),
        false => Err(Problem::parameter("region", "1 to 32 lower-case letters, digits and hyphens")),
    });
    let page = parameters.optional("page").map(|text| {
        let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let page = digits.then(|| text.parse().ok()).flatten();
        page.ok_or_else(|| Problem::parameter("page", "a whole number, 0 to 9999"))
    });
    Ok(ListQuestion { status: status.transpose()?, region: region.transpose()?, page: page.transpose()?.unwrap_or(0) })
}

/// How a join came: `POST /v1/mirrors`, with `forwarded=1` from another mirror.
pub(crate) fn hop(pairs: Pairs) -> Result<Hop, Problem> {
    let parameters = Parameters::new(&["forwarded"], pairs)?;
    match parameters.optional("forwarded") {
        None => Ok(Hop::Own),
        Some("1") => Ok(Hop::Forwarded),
        Some(_) => Err(Problem::parameter("forwarded", "1, or leave it out")),
    }
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
    fn questions_about_mirrors() {
        assert_eq!(list_question(vec![]).unwrap(), ListQuestion::default());
        let asked = list_question(pairs(&[("status", "active"), ("region", "eu-west"), ("page", "3")])).unwrap();
        assert_eq!((asked.status, asked.region.as_deref(), asked.page), (Some(Status::Active), Some("eu-west"), 3));
        for (query, field) in [
            (vec![("status", "Active")], "status"),
            (vec![("region", "EU")], "region"),
            (vec![("page", "-1")], "page"),
            (vec![("page", "10000")], "page"),
            (vec![("page", "")], "page"),
            (vec![("pages", "1")], "pages"),
        ] {
            assert_eq!(list_question(pairs(&query)).unwrap_err().field(), Some(field), "{query:?}");
        }
        assert_eq!(hop(vec![]).unwrap(), Hop::Own);
        assert_eq!(hop(pairs(&[("forwarded", "1")])).unwrap(), Hop::Forwarded);
        assert_eq!(hop(pairs(&[("forwarded", "yes")])).unwrap_err().field(), Some("forwarded"));
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
