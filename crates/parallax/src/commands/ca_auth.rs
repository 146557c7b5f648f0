//! `parallax ca-auth`: the records to publish so that a CA, and no other, may vouch for a name; and whether they are.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parallax_core::{DnsAnswers, DnsName, Fingerprint, MAX_AUTHORISED_KEYS, Timestamp, plainly};
use parallax_probe::{CaCertificate, ca_certificates};
use serde_json::{Value, json};

use super::{block_on, looking, settings};
use crate::args::CaAuthArgs;
use crate::clock::now;
use crate::failure::{DONE, Failure, NOT};
use crate::output::{self, escape, wrap};
use crate::settings::{Settings, parse_duration};
use crate::{logs, progress};

const DEFAULT_PORT: u16 = 443;
const DEFAULT_TTL: Duration = Duration::from_secs(300);

/// The longest time to live (RFC 2181 section 8).
const LONGEST_TTL: u64 = i32::MAX as u64;

/// A larger file is no list of CA certificates.
const LARGEST_FILE: usize = 1024 * 1024;

/// Runs the command.
pub(crate) fn run(args: &CaAuthArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let plan = Plan::of(args)?;
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let published = args.check.then(|| block_on(published(&plan, &settings))).transpose()?;
    let comparison = published.as_ref().map(|found| Comparison::of(&plan, found));
    if args.json {
        output::print_json(&plan.to_json(comparison.as_ref()))?;
    } else {
        output::print(&(plan.to_zone() + &comparison.as_ref().map(Comparison::render).unwrap_or_default()))?;
    }
    Ok(if comparison.is_none_or(|comparison| comparison.is_match()) { DONE } else { NOT })
}

async fn published(plan: &Plan, settings: &Settings) -> Result<DnsAnswers, Failure> {
    let prober = looking::prober(&settings.look, settings.check.timeout)?;
    let asking = prober.authorised(&plan.name, plan.port);
    Ok(progress::waiting(format!("asking for the records of {}", plan.name), asking).await)
}

/// What is to be published.
struct Plan {
    name: DnsName,
    port: u16,
    ttl: u64,
    /// Each key once, in the order in which they were named.
    cas: Vec<CaCertificate>,
}

impl Plan {
    fn of(args: &CaAuthArgs) -> Result<Self, Failure> {
        let name: DnsName = args.name.parse().map_err(Failure::usage)?;
        let port = args.port.as_deref().map_or(Ok(DEFAULT_PORT), parse_port)?;
        let ttl = args.ttl.as_deref().map_or(Ok(DEFAULT_TTL), parse_duration);
        let ttl = ttl.map_err(|why| Failure::usage(format!("--ttl: {why}")))?.as_secs();
        if ttl > LONGEST_TTL {
            return Err(Failure::usage(format!("--ttl: a time to live is at most {LONGEST_TTL} s (RFC 2181)")));
        }
        let plan = Self { name, port, ttl, cas: read(&args.ca, now())? };
        for owner in [plan.txt_name(), plan.tlsa_name()] {
            owner.parse::<DnsName>().map_err(|why| Failure::usage(format!("{owner} can't be published: {why}")))?;
        }
        Ok(plan)
    }

    fn txt_name(&self) -> String {
        format!("_ca-auth.{}", self.name)
    }

    fn tlsa_name(&self) -> String {
        format!("_{}._tcp.{}", self.port, self.name)
    }

    /// Owner, type and data of each record. One TXT record a CA: to take one back, one record is deleted.
    fn records(&self) -> Vec<(String, &'static str, String)> {
        let txt = |ca: &CaCertificate| (self.txt_name(), "TXT", format!("\"v=ca1; sha256={}\"", ca.key));
        let tlsa = |ca: &CaCertificate| (self.tlsa_name(), "TLSA", format!("2 1 1 {}", ca.key));
        self.cas.iter().map(txt).chain(self.cas.iter().map(tlsa)).collect()
    }

    /// In the syntax of a zone file (RFC 1035 section 5.1).
    fn to_zone(&self) -> String {
        let mut zone = String::new();
        for ca in &self.cas {
            zone.push_str(
                &wrap("; ", &format!("{} (until {})", escape(&ca.subject), ca.not_after)).replace("\n  ", "\n; "),
            );
        }
        for (owner, kind, data) in self.records() {
            zone.push_str(&format!("{owner}. {} IN {kind} {data}\n", self.ttl));
        }
        zone
    }

