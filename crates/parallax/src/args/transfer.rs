//! `export` and `import`.

use clap::{Args, ValueHint};

use super::DataArgs;
use crate::settings::Flag;

const AFTER_EXPORT: &str = "\
Works beside a running node. Each service is a line of its own, as it stood when
its line was written.

Exit status:
  0  all was written    1  not all could be    2  wrong use

Examples:
  parallax export --data /var/lib/parallax services.jsonl
  parallax export | jq -r .service";

/// Flags of `export`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_EXPORT)]
pub(crate) struct ExportArgs {
    /// The file to write, replaced in one step; - is standard output
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true, value_hint = ValueHint::FilePath)]
    pub(crate) file: String,

    #[command(flatten)]
    data: DataArgs,
}

const AFTER_IMPORT: &str = "\
Reads what `export` wrote, and the rows of old notaries (Perspectives):
  ('example.com:443,2', 'FINGERPRINT', 1376665224, 1382022034)
with commas, tabs, blanks or | in between, brackets and quotes or none. Such
rows know a certificate by its MD5 alone: they are kept and exported, and count
for no verdict. Works beside a running node; importing twice changes nothing.

Exit status:
  0  every line was taken over    1  some were not    2  wrong use

Examples:
  parallax import --data /var/lib/parallax services.jsonl
  sqlite3 notary.sqlite 'select * from observations' | parallax import";

/// Flags of `import`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_IMPORT)]
pub(crate) struct ImportArgs {
    /// The file to read; - is standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true, value_hint = ValueHint::FilePath)]
    pub(crate) file: String,

    #[command(flatten)]
    data: DataArgs,
}

impl ExportArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        self.data.flags()
    }
}

impl ImportArgs {
    /// What it says of keys.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        self.data.flags()
    }
}
