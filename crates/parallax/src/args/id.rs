//! `id` and `agent`: mailbox identities.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::flags;
use crate::settings::{self, Flag};

const AFTER_ID: &str = "\
A node of the role janus certifies that a key speaks for a mailbox: it sends a
mail, and what stands in it proves that you read it. Keys and certificates are
in the directory id beside the configuration.

Example:
  parallax id request ann@example.com --janus https://192.0.2.7:8443#27f0…
  parallax id confirm
  parallax id show";

/// What is below `id`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_ID)]
pub(crate) struct IdArgs {
    #[command(subcommand)]
    pub(crate) command: IdCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdCommand {
    /// Ask for a certificate for your mailbox
    Request(IdRequestArgs),
    /// Answer an order with the code, or the link, of its mail
    Confirm(IdConfirmArgs),
    /// Take a certificate from a file, such as a mail's attachment
    Import(IdImportArgs),
    /// Show your certificates, and the orders that wait
    Show(IdShowArgs),
    /// Get a new certificate for the same key and mailbox
    Renew(IdRenewArgs),
    /// Have a key count no more
    Revoke(IdRevokeArgs),
}

const AFTER_REQUEST: &str = "\
A mail goes to the address. It shows the same phrase as this command; only then
is it about your order. Open its link while `parallax agent` runs, or type its
code into `parallax id confirm`. An order can be answered for one hour.

Examples:
  parallax id request ann@example.com --janus https://192.0.2.7:8443#27f0…
  parallax id request ann@example.com --key-type p256";

/// Flags of `id request`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_REQUEST)]
pub(crate) struct IdRequestArgs {
    /// Your address
    #[arg(value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    pub(crate) mailbox: String,

    #[command(flatten)]
    janus: JanusArgs,

    /// The kind of key: ed25519, p256 or rsa [default: as before, at first ed25519]
    #[arg(long, value_name = "KIND")]
    pub(crate) key_type: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who certifies.
#[derive(Debug, Args)]
pub(crate) struct JanusArgs {
    /// The node that certifies, https://HOST:PORT#ID [default: id.janus of the configuration, else as before]
    #[arg(long, value_name = "URL")]
    janus: Option<String>,
}

const AFTER_CONFIRM: &str = "\
The certificate is checked before it is kept. A wrong code counts: five of them
end the order.

Examples:
  parallax id confirm ABCD2345
  parallax id confirm --order lusab-babad
  parallax id confirm 'http://localhost:15342/AddCert#…'";

/// Flags of `id confirm`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_CONFIRM)]
pub(crate) struct IdConfirmArgs {
    /// The code or the link of the mail [default: it is asked for]
    #[arg(value_name = "CODE")]
    pub(crate) proof: Option<String>,

    /// Answer the order with this phrase [default: the newest]
    #[arg(long, value_name = "PHRASE")]
    pub(crate) order: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const AFTER_IMPORT: &str = "\
A certificate is taken for a key of yours alone, and only after the node that
issued it has been asked whether it holds.

Example:
  parallax id import parallax-certificate.pem";

/// Flags of `id import`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_IMPORT)]
pub(crate) struct IdImportArgs {
    /// The certificate, in PEM; - is standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

/// Flags of `id show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  parallax id show --json")]
pub(crate) struct IdShowArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const AFTER_RENEW: &str = "\
The certificate that is there shows who asks, so no mail is sent. It works while
that certificate is valid, and for 90 days after the mailbox was last proved.

Example:
  parallax id renew ann@example.com";

/// Flags of `id renew`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_RENEW)]
pub(crate) struct IdRenewArgs {
    /// Which mailbox's [default: the only one]
    #[arg(value_name = "EMAIL", value_hint = ValueHint::EmailAddress)]
    pub(crate) mailbox: Option<String>,
}

const AFTER_REVOKE: &str = "\
The key says of itself that it counts no more, and is deleted here. Where the
key is lost or stolen, --lost asks for a certificate of a new key by mail; once
that is confirmed, all other keys of the mailbox count no more.

Examples:
  parallax id revoke ann@example.com
  parallax id revoke --lost ann@example.com --janus https://192.0.2.7:8443#27f0…";

/// Flags of `id revoke`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_REVOKE)]
pub(crate) struct IdRevokeArgs {
    /// Which mailbox's [default: the only one]
    #[arg(value_name = "EMAIL", value_hint = ValueHint::EmailAddress, required_if_eq("lost", "true"))]
    pub(crate) mailbox: Option<String>,

    /// The key is not here any more, or others have it: end all keys but a new one
    #[arg(long)]
    pub(crate) lost: bool,

    #[command(flatten)]
    janus: JanusArgs,
}

const AFTER_AGENT: &str = "\
Shows the page that the link in janus' mail opens: a button answers the order,
and certificates can be uploaded. It listens on this machine alone, believes no
page but its own, and takes nothing that is not about a key of yours. When it is
ready it prints one line on standard output:
  ready http=ADDR

Examples:
  parallax agent
  parallax agent --listen 127.0.0.1:0";

/// Flags of `agent`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_AGENT)]
pub(crate) struct AgentArgs {
    /// Listen here, on loopback; the link in mails goes to port 15342
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:15342")]
    pub(crate) listen: String,
}

impl JanusArgs {
    fn flags(&self) -> Vec<Flag> {
        flags([(&settings::ID_JANUS, &self.janus)])
    }
}

impl IdRequestArgs {
    /// What it says of keys of the configuration.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        self.janus.flags()
    }
}

impl IdRevokeArgs {
    /// What it says of keys of the configuration.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        self.janus.flags()
    }
}
