//! A maildir: mails as files, for trying janus out without a mail server.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use parallax_core::plainly;
use parallax_janus::Token;
use parallax_probe::SystemRandom;

use super::NotSent;
use super::pack::Mail;
use crate::identity::make_private_dir;

/// A folder that mails are put into.
pub(super) struct Maildir {
    folder: PathBuf,
}

impl Maildir {
    /// Makes the folder and its three parts where they are not there.
    pub(super) fn open(folder: PathBuf) -> Result<Self, String> {
        for part in ["tmp", "new", "cur"] {
            make_private_dir(&folder.join(part)).map_err(|error| error.to_string())?;
        }
        Ok(Self { folder })
    }

    /// Whether it is there.
    pub(super) fn check(&self) -> Result<(), String> {
        let new = self.folder.join("new");
        match fs::metadata(&new) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{} is not there: {}", new.display(), plainly(&error))),
        }
    }

    /// Puts a mail there: whole, or not at all.
    pub(super) async fn put(&self, mail: &Mail) -> Result<(), NotSent> {
        let name = format!("{}.parallax", Token::draw(&mut SystemRandom::default()));
        let (tmp, new) = (self.folder.join("tmp").join(&name), self.folder.join("new").join(&name));
        // On disk lines end as text files' do.
        let text = String::from_utf8_lossy(&mail.bytes).replace("\r\n", "\n");
        let written = tokio::task::spawn_blocking(move || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&tmp)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&tmp, &new)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(NotSent::Server(format!("{}: {}", self.folder.display(), plainly(&error)))),
            Err(_) => Err(NotSent::Server("the runtime ended".into())),
        }
    }
}
