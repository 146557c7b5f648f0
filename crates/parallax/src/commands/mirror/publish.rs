//! `parallax mirror publish`: a bootstrap file, made and signed with a node's identity.

use std::path::Path;

use futures_util::future::join_all;
use parallax_client::{Chance, Deadline, NodeVantage, VantageUrl, diverse_pairs, in_any_order};
use parallax_core::Network;
use parallax_node::{BOOTSTRAP, Publisher};
use parallax_probe::AwsLc;
use parallax_proto::Descriptor;
use parallax_proto::mirror::{
    BOOTSTRAP_FORMAT, BOOTSTRAP_LIFE, Bootstrap, BootstrapFile, LARGEST_BOOTSTRAP, Pair, Peer, Status, claimed_signer,
};

use super::{Asked, files};
use crate::args::MirrorPublishArgs;
use crate::clock::now;
use crate::commands::{block_on, settings};
use crate::failure::{DONE, Failure};
use crate::kept::{KeptError, lock_directory, replace};
use crate::output;
use crate::settings::Settings;
use crate::{logs, progress};

/// Makes a file, or adds a signature to one, and writes it out.
pub(super) fn run(args: &MirrorPublishArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.all_flags())?;
    logs::start("error")?;
    let publisher = Publisher::open(&settings.serve.data).map_err(|why| {
        Failure::usage(format!("{why}. A publisher signs with a node's identity: name its directory with --data"))
    })?;
    let mut file = match &args.add {
        Some(path) => signed_before(path)?,
        None => made(args, &settings)?,
    };
    publisher.sign(&mut file).map_err(Failure::not_done)?;
    let bytes = serde_json::to_vec(&file).map_err(Failure::not_done)?;
    // Whoever reads it does the same; what would be refused is not published.
    let content = BootstrapFile::read(&AwsLc, publisher.vantage(), &bytes, now()).map_err(Failure::not_done)?;
    write(args, &settings, &bytes)?;
    let networks =
        std::collections::BTreeSet::from_iter(content.mirrors.iter().map(|one| Network::of(one.address.ip())));
    output::say(&format!(
        "{} mirrors of {} networks, valid until {}, signed by {}; readers name it FILE#{}",
        content.mirrors.len(),
        networks.len(),
        output::day(content.valid_until),
        count(file.signatures.len()),
        publisher.vantage()
    ));
    Ok(DONE)
}

fn count(publishers: usize) -> String {
    if publishers == 1 { "one publisher".into() } else { format!("{publishers} publishers") }
}

/// A file of others, at least one of whom signed it well: nobody puts their name under what can't be read.
fn signed_before(path: &Path) -> Result<BootstrapFile, Failure> {
    let bytes = files::read_bounded(path, LARGEST_BOOTSTRAP)?;
    let refused = |why: &dyn std::fmt::Display| Failure::not_done(format!("{}: {why}", path.display()));
    let file: BootstrapFile = serde_json::from_slice(&bytes).map_err(|why| refused(&why))?;
    let mut result = Err(refused(&"nobody has signed it"));
    for descriptor in &file.descriptors {
        let signer = claimed_signer(descriptor, LARGEST_BOOTSTRAP).map_err(|why| refused(&why))?;
        result = BootstrapFile::read(&AwsLc, signer, &bytes, now()).map(drop).map_err(|why| refused(&why));
        if result.is_ok() {
            break;
        }
    }
    result.map(|()| file)
}

fn made(args: &MirrorPublishArgs, settings: &Settings) -> Result<BootstrapFile, Failure> {
    let life = args.valid()?;
    if life > BOOTSTRAP_LIFE || life.is_zero() {
        return Err(Failure::usage("--valid: a bootstrap file is valid for at most 366d"));
    }
    let pairs = block_on(async {
        match args.mirrors.is_empty() {
            true => progress::waiting("asking your node for its mirrors".into(), of_own_node(args, settings)).await,
            false => progress::waiting("meeting the mirrors".into(), named(&args.mirrors, settings)).await,
        }
    })?;
    let mirrors = diverse_pairs(&in_any_order(pairs, &mut Chance), args.most);
    let issued_at = now();
    let content = Bootstrap { format: BOOTSTRAP_FORMAT.into(), issued_at, valid_until: issued_at.plus(life), mirrors };
    BootstrapFile::new(&content).map_err(Failure::not_done)
}

