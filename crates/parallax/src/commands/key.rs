//! `parallax key`: keys of clients, and the key directories of a node.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use parallax_client::{public_key_pem, read_public_key};
use parallax_core::{KeyId, plainly};
use parallax_node::KeyDirectories;
use parallax_proto::channel::OwnKey;
use serde_json::json;

use super::settings;
use crate::args::{
    KeyAllowArgs, KeyArgs, KeyBlockArgs, KeyCommand, KeyNewArgs, KeyShowArgs, KeyUnblockArgs, WhichKeyArgs,
};
use crate::failure::{DONE, Failure, NOT};
use crate::settings::Settings;
use crate::{output, own_keys};

/// Runs the command.
pub(crate) fn run(args: &KeyArgs, config: Option<&Path>) -> Result<u8, Failure> {
    match &args.command {
        KeyCommand::New(args) => new(args, config),
        KeyCommand::Show(args) => show(args, config),
        KeyCommand::Allow(args) => allow(args, config),
        KeyCommand::Block(args) => block(args, config),
        KeyCommand::Unblock(args) => unblock(args, config),
    }
}

fn new(args: &KeyNewArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let file = file_of(args.out.as_deref(), &settings(config, &[])?);
    let key = match own_keys::make(&file)? {
        Some(key) => key,
        None => {
            return Err(Failure::not_done(format!(
                "{} is there already and is not replaced; name another file with --out, or take it away first",
                file.display()
            )));
        }
    };
    output::print(&format!("{}\n", key.id()))?;
    output::say(&format!("written to {}; whoever has the file has the key", file.display()));
    Ok(DONE)
}

fn show(args: &KeyShowArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let key = own_keys::read(&file_of(args.file.as_deref(), &settings(config, &[])?))?;
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
    let not = "was not blocked by you; `parallax key unblock` lifts what it earned itself";
    let words = if args.remove { ("no longer blocked", not) } else { ("blocked", "") };
    change(&directories.blocked(), id, args.remove, words)
}

/// The operator's block is taken away here, one that the key earned by the node, which takes notice of the file.
fn unblock(args: &KeyUnblockArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let (id, directories) = which(&args.which, config)?;
    let file = directories.unblocked().join(id.to_string());
    enter(&directories.unblocked(), &file).map_err(|why| own_keys::unwritten(&file, &why))?;
    let own = directories.blocked().join(id.to_string());
    match fs::remove_file(&own) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(own_keys::unwritten(&own, &why)),
        _ => {}
    }
    output::print(&format!("nothing blocks {id} any more\n"))?;
    Ok(DONE)
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
            output::say(&format!("{id} {not} ({})", directory.display()));
            Ok(NOT)
        }
        Err(why) => Err(own_keys::unwritten(&file, &why)),
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
    let text = own_keys::bytes(file).map_err(|why| {
        Failure::usage(format!(
            "{} is no key id (64 lower-case hex digits), and no file: {}",
            output::escape(&args.key),
            plainly(&why)
        ))
    })?;
    let key = read_public_key(&text).map_err(|why| Failure::usage(format!("{}: {why}", file.display())))?;
    Ok((key.id(), directories))
}

/// The user's own key: of this file, or of the one beside the configuration.
pub(super) fn own_key(given: Option<&Path>, settings: &Settings) -> Result<OwnKey, Failure> {
    own_keys::read(&file_of(given, settings))
}

fn file_of(given: Option<&Path>, settings: &Settings) -> PathBuf {
    given.map_or_else(|| settings.file.with_file_name("key.pem"), Path::to_owned)
}
