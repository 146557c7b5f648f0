//! What is held of one mailbox.
//!
//! A new key that is to take the place of another waits in `next.pem` until it is certified, so the old one works on.

use parallax_client::{
    BadIdentity, IdentityKey, Mailbox, NewKey, OwnIdentity, VantageUrl, certificates_pem, read_certificates,
};
use parallax_core::KeyId;
use serde::{Deserialize, Serialize};

use super::files::{Directory, Locked};
use crate::failure::Failure;

const KEY: &str = "key.pem";
const NEXT: &str = "next.pem";
const CERTIFICATE: &str = "certificate.pem";
const ABOUT: &str = "identity.toml";

const HEADER: &str = "# Written by `parallax id`.\n\n";

/// What key a certificate is to be asked for with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// Of this kind; the kind that is there, else Ed25519.
    pub(crate) kind: Option<NewKey>,
    /// Not the one that is there.
    pub(crate) another: bool,
}

/// What is held of one mailbox.
#[derive(Debug)]
pub(crate) struct Held {
    /// Whose.
    pub(crate) mailbox: Mailbox,
    /// Who certified it, or was asked to.
    pub(crate) janus: VantageUrl,
    /// Its key; missing while its first one is made.
    key: Option<IdentityKey>,
    /// The key that is to take its place.
    next: Option<IdentityKey>,
    /// Key and certificate.
    pub(crate) identity: Option<OwnIdentity>,
}

#[derive(Serialize, Deserialize)]
struct About {
    mailbox: Mailbox,
    janus: String,
}

impl Held {
    pub(super) fn read(directory: &Directory) -> Result<Self, Failure> {
        let About { mailbox, janus } = about(directory)?;
        let named = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", directory.file(ABOUT).display()));
        if !directory.is_of(&mailbox) {
            return Err(named(&format!("it is about {mailbox}, whose directory has another name")));
        }
        let janus: VantageUrl = janus.parse().map_err(|why: parallax_client::BadVantageUrl| named(&why))?;
        if janus.pin().is_none() {
            return Err(named(&format!("{janus} has no pin; it should be https://HOST:PORT#VANTAGE-ID")));
        }
        let (key, next) = (read_key(directory, KEY)?, read_key(directory, NEXT)?);
        let identity = read_identity(directory, [&key, &next])?;
        Ok(Self { mailbox, janus, key, next, identity })
    }

    /// Whether there is a certificate, valid or not any more.
    pub(crate) fn is_certified(&self) -> bool {
        self.identity.is_some()
    }

    /// Its key.
    pub(crate) fn key(&self) -> Option<&IdentityKey> {
        self.key.as_ref()
    }

    pub(super) fn key_of(&self, id: KeyId) -> Option<&IdentityKey> {
        self.key.iter().chain(&self.next).find(|key| key.id() == id)
    }
}

pub(super) fn key_for(
    directory: &Locked<'_>,
    mailbox: &Mailbox,
    janus: &VantageUrl,
    wanted: Wanted,
) -> Result<IdentityKey, Failure> {
    let (key, next) = (read_key(directory, KEY)?, read_key(directory, NEXT)?);
    let fits = |key: &IdentityKey| wanted.kind.is_none_or(|kind| kind == key.kind());
    let place = match (&key, &next) {
        (Some(key), _) if !wanted.another && fits(key) => return settle(directory, mailbox, janus, key),
        // What waits for its certificate can be asked for again.
        (Some(_), Some(next)) if fits(next) => return settle(directory, mailbox, janus, next),
        (Some(_), _) => NEXT,
        (None, _) => KEY,
    };
    let kind = wanted.kind.or(key.as_ref().map(IdentityKey::kind)).unwrap_or_default();
    let new = IdentityKey::generate(kind);
    let new = new.ok_or_else(|| Failure::not_done("this machine gives no random numbers for a new key"))?;
    directory.write(place, new.to_pem().as_bytes())?;
    settle(directory, mailbox, janus, &new)
}

/// Says whose directory it is, unless that is said. Who certified a certificate that is there stays known until another
/// one is kept.
fn settle(
    directory: &Locked<'_>,
    mailbox: &Mailbox,
    janus: &VantageUrl,
    key: &IdentityKey,
) -> Result<IdentityKey, Failure> {
    if !directory.exists() || !directory.file(CERTIFICATE).exists() {
        write_about(directory, mailbox, janus)?;
    }
    Ok(key.clone())
}

pub(super) fn keep(directory: &Locked<'_>, identity: &OwnIdentity, janus: &VantageUrl) -> Result<(), Failure> {
    let id = identity.key().id();
    let is = |key: &Option<IdentityKey>| key.as_ref().is_some_and(|key| key.id() == id);
    let (key, next) = (read_key(directory, KEY)?, read_key(directory, NEXT)?);
    if !is(&key) && !is(&next) {
        let mailbox = identity.mailbox();
        return Err(Failure::not_done(format!("the key of this certificate for {mailbox} is not here any more")));
    }
    // A crash between the two leaves a certificate of another key than the one beside it: that is said, and mended by
    // doing this again.
    directory.write(CERTIFICATE, certificates_pem(identity.chain()).as_bytes())?;
    if !is(&key) {
        directory.rename(NEXT, KEY)?;
    }
    write_about(directory, identity.mailbox(), janus)
}

pub(super) fn forget(directory: &Locked<'_>, id: KeyId) -> Result<(), Failure> {
    if read_key(directory, NEXT)?.is_some_and(|key| key.id() == id) {
        directory.remove(NEXT)?;
    }
    if read_key(directory, KEY)?.is_some_and(|key| key.id() == id) {
        directory.remove(CERTIFICATE)?;
        directory.remove(KEY)?;
    }
    Ok(())
}

fn about(directory: &Directory) -> Result<About, Failure> {
    let file = directory.file(ABOUT);
    let named = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", file.display()));
    let text = directory.read(ABOUT)?.ok_or_else(|| named(&"there is no such file"))?;
    let text = String::from_utf8(text).map_err(|_| named(&"it is not text in UTF-8"))?;
    toml::from_str(&text).map_err(|error| named(&error.message().replace('\n', ", ")))
}

fn write_about(directory: &Locked<'_>, mailbox: &Mailbox, janus: &VantageUrl) -> Result<(), Failure> {
    let about = About { mailbox: mailbox.clone(), janus: janus.to_string() };
    let body = toml::to_string(&about).map_err(Failure::not_done)?;
    directory.write(ABOUT, format!("{HEADER}{body}").as_bytes())
}

fn read_key(directory: &Directory, name: &str) -> Result<Option<IdentityKey>, Failure> {
    let Some(text) = directory.read_secret(name)? else { return Ok(None) };
    let key = IdentityKey::from_pem(&text);
    key.map(Some).map_err(|why| Failure::usage(format!("{}: {why}", directory.file(name).display())))
}

/// The certificate with its key; after a crash in the middle of [`keep`] that is the next one.
fn read_identity(directory: &Directory, keys: [&Option<IdentityKey>; 2]) -> Result<Option<OwnIdentity>, Failure> {
    let Some(text) = directory.read(CERTIFICATE)? else { return Ok(None) };
    let named = |why: BadIdentity| Failure::usage(format!("{}: {why}", directory.file(CERTIFICATE).display()));
    let chain = read_certificates(&text).map_err(named)?;
    let mut found = Ok(None);
    for key in keys.into_iter().flatten() {
        match OwnIdentity::new(key.clone(), chain.clone()) {
            Ok(identity) => return Ok(Some(identity)),
            Err(why) => found = found.and(Err(named(why))),
        }
    }
    found
}
