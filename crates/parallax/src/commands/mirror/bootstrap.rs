//! `parallax mirror bootstrap` and `refresh`: how a client comes to know mirrors, and goes on knowing them.

use std::collections::BTreeSet;
use std::path::Path;

use parallax_client::{BootstrapUrl, Chance, Changed, Deadline, KnownMirrors, ListsTold, NoList, in_any_order};
use parallax_core::VantageId;
use parallax_probe::AwsLc;
use parallax_proto::mirror::{Bootstrap, BootstrapFile, LARGEST_BOOTSTRAP, Pair};

use super::files;
use crate::args::{MirrorBootstrapArgs, MirrorRefreshArgs};
use crate::clock::now;
use crate::commands::{block_on, settings};
use crate::failure::{DONE, Failure};
use crate::kept::Kept as _;
use crate::mirrors::{self, MirrorsError};
use crate::output;
use crate::settings::Settings;
use crate::vantages::Vantages;
use crate::{logs, progress};

/// Makes or widens the list from a bootstrap file.
pub(super) fn bootstrap(args: &MirrorBootstrapArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let (place, publisher) = parse(&args.from)?;
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let file = settings.mirrors_file();
    let known = if args.anew { None } else { mirrors::read(&file).map_err(Failure::usage)? };
    if let Some(known) = known.filter(|known| known.allows_private() != args.allow_private) {
        return Err(other_network(&known));
    }
    let told = block_on(async {
        let content = content(place, publisher, &settings).await?;
        let pairs = in_any_order(content.mirrors, &mut Chance);
        ask(&pairs, args.allow_private, &settings).await
    })?;
    let changed = mirrors::change(&file, |known| {
        let known = known.filter(|known| !args.anew && known.allows_private() == args.allow_private);
        let mut known = known.unwrap_or_else(|| KnownMirrors::nobody(args.allow_private, &mut Chance));
        let changed = known.take(&told, now(), &mut Chance);
        Ok::<_, MirrorsError>((Some(known), changed))
    })
    .map_err(Failure::usage)?;
    output::print(&summary(&told, changed))?;
    let listed = Vantages::read(&settings.vantages_file()).map_err(Failure::usage)?;
    if !(listed.entries.is_empty() && listed.notaries.is_empty()) {
        output::say("`parallax check` asks the vantage points that you have listed, and mirrors only without them");
    }
    Ok(DONE)
}

/// Asks the mirrors of the list for theirs.
pub(super) fn refresh(args: &MirrorRefreshArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let file = settings.mirrors_file();
    let Some(known) = mirrors::read(&file).map_err(Failure::usage)? else { return Err(no_list()) };
    if args.if_due && !settings.federation.refresh.is_some_and(|every| known.is_due(every, now())) {
        return Ok(DONE);
    }
    let held = mirrors::hold(&file).map_err(|why| Failure::usage(MirrorsError::from(files::unreadable(&file, why))))?;
    if held.is_none() {
        return Err(Failure::not_done("another command is refreshing the list; wait until it has ended"));
    }
    let told = block_on(ask(&known.to_ask(&mut Chance), known.allows_private(), &settings))?;
    let changed = mirrors::change(&file, |known| {
        let mut known = known.ok_or_else(no_list)?;
        let changed = known.take(&told, now(), &mut Chance);
        Ok::<_, Failure>((Some(known), changed))
    })?;
    output::print(&summary(&told, changed))?;
    Ok(DONE)
}

impl From<MirrorsError> for Failure {
    fn from(error: MirrorsError) -> Self {
        Failure::usage(error)
    }
}

/// There is no list yet.
pub(super) fn no_list() -> Failure {
    Failure::not_done(
        "no mirrors are known yet; run `parallax mirror bootstrap FILE#ID` with the file and id of a publisher whom you trust",
    )
}

fn other_network(known: &KnownMirrors) -> Failure {
    let (have, flag) = match known.allows_private() {
        true => ("a network of your own", "add --allow-private"),
        false => ("the public network", "leave --allow-private out"),
    };
    Failure::not_done(format!("the mirrors that are known are of {have}; {flag}, or begin anew with --anew"))
}

/// `FILE#ID` or `URL#ID`.
fn parse(text: &str) -> Result<(&str, VantageId), Failure> {
    let missing = || {
        Failure::usage(format!("{text:?} names no publisher; write FILE#ID or URL#ID, with the publisher's vantage id"))
    };
    let (place, id) = text.rsplit_once('#').filter(|(place, _)| !place.is_empty()).ok_or_else(missing)?;
    let id = id.parse().map_err(|why| Failure::usage(format!("the publisher's id after # is wrong: {why}")))?;
    Ok((place, id))
}

async fn content(place: &str, publisher: VantageId, settings: &Settings) -> Result<Bootstrap, Failure> {
    let bytes = if BootstrapUrl::is_meant(place) {
        let url: BootstrapUrl = place.parse().map_err(Failure::usage)?;
        let fetching = url.fetch(publisher, Deadline::within(settings.check.timeout));
        let fetched = progress::waiting(format!("fetching {place}"), fetching).await;
        fetched.map_err(|why| Failure::not_done(format!("{place} was not fetched: {why}")))?
    } else {
        files::read_bounded(Path::new(place), LARGEST_BOOTSTRAP)?
    };
    BootstrapFile::read(&AwsLc, publisher, &bytes, now()).map_err(Failure::not_done)
}

async fn ask(pairs: &[Pair], allow_private: bool, settings: &Settings) -> Result<ListsTold, Failure> {
    let asking = ListsTold::ask(pairs, allow_private, settings.check.timeout);
    let told = progress::waiting("asking mirrors for their lists".into(), asking).await;
    told.map_err(|why: NoList| Failure::not_done(why))
}

fn summary(told: &ListsTold, changed: Changed) -> String {
    let regions: BTreeSet<_> = told.peers.values().filter_map(|peer| peer.region()).collect();
    format!(
        "{} of {} mirrors asked told their lists, of {} networks\n{} mirrors are known now: {} came, {} went; the lists name {} regions\n",
        told.told,
        told.asked,
        told.networks,
        changed.known,
        changed.came,
        changed.went,
        regions.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_with_its_publisher() {
        let id = "ab".repeat(32);
        for place in ["mirrors.boot", "a#b.json", "https://192.0.2.7:8443", "http://files.example/b.json"] {
            let text = format!("{place}#{id}");
            assert_eq!(parse(&text).unwrap(), (place, id.parse().unwrap()));
        }
        for (text, part) in [
            ("mirrors.boot", "names no publisher"),
            (&format!("#{id}"), "names no publisher"),
            ("mirrors.boot#abc", "64 lower-case hex digits"),
        ] {
            let failure = parse(text).unwrap_err();
            assert!(failure.sentence().unwrap().contains(part), "{failure:?}");
        }
    }
}
