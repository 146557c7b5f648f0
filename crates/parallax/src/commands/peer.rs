//! `parallax peer`: look for others, through a hub.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parallax_client::{Lie, PeerEye, PeerLoop, PeerNews, PeerSettings, VantageName};
use parallax_core::{VantageId, plainly};
use parallax_probe::{ProbeSettings, Prober, TargetPolicy};
use parallax_proto::channel::OwnKey;
use parallax_proto::is_region;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::serve::Stops;
use super::{block_on, looking, settings};
use crate::args::PeerArgs;
use crate::failure::{DONE, Failure};
use crate::settings::Settings;
use crate::{logs, output, own_keys};

/// Peers that connect at the same moment.
const CONNECTING_AT_ONCE: usize = 16;

/// Runs the command.
pub(crate) fn run(args: &PeerArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let url = match args.hub.parse().map_err(Failure::usage)? {
        VantageName::Node(url) | VantageName::Hub(url) => url,
        VantageName::Notary { .. } => return Err(Failure::usage("--hub: old notaries have no peers")),
    };
    // No trust on first sight: whoever runs the hub has this machine look.
    let no_pin = || Failure::usage(format!("{url} has no pin; add #VANTAGE-ID (the hub prints its id when it starts)"));
    let hub = url.pin().ok_or_else(no_pin)?;
    if let Some(region) = args.region.as_deref().filter(|region| !is_region(region)) {
        let why = "is not 1 to 32 lower-case letters, digits and hyphens";
        return Err(Failure::usage(format!("--region: {region:?} {why}")));
    }
    let settings = settings(config, &args.flags())?;
    logs::start("error")?;
    let prober = prober(args, &settings)?;
    let door = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
    let mut peers = Vec::new();
    for key in keys(args, &settings)? {
        let eye = PeerEye::new(key, prober.clone(), peer_settings(args));
        let peer = PeerLoop::new(url.clone(), eye).map_err(Failure::usage)?.through(Arc::clone(&door));
        peers.push(peer.looking_from(settings.look.source));
    }
    if settings.id_mailbox.is_some() {
        let settings = Arc::new(settings);
        let renewed = |peer: PeerLoop| {
            let settings = Arc::clone(&settings);
            peer.renewed_by(move || own_keys::for_hubs(&settings).ok())
        };
        peers = peers.into_iter().map(renewed).collect();
    }
    block_on(serve(peers, hub, args.verbose))
}

/// In somebody's name there is one peer: a mailbox is one identity.
fn keys(args: &PeerArgs, settings: &Settings) -> Result<Vec<OwnKey>, Failure> {
    let Some(mailbox) = &settings.id_mailbox else {
        return key_files(args, settings).iter().map(|file| own_keys::read_or_make(file)).collect();
    };
    if args.count > 1 || args.keys.is_some() {
        let why = format!("{mailbox} is one peer with one key; leave --count and --keys out, or use --no-id");
        return Err(Failure::usage(why));
    }
    own_keys::for_hubs(settings).map(|key| vec![key])
}

/// A peer looks where strangers say, so it looks as a node does.
fn prober(args: &PeerArgs, settings: &Settings) -> Result<Prober, Failure> {
    let targets = if args.allow_private { TargetPolicy::any() } else { TargetPolicy::public() };
    let probe = ProbeSettings { targets, ..looking::probe_settings(&settings.look)? };
    Prober::new(probe).map_err(Failure::usage)
}

fn peer_settings(args: &PeerArgs) -> PeerSettings {
    let lie = args.lying.as_ref().map(|text| match text.as_str() {
        "random" => Lie::Random,
        text => Lie::Text(text.to_owned()),
    });
    PeerSettings { region: args.region.clone(), looks_per_minute: args.looks_per_minute, lie }
}

/// One honest peer has the user's own key: its view never answers the user's own questions.
fn key_files(args: &PeerArgs, settings: &Settings) -> Vec<PathBuf> {
    let directory = match (&args.keys, &args.lying, args.count) {
        (Some(directory), ..) => directory.clone(),
        (None, None, 1) => return vec![settings.key_file()],
        (None, None, _) => settings.file.with_file_name("peers"),
        (None, Some(_), _) => settings.file.with_file_name("lying-peers"),
    };
    (1..=args.count).map(|number| directory.join(format!("{number}.pem"))).collect()
}

async fn serve(peers: Vec<PeerLoop>, hub: VantageId, verbose: bool) -> Result<u8, Failure> {
    let unheard = |error: std::io::Error| Failure::not_done(format!("signals can't be heard: {}", plainly(&error)));
    let mut stops = Stops::listen().map_err(unheard)?;
    let (count, mut attached, mut announced) = (peers.len(), vec![false; peers.len()], false);
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for (number, peer) in peers.into_iter().enumerate() {
        let tell = Arc::new(tell.clone());
        tasks.spawn(peer.run(move |news| drop(tell.send((number, news)))));
    }
    loop {
        let (number, news) = tokio::select! {
            () = stops.next() => return Ok(DONE),
            news = told.recv() => match news {
                Some(news) => news,
                None => return Ok(DONE),
            },
        };
        match news {
            PeerNews::Attached => set(&mut attached, number, true),
            PeerNews::Detached { why, pause } => {
                set(&mut attached, number, false);
                output::say(&format!(
                    "peer {}: {}; it tries again in {} s",
                    number + 1,
                    output::escape(&why.to_string()),
                    pause.as_secs().max(1)
                ));
            }
            PeerNews::Looked(service) if verbose => {
                output::print(&format!("peer {} looked at {service}\n", number + 1))?
            }
            PeerNews::Looked(_) => {}
        }
        if !announced && attached.iter().all(|attached| *attached) {
            announced = true;
            output::print(&format!("ready peers={count} hub={hub}\n"))?;
        }
    }
}

fn set(attached: &mut [bool], number: usize, is: bool) {
    attached.get_mut(number).into_iter().for_each(|place| *place = is);
}
