//! The user's mailbox identities, in the directory `id` beside the configuration: for each mailbox a directory with its key
//! (`key.pem`), its certificate (`certificate.pem`) and what is known of it (`identity.toml`). Whoever else acts under a
//! mailbox takes it from [`Identities::acting`].

mod confirm;
mod entry;
mod files;
mod orders;

use std::path::PathBuf;

use parallax_client::{IdentityKey, Mailbox, OwnIdentity, VantageUrl};
use parallax_core::KeyId;

pub(crate) use self::confirm::{NotChosen, PATIENCE, choose};
pub(crate) use self::entry::{Held, Wanted};
use self::files::Directory;
use crate::clock::now;
use crate::failure::Failure;
use crate::output::minute;
use crate::settings::Settings;

/// An identity that can be used now: key, chain, and the node that certified it.
#[derive(Debug)]
pub(crate) struct Acting {
    /// Key and certificate.
    pub(crate) identity: OwnIdentity,
    /// Who certified it, with its pin.
    pub(crate) janus: VantageUrl,
}

/// All identities of a user.
#[derive(Clone, Debug)]
pub(crate) struct Identities {
    root: PathBuf,
}

impl Identities {
    /// Those beside the configuration.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self::at(settings.identities_directory())
    }

    /// Those in this directory, there or not.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Each mailbox that has a key here, in the order of their names; what can't be used says why.
    pub(crate) fn all(&self) -> Result<Vec<Result<Held, Failure>>, Failure> {
        Ok(Directory::all(&self.root)?.iter().map(Held::read).collect())
    }

    /// What there is of this mailbox.
    pub(crate) fn held(&self, mailbox: &Mailbox) -> Result<Option<Held>, Failure> {
        let directory = Directory::of(&self.root, mailbox);
        if directory.exists() { Held::read(&directory).map(Some) } else { Ok(None) }
    }

    /// The identity to act under: the one of this mailbox, or the only one there is.
    pub(crate) fn acting(&self, mailbox: Option<&str>) -> Result<Acting, Failure> {
        self.certified(mailbox)?.acting()
    }

    /// The one with a certificate: of this mailbox, or the only one.
    pub(crate) fn certified(&self, mailbox: Option<&str>) -> Result<Held, Failure> {
        if let Some(typed) = mailbox {
            let mailbox = Mailbox::from_typed(typed).map_err(Failure::usage)?;
            let held = self.held(&mailbox)?.filter(Held::is_certified);
            return held.ok_or_else(|| {
                Failure::not_done(format!(
                    "there is no certificate for {mailbox} here; `parallax id request {mailbox}` asks for one"
                ))
            });
        }
        let held: Vec<Held> = self.all()?.into_iter().collect::<Result<_, _>>()?;
        let mut certified: Vec<Held> = held.into_iter().filter(Held::is_certified).collect();
        match (certified.pop(), certified.is_empty()) {
            (None, _) => {
                Err(Failure::not_done("there is no certificate for a mailbox here; `parallax id request` asks for one"))
            }
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                let names: Vec<_> = certified.iter().chain([&last]).map(|held| held.mailbox.to_string()).collect();
                Err(Failure::usage(format!("there are certificates for {}; say which", names.join(", "))))
            }
        }
    }

    /// The key that a certificate for this mailbox is to be asked for with: the one that is there, or a new one.
    pub(crate) fn key_for(
        &self,
        mailbox: &Mailbox,
        janus: &VantageUrl,
        wanted: Wanted,
    ) -> Result<IdentityKey, Failure> {
        Directory::of(&self.root, mailbox).locked(|directory| entry::key_for(directory, mailbox, janus, wanted))
    }

    /// The mailbox whose key this is, with the key.
    pub(crate) fn holder_of(&self, key: KeyId) -> Result<Option<(Held, IdentityKey)>, Failure> {
        let held = self.all()?.into_iter().filter_map(Result::ok);
        Ok(held.into_iter().find_map(|held| held.key_of(key).cloned().map(|key| (held, key))))
    }

    /// Keeps a certificate that was judged, beside its key.
    pub(crate) fn keep(&self, identity: &OwnIdentity, janus: &VantageUrl) -> Result<(), Failure> {
        Directory::of(&self.root, identity.mailbox()).locked(|directory| entry::keep(directory, identity, janus))
    }

    /// Forgets a key that was revoked, and its certificate.
    pub(crate) fn forget(&self, mailbox: &Mailbox, key: KeyId) -> Result<(), Failure> {
        Directory::of(&self.root, mailbox).locked(|directory| entry::forget(directory, key))
    }
}

impl Held {
    fn acting(self) -> Result<Acting, Failure> {
        let Held { mailbox, janus, identity, .. } = self;
        let identity =
            identity.ok_or_else(|| Failure::not_done(format!("there is no certificate for {mailbox} here")))?;
        let end = identity.not_after();
        if end <= now() {
            let why = format!("the certificate for {mailbox} ended {}", minute(end));
            return Err(Failure::not_done(format!("{why}; `parallax id request {mailbox}` asks for a new one")));
        }
        Ok(Acting { identity, janus })
    }
}

#[cfg(test)]
mod tests;
