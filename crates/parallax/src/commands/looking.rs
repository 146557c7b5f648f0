//! A prober as the settings want it.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use parallax_core::plainly;
use parallax_probe::{CtLogs, Limits, ProbeSettings, Prober, Roots, TargetPolicy, Validation};

use crate::failure::Failure;
use crate::settings::{DnssecChoice, LookSettings, RootsChoice};

/// A prober for the user's own looks: wherever the user says.
pub(super) fn prober(look: &LookSettings, time_limit: Duration) -> Result<Prober, Failure> {
    let mut settings = probe_settings(look)?;
    settings.targets = TargetPolicy::any();
    settings.limits = Limits { look: time_limit, ..settings.limits };
    Prober::new(settings).map_err(Failure::usage)
}

/// What a prober is told, targets and limits left at their defaults.
pub(super) fn probe_settings(look: &LookSettings) -> Result<ProbeSettings, Failure> {
    if let Some(source) = look.source {
        let have = UdpSocket::bind((source, 0));
        have.map_err(|_| Failure::usage(format!("the source {source} is not an address of this machine")))?;
    }
    Ok(ProbeSettings {
        resolver: look.resolver,
        source: look.source,
        roots: roots(&look.roots)?,
        dnssec: validation(&look.dnssec)?,
        ct_logs: look.ct_logs.as_deref().map_or_else(|| Ok(CtLogs::default()), ct_logs)?,
        ..ProbeSettings::default()
    })
}

fn roots(choice: &RootsChoice) -> Result<Roots, Failure> {
    match choice {
        RootsChoice::Public => Ok(Roots::Mozilla),
        RootsChoice::None => Ok(Roots::None),
        RootsChoice::File(path) => {
            let file = read(path, "roots must be public, none or a PEM file")?;
            Roots::pem(&file).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        }
    }
}

fn validation(choice: &DnssecChoice) -> Result<Validation, Failure> {
    match choice {
        DnssecChoice::Off => Ok(Validation::Off),
        DnssecChoice::Root => Ok(Validation::Root),
        DnssecChoice::File(path) => {
            let file = read(path, "dnssec must be off, root or a file of DNSKEY records")?;
            let text = String::from_utf8_lossy(&file);
            Validation::anchors(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
        }
    }
}

fn ct_logs(path: &Path) -> Result<CtLogs, Failure> {
    let file = read(path, "look.ct_logs must be a list of CT logs (log_list.json, version 3)")?;
    CtLogs::from_json(&file).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn read(path: &Path, wanted: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::usage(format!("{} can't be read: {}; {wanted}", path.display(), plainly(&error))))
}
