//! `parallax key`: keys of clients, and the key directories of a node.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use parallax_client::{new_key_file, public_key_pem, read_key_file, read_public_key};
use parallax_core::{KeyId, plainly};
use parallax_node::KeyDirectories;
use parallax_proto::channel::OwnKey;
use serde_json::json;

use super::settings;
use crate::args::{KeyAllowArgs, KeyArgs, KeyBlockArgs, KeyCommand, KeyNewArgs, KeyShowArgs, WhichKeyArgs};
use crate::failure::{DONE, Failure, NOT};
use crate::output;
use crate::settings::Settings;

/// The largest file that is read for a key: four certificates and an RSA key take 12 KiB.
const LARGEST: u64 = 64 * 1024;

/// Runs the command.
pub(crate) fn run(args: &KeyArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match &args.command {
        KeyCommand::New(args) => new(args, config),
        KeyCommand::Show(args) => show(args, config),
        KeyCommand::Allow(args) => allow(args, config),
        KeyCommand::Block(args) => block(args, config),
    }
}

fn new(args: &KeyNewArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let file = file_of(args.out.as_deref(), &settings(config, &[])?);
    let text = new_key_file().ok_or_else(|| Failure::not_done("this machine gives no random numbers"))?;
    let key = read_key_file(text.as_bytes()).map_err(Failure::not_done)?;
    if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|why| unwritten(&file, &why))?;
    }
    let written = || {
        let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()
    };
    written().map_err(|why| match why.kind() {
        io::ErrorKind::AlreadyExists => Failure::not_done(format!(
            "{} is there already and is not replaced; name another file with --out, or take it away first",
            file.display()
        )),
        _ => unwritten(&file, &why),
    })?;
    output::print(&format!("{}\n", key.id()))?;
    output::say(&format!("written to {}; whoever has the file has the key", file.display()));
    Ok(DONE)
}

fn unwritten(file: &Path, why: &io::Error) -> Failure {
    Failure::not_done(format!("{} can't be written: {}", file.display(), plainly(why)))
}

fn show(args: &KeyShowArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let key = read(&file_of(args.file.as_deref(), &settings(config, &[])?))?;
    let shown = key.shown();
    let pem = public_key_pem(shown.public());
    if args.json {
        output::print_json(&json!({
            "id": key.id(), "type": shown.kind().as_str(), "public_key": pem, "certificates": shown.chain().len(),
        }))?;
    } else {
        output::print(&format!("id    {}\ntype  {}\n{pem}", key.id(), shown.kind().as_str()))?;
    }
    Ok(DONE)
}

fn allow(args: &KeyAllowArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let (id, directories) = which(&args.which, config)?;
    let words = if args.remove { ("no longer allowed", "was not allowed") } else { ("allowed", "") };
    change(&directories.allowed(), id, args.remove, words)
}

fn block(args: &KeyBlockArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let (id, directories) = which(&args.which, config)?;
    let words = if args.remove { ("no longer blocked", "was not blocked") } else { ("blocked", "") };
    change(&directories.blocked(), id, args.remove, words)
}

fn change(directory: &Path, id: KeyId, remove: bool, (done, not): (&str, &str)) -> Result<u8, Failure> {
    let file = directory.join(id.to_string());
    let changed = if remove { fs::remove_file(&file) } else { enter(directory, &file) };
    match changed {
        Ok(()) => {
            output::print(&format!("{id} is {done}\n"))?;
            Ok(DONE)
        }
        Err(why) if remove && why.kind() == io::ErrorKind::NotFound => {
            output::say(&format!("{id} {not}; {} holds those that are", directory.display()));
            Ok(NOT)
        }
        Err(why) => Err(unwritten(&file, &why)),
    }
}

fn enter(directory: &Path, file: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file)?;
    opened.sync_all()?;
    fs::File::open(directory)?.sync_all()
}

fn which(args: &WhichKeyArgs, config: Option<&Path>) -> Result<(KeyId, KeyDirectories), Failure> {
    let settings = settings(config, &args.flags())?;
    let directories = KeyDirectories::of(&settings.serve.data);
    if let Ok(id) = args.key.parse() {
        return Ok((id, directories));
    }
    let file = Path::new(&args.key);
    let text = bytes(file).map_err(|why| {
        Failure::usage(format!(
            "{} is no key id (64 lower-case hex digits), and no file: {why}",
            output::escape(&args.key)
        ))
    })?;
    let key = read_public_key(&text).map_err(|why| Failure::usage(format!("{}: {why}", file.display())))?;
    Ok((key.id(), directories))
}

/// The user's own key: of this file, or of the one beside the configuration.
pub(super) fn own_key(given: Option<&Path>, settings: &Settings) -> Result<OwnKey, Failure> {
    read(&file_of(given, settings))
}

fn file_of(given: Option<&Path>, settings: &Settings) -> PathBuf {
    given.map_or_else(|| settings.file.with_file_name("key.pem"), Path::to_owned)
}

fn read(file: &Path) -> Result<OwnKey, Failure> {
    let named = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", file.display()));
    let text = match bytes(file) {
        Ok(text) => text,
        Err(why) => return Err(named(&format!("{why}; `parallax key new` makes one"))),
    };
    let mode = fs::metadata(file).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        return Err(named(&format!("others may read it (mode {mode:03o}); a key file has mode 600")));
    }
    read_key_file(&text).map_err(|why| named(&why))
}

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    let said = |why: io::Error| plainly(&why);
    let size = fs::metadata(file).map_err(said)?.len();
    if size > LARGEST {
        return Err("it is larger than 64 KiB".into());
    }
    fs::read(file).map_err(said)
}