/// The mirrors that one's own running node holds for active, and that node itself.
async fn of_own_node(args: &MirrorPublishArgs, settings: &Settings) -> Result<Vec<Pair>, Failure> {
    let own = Asked::own(&args.own, settings).await?;
    let mut pairs: Vec<Pair> = own.mirrors(Some(Status::Active)).await?.iter().map(|(peer, _)| pair(peer)).collect();
    pairs.extend(met(own.node.url(), settings).await.ok().map(|peer| pair(&peer)));
    Ok(pairs)
}

/// Each is met: an address that leads nowhere helps nobody.
async fn named(urls: &[String], settings: &Settings) -> Result<Vec<Pair>, Failure> {
    let urls: Vec<VantageUrl> =
        urls.iter().map(|url| url.parse().map_err(Failure::usage)).collect::<Result<_, Failure>>()?;
    let pairs = join_all(urls.iter().map(|url| async move {
        let vantage = url.pin().ok_or_else(|| Failure::usage(format!("{url} has no pin; add #VANTAGE-ID")))?;
        let address = url.host().address().ok_or_else(|| {
            Failure::usage(format!("{url} is no address: mirrors are met without DNS; write https://192.0.2.7:8443#ID"))
        })?;
        met(url, settings).await?;
        Ok(Pair { address: (address, url.port()).into(), vantage })
    }));
    pairs.await.into_iter().collect()
}

async fn met(url: &VantageUrl, settings: &Settings) -> Result<Peer, Failure> {
    let met = NodeVantage::discover(url, Deadline::within(settings.check.timeout)).await;
    let descriptor: parallax_proto::Verified<Descriptor> =
        met.map_err(|why| Failure::not_done(format!("{url} was not met: {why}")))?;
    Peer::new(descriptor).map_err(|why| Failure::not_done(format!("{url}: {why}")))
}

fn pair(peer: &Peer) -> Pair {
    Pair { address: peer.address(), vantage: peer.vantage() }
}

/// To a file, where the node hands it out, or to standard output.
fn write(args: &MirrorPublishArgs, settings: &Settings, bytes: &[u8]) -> Result<(), Failure> {
    let to = |path: &Path| {
        let written = lock_directory(path).and_then(|directory| replace(path, &directory, 0o644, bytes));
        written.map_err(|why| Failure::usage(KeptError::Unwritable { file: path.into(), why }))
    };
    if args.serve {
        to(&settings.serve.data.join(BOOTSTRAP))?;
    }
    match &args.out {
        Some(path) => to(path),
        None if args.serve => Ok(()),
        None => output::print_raw(&[bytes, b"\n"].concat()),
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::plainly;

    use super::*;

    #[test]
    fn what_nobody_signed_is_not_signed_after_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for (content, part) in [
            ("{}", "missing field `body`"),
            (r#"{"body":"{}","signatures":[],"descriptors":[]}"#, "nobody has signed it"),
            (
                r#"{"body":"{}","signatures":[],"descriptors":[{"body":"{}","signature":""}]}"#,
                "missing field `vantage`",
            ),
        ] {
            std::fs::write(&path, content).unwrap();
            let failure = signed_before(&path).unwrap_err();
            assert!(failure.sentence().unwrap().contains(part), "{failure:?}");
        }
        let failure = signed_before(&directory.path().join("none")).unwrap_err();
        assert!(failure.sentence().unwrap().contains(&plainly_missing()), "{failure:?}");
    }

    fn plainly_missing() -> String {
        plainly(&std::io::Error::from(std::io::ErrorKind::NotFound))
    }
}
