//! The federation in a command that checks: whom it draws from, and what is left to do once the verdict is printed.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use parallax_client::{Checker, Federation};

use crate::clock::now;
use crate::failure::Failure;
use crate::mirrors::{self, MirrorsError};
use crate::settings::Settings;

/// How long a command waits at its end, the verdict printed, until the mirrors are told.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The mirrors that this user knows.
pub(super) struct Federated {
    federation: Federation,
    file: PathBuf,
    /// The configuration that a refresh in the background reads, where it is a file that is there.
    config: Option<PathBuf>,
    is_due: bool,
}

impl Federated {
    /// What `mirrors.json` holds; `None` where there is no such file.
    pub(super) fn load(settings: &Settings) -> Result<Option<Self>, Failure> {
        let file = settings.mirrors_file();
        let Some(known) = mirrors::read(&file).map_err(Failure::usage)? else { return Ok(None) };
        let every = settings.federation.refresh;
        Ok(Some(Self {
            federation: Federation::new(&known).with_reports(settings.federation.reports),
            file,
            config: settings.file_found.then(|| settings.file.clone()),
            is_due: every.is_some_and(|every| known.is_due(every, now())),
        }))
    }

    /// To be asked.
    pub(super) fn federation(&self) -> Federation {
        self.federation.clone()
    }

    /// After the verdict: waits a little until mirrors are told, keeps what was learnt of them, and has the list refreshed
    /// in a process of its own where that is due. Nothing of it changes how the command ends.
    pub(super) async fn finish(&self, checker: &Checker) {
        checker.settle(LAST_WAIT).await;
        let noted = self.federation.take_noted();
        let kept = mirrors::change::<_, MirrorsError>(&self.file, |known| {
            Ok((known.and_then(|mut known| known.note(&noted, now()).then_some(known)), ()))
        });
        if let Err(why) = kept {
            tracing::warn!(%why, "what was learnt of mirrors is not kept");
        }
        if self.is_due
            && let Err(why) = self.refresh()
        {
            tracing::warn!(%why, "the list of mirrors can't be refreshed");
        }
    }

    /// Nobody waits for it: it goes on when this command has ended.
    fn refresh(&self) -> std::io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["mirror", "refresh", "--if-due"]);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().map(drop)
    }
}
