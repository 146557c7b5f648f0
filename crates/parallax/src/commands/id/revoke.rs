//! `parallax id revoke`: a key counts no more.

use std::path::Path;

use parallax_client::{Deadline, JanusNode, Mailbox};

use super::request;
use crate::args::IdRevokeArgs;
use crate::commands::{block_on, settings};
use crate::failure::{DONE, Failure};
use crate::identities::{Identities, PATIENCE, Wanted};
use crate::output;
use crate::settings::Settings;

/// Runs the command.
pub(super) fn run(args: &IdRevokeArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let settings = settings(config, &args.flags())?;
    match &args.mailbox {
        Some(mailbox) if args.lost => lost(&settings, mailbox),
        mailbox => by_the_key(&settings, mailbox.as_deref()),
    }
}

/// The key itself says so. It is deleted only after the node has heard it.
fn by_the_key(settings: &Settings, mailbox: Option<&str>) -> Result<u8, Failure> {
    let ours = Identities::of(settings);
    let held = ours.certified(mailbox)?;
    let janus = settings.id_janus.as_ref().filter(|named| **named != held.janus);
    if let Some(named) = janus {
        let (mailbox, by) = (&held.mailbox, held.janus.authority());
        let why = format!("{mailbox} was certified by {by}, and only there its key can be revoked");
        return Err(Failure::usage(format!("{why}, not at {}; leave --janus out", named.authority())));
    }
    let Some(identity) = &held.identity else { return Err(Failure::not_done("its key is not here any more")) };
    let (mailbox, key) = (&held.mailbox, identity.key());
    block_on(async {
        let node = JanusNode::new(held.janus.clone(), None).map_err(Failure::not_done)?;
        let revoked = node.revoke(key, Deadline::within(PATIENCE)).await;
        revoked.map_err(|error| Failure::not_done(format!("{}: {error}", held.janus.authority())))
    })?;
    ours.forget(mailbox, key.id())?;
    output::print(&format!("{mailbox}: the key {} is revoked and deleted\n", key.id()))?;
    Ok(DONE)
}

/// A new proof of the mailbox says so.
fn lost(settings: &Settings, mailbox: &str) -> Result<u8, Failure> {
    let mailbox = Mailbox::from_typed(mailbox).map_err(Failure::usage)?;
    let done = request::place(settings, &mailbox, Wanted { kind: None, another: true }, true, false)?;
    output::say("all other keys of the mailbox count no more once this order is confirmed");
    Ok(done)
}
