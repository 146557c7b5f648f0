//! `parallax id`: a mailbox as identity.

mod confirm;
mod request;
mod revoke;
mod show;

use std::path::Path;

use parallax_client::{Deadline, JanusError, JanusNode, OwnIdentity, VantageUrl};
use serde_json::{Value, json};

use super::{block_on, settings};
use crate::args::{IdArgs, IdCommand, IdImportArgs, IdRenewArgs};
use crate::failure::{DONE, Failure};
use crate::identities::{Identities, PATIENCE};
use crate::output::{self, minute};

/// The largest file that is read for a certificate.
const LARGEST: u64 = 64 * 1024;

/// Runs the command.
pub(crate) fn run(args: &IdArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match &args.command {
        IdCommand::Request(args) => request::run(args, config),
        IdCommand::Confirm(args) => confirm::run(args, config),
        IdCommand::Import(args) => import(args, config),
        IdCommand::Show(args) => show::run(args, config),
        IdCommand::Renew(args) => renew(args, config),
        IdCommand::Revoke(args) => revoke::run(args, config),
    }
}

fn import(args: &IdImportArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let ours = Identities::of(&settings(config, &[])?);
    let pem = super::read_input(&args.file, LARGEST)?;
    let identity = block_on(ours.import(&pem))?;
    certified(&identity)
}

fn renew(args: &IdRenewArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let ours = Identities::of(&settings(config, &[])?);
    let acting = ours.acting(args.mailbox.as_deref())?;
    let identity = block_on(async {
        let janus = JanusNode::new(acting.janus.clone(), Some(&acting.identity)).map_err(Failure::not_done)?;
        let renewed = janus.renew(&acting.identity, Deadline::within(PATIENCE)).await;
        renewed.map_err(|error| not_renewed(&acting.janus, &acting.identity, &error))
    })?;
    ours.keep(&identity, &acting.janus)?;
    certified(&identity)
}

fn not_renewed(janus: &VantageUrl, identity: &OwnIdentity, error: &JanusError) -> Failure {
    let (node, mailbox) = (janus.authority(), identity.mailbox());
    match error {
        JanusError::Missing(_) => Failure::not_done(format!("{node}: {error}")),
        error => {
            Failure::not_done(format!("{node}: {error}; `parallax id request {mailbox}` asks for a new one by mail"))
        }
    }
}

fn certified(identity: &OwnIdentity) -> Result<u8, Failure> {
    let (mailbox, until) = (identity.mailbox(), minute(identity.not_after()));
    output::print(&format!("{mailbox} is certified until {until}\n"))?;
    Ok(DONE)
}

fn as_json(identity: &OwnIdentity) -> Value {
    json!({
        "mailbox": identity.mailbox().as_str(), "key": identity.key().id(), "not_after": identity.not_after(),
    })
}
