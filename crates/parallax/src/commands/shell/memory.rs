//! What was typed: for the arrow keys and completion, and on disk only where that is wanted. The names that somebody asks
//! about tell of that person, so the file is off until it is switched on, and then for its owner's eyes alone.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use parallax_core::{ServiceId, plainly};

/// Lines that are kept.
const MOST: usize = 1000;

/// Bytes of the file that are read.
const LARGEST: u64 = 1024 * 1024;

/// The lines of this session and, where they are kept, of those before.
pub(super) struct Memory {
    lines: Vec<String>,
    path: PathBuf,
    is_kept: bool,
}

impl Memory {
    /// Remembers this session alone.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { lines: Vec::new(), path, is_kept: false }
    }

    /// The lines, the oldest first.
    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Where they are kept, or would be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether they are.
    #[cfg(test)]
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Takes up what the file has and keeps on writing to it.
    pub(super) fn keep(&mut self) -> Result<(), String> {
        if self.is_kept {
            return Ok(());
        }
        let session = std::mem::take(&mut self.lines);
        let kept = read(&self.path).and_then(|before| {
            self.lines = before;
            self.lines.extend(session.iter().cloned());
            self.trim();
            rewrite(&self.path, &self.lines)
        });
        match kept {
            Ok(()) => self.is_kept = true,
            Err(_) => self.lines = session,
        }
        kept.map_err(|error| self.sentence(&error))
    }

    /// Writes no more; what was written stays.
    pub(super) fn keep_no_more(&mut self) {
        self.is_kept = false;
    }

    /// Remembers a line; one that begins with a space is to be forgotten, one that comes twice in a row is one.
    pub(super) fn remember(&mut self, line: &str) -> Result<(), String> {
        let text = line.trim_end();
        if text.is_empty()
            || line.starts_with(char::is_whitespace)
            || self.lines.last().is_some_and(|last| last == text)
        {
            return Ok(());
        }
        self.lines.push(text.to_owned());
        self.trim();
        if self.is_kept {
            return append(&self.path, text).map_err(|error| self.sentence(&error));
        }
        Ok(())
    }

    /// Forgets everything, in the file too.
    pub(super) fn clear(&mut self) -> Result<(), String> {
        self.lines.clear();
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.sentence(&error)),
            _ => Ok(()),
        }
    }

    /// The services that were asked about, for completion.
    pub(super) fn hosts(&self) -> BTreeSet<String> {
        let words = self.lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let asked = words.filter_map(|words| match words.as_slice() {
            ["request" | "policy", host, ..] => Some((*host).to_owned()),
            _ => None,
        });
        asked.filter(|host| host.contains(['.', ':']) && host.parse::<ServiceId>().is_ok()).collect()
    }

    fn trim(&mut self) {
        let more = self.lines.len().saturating_sub(MOST);
        self.lines.drain(..more);
    }

    fn sentence(&self, error: &io::Error) -> String {
        format!("{} can't be used to keep what you type: {}", self.path.display(), plainly(error))
    }
}

fn read(path: &Path) -> io::Result<Vec<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Replaced in one step, so that nobody sees half of it, and with nobody else's eyes on it from the first moment on.
fn rewrite(path: &Path, lines: &[String]) -> io::Result<()> {
    let beside = path.with_extension("new");
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
    fs::rename(&beside, path)
}

/// In one write, so that the lines of two shells do not mix.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nothing_is_written_until_it_is_wanted() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("state/parallax/shell-history");
        let mut memory = Memory::new(path.clone());
        memory.remember("request a.example").unwrap();
        assert!(!home.path().join("state").exists());
        memory.keep().unwrap();
        memory.remember("request b.example 20").unwrap();
        memory.remember("request b.example 20").unwrap();
        memory.remember(" request secret.example").unwrap();
        memory.remember("").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "request a.example\nrequest b.example 20\n");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        memory.keep_no_more();
        memory.remember("request c.example").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(memory.lines().len(), 3);

        let mut later = Memory::new(path.clone());
        later.keep().unwrap();
        assert_eq!(later.lines(), ["request a.example", "request b.example 20"]);
        later.clear().unwrap();
        later.clear().unwrap();
        assert!(!path.exists() && later.lines().is_empty());
        later.remember("help").unwrap();
        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap().as_str()), (0o600, "help\n"));
    }

    #[test]
    fn a_file_that_others_could_read_is_closed_and_a_long_one_is_cut() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("shell-history");
        let lines: String = (0..MOST + 5).map(|number| format!("request {number}.example\n")).collect();
        fs::write(&path, format!("{lines}\n\u{1b}[2J\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut memory = Memory::new(path.clone());
        memory.keep().unwrap();
        assert_eq!((memory.lines().len(), mode(&path)), (MOST, 0o600));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), MOST);
        fs::write(&path, b"\xff\xfe\n").unwrap();
        assert!(Memory::new(path).keep().is_ok());
    }

    #[test]
    fn what_can_not_be_kept_is_said_and_the_session_goes_on() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        for path in [home.path().join("file/shell-history"), home.path().to_path_buf()] {
            let mut memory = Memory::new(path.clone());
            memory.remember("help").unwrap();
            let why = memory.keep().unwrap_err();
            assert!(why.starts_with(&format!("{} can't be used to keep", path.display())), "{why}");
            assert_eq!((memory.is_kept(), memory.lines().len()), (false, 1));
        }
    }

    #[test]
    fn hosts_are_what_was_asked_about() {
        let mut memory = Memory::new("/nonexistent".into());
        for line in ["request b.example 20", "request a.example", "request nonsense..", "policy quorum", "help request"]
        {
            memory.remember(line).unwrap();
        }
        assert_eq!(memory.hosts().into_iter().collect::<Vec<_>>(), ["a.example", "b.example"]);
    }
}