    fn to_json(&self, comparison: Option<&Comparison<'_>>) -> Value {
        let record = |(owner, kind, data): (String, &str, String)| json!({ "name": format!("{owner}."), "type": kind, "ttl": self.ttl, "data": data });
        let ca = |ca: &CaCertificate| json!({ "key": ca.key, "subject": ca.subject, "not_after": ca.not_after });
        let mut shown = json!({
            "name": self.name,
            "port": self.port,
            "cas": self.cas.iter().map(ca).collect::<Vec<_>>(),
            "records": self.records().into_iter().map(record).collect::<Vec<_>>(),
        });
        if let (Some(shown), Some(comparison)) = (shown.as_object_mut(), comparison) {
            shown.insert("published".into(), comparison.to_json());
        }
        shown
    }
}

fn parse_port(text: &str) -> Result<u16, Failure> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| Failure::usage(format!("--port: {text:?} is not a port; ports are 1 to 65535")))
}

fn read(files: &[PathBuf], at: Timestamp) -> Result<Vec<CaCertificate>, Failure> {
    let mut cas: Vec<CaCertificate> = Vec::new();
    for file in files {
        let bad = |why: String| Failure::usage(format!("{}: {why}", file.display()));
        let content = read_bounded(file).map_err(|error| bad(format!("it can't be read: {}", plainly(&error))))?;
        if content.len() > LARGEST_FILE {
            return Err(bad("it is larger than 1 MiB; a file of CA certificates in PEM form is wanted".into()));
        }
        for ca in ca_certificates(&content, at).map_err(|why| bad(why.to_string()))? {
            if cas.iter().all(|known| known.key != ca.key) {
                cas.push(ca);
            }
        }
    }
    if cas.len() > MAX_AUTHORISED_KEYS {
        let count = cas.len();
        return Err(Failure::usage(format!(
            "these are {count} CAs; records of at most {MAX_AUTHORISED_KEYS} are read"
        )));
    }
    Ok(cas)
}

/// At most one byte more than is taken: a device has no size to ask for before.
fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(file)?.take(LARGEST_FILE as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// What is published against what should be.
struct Comparison<'a> {
    plan: &'a Plan,
    found: &'a DnsAnswers,
}

impl<'a> Comparison<'a> {
    fn of(plan: &'a Plan, found: &'a DnsAnswers) -> Self {
        Self { plan, found }
    }

    /// The keys that are authorised now; `None` when a lookup failed.
    fn published(&self) -> Option<BTreeSet<Fingerprint>> {
        self.found.ca.as_ref().map(|keys| keys.iter().copied().collect())
    }

    fn wanted(&self) -> BTreeSet<Fingerprint> {
        self.plan.cas.iter().map(|ca| ca.key).collect()
    }

    fn is_match(&self) -> bool {
        self.published() == Some(self.wanted())
    }

    /// Each key with what is to be said of it.
    fn keys(&self) -> Vec<(&'static str, Fingerprint)> {
        let (published, wanted) = (self.published().unwrap_or_default(), self.wanted());
        let state = |key: &Fingerprint| if published.contains(key) { "ok" } else { "missing" };
        let others = published.difference(&wanted).map(|key| ("other", *key));
        wanted.iter().map(|key| (state(key), *key)).chain(others).collect()
    }

    fn render(&self) -> String {
        let Some(published) = self.published() else {
            return "\nPublished now: the lookup failed, or the record is larger than is read\n".into();
        };
        let ttl = self.found.record_ttl_secs.map(|ttl| format!(", {ttl} s left")).unwrap_or_default();
        let keys = if published.len() == 1 { "key" } else { "keys" };
        let mut text = format!("\nPublished now ({} {keys}, DNSSEC {}{ttl}):\n", published.len(), self.dnssec());
        for (state, key) in self.keys() {
            text.push_str(&format!("  {state:<8} {key}\n"));
        }
        for ignored in &self.found.ignored {
            text.push_str(&wrap("  ignored  ", &escape(ignored)));
        }
        text
    }

    fn dnssec(&self) -> String {
        serde_json::to_value(self.found.dnssec)
            .ok()
            .and_then(|state| Some(state.as_str()?.to_owned()))
            .unwrap_or_default()
    }

    fn to_json(&self) -> Value {
        let of = |wanted: &str| {
            self.keys().into_iter().filter(|(state, _)| *state == wanted).map(|(_, key)| key).collect::<Vec<_>>()
        };
        json!({
            "matches": self.is_match(),
            "failed": self.published().is_none(),
            "ok": of("ok"),
            "missing": of("missing"),
            "other": of("other"),
            "ignored": self.found.ignored,
            "dnssec": self.found.dnssec,
            "record_ttl_secs": self.found.record_ttl_secs,
        })
    }
}
