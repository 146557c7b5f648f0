//! `parallax demo --keep`: what to try by hand while the network stands.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parallax_client::VantageUrl;
use parallax_core::plainly;
use parallax_lab::{Stage, Staged};
use tempfile::TempDir;

use super::Played;
use crate::clock::now;
use crate::failure::Failure;
use crate::kept::Kept as _;
use crate::vantages::{Entry, Vantages};

/// The network of a user whom nobody attacks.
const QUIET_NETWORK: u8 = 26;

/// Commands to try, and the files that they name, which live as long as this.
pub(super) struct Hints {
    /// What to print.
    pub(super) text: String,
    _directory: TempDir,
}

impl Hints {
    /// Writes the files that the commands need.
    pub(super) fn write(stage: &Stage, played: &[Played]) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::not_done(format!("there is no place for files to try by hand: {}", plainly(&error)))
        };
        let directory = tempfile::Builder::new().prefix("parallax-demo-").tempdir().map_err(failed)?;
        let roots = directory.path().join("roots.pem");
        fs::write(&roots, stage.lab().roots_pem()).map_err(failed)?;
        let mut configurations = Configurations { stage, roots, written: BTreeMap::new() };
        for one in played {
            configurations.add(&one.staged, directory.path())?;
        }
        let text = Text { stage, configurations: &configurations, program: program() }.of(played);
        Ok(Self { text, _directory: directory })
    }
}

/// One configuration for each list of vantage points that somebody asks.
struct Configurations<'a> {
    stage: &'a Stage,
    roots: PathBuf,
    written: BTreeMap<Vec<VantageUrl>, PathBuf>,
}

impl Configurations<'_> {
    fn add(&mut self, staged: &Staged, directory: &Path) -> Result<(), Failure> {
        let vantages = staged.vantages().to_vec();
        if self.written.contains_key(&vantages) {
            return Ok(());
        }
        let usual = self.stage.nodes().iter().map(|node| node.url()).eq(&vantages);
        let directory = if usual { directory.to_owned() } else { directory.join(staged.scene().name) };
        let file = directory.join("config.toml");
        let failed =
            |error: io::Error| Failure::not_done(format!("{} can't be written: {}", file.display(), plainly(&error)));
        fs::create_dir_all(&directory).map_err(failed)?;
        fs::write(&file, self.content(staged)).map_err(failed)?;
        let entries = vantages.iter().filter_map(|url| self.entry(url)).collect();
        let list = |list: &mut Vantages| {
            list.entries = entries;
            Ok(())
        };
        Vantages::change(&directory.join("vantages.toml"), list).map_err(Failure::not_done)?;
        self.written.insert(vantages, file);
        Ok(())
    }

    fn content(&self, staged: &Staged) -> String {
        let text = |text: String| toml::Value::String(text);
        format!(
            "[look]\nresolver = {}\nsource = {}\nroots = {}\n",
            text(self.stage.lab().dns().address().to_string()),
            text(staged.source().to_string()),
            text(self.roots.display().to_string()),
        )
    }

    fn entry(&self, url: &VantageUrl) -> Option<Entry> {
        let node = self.stage.nodes().iter().find(|node| Some(node.vantage()) == url.pin())?;
        Some(Entry::new(url, &node.descriptor(), now()))
    }

    fn file(&self, staged: &Staged) -> Option<&Path> {
        self.written.get(staged.vantages()).map(PathBuf::as_path)
    }
}

struct Text<'a> {
    stage: &'a Stage,
    configurations: &'a Configurations<'a>,
    program: String,
}

impl Text<'_> {
    fn of(&self, played: &[Played]) -> String {
        let mut text = String::from("\nThe network stands until Ctrl-C. Try in another shell, for each scene:\n\n");
        for one in played {
            self.check(&mut text, &one.staged);
        }
        let named = |name| played.iter().find(|one| one.staged.scene().name == name);
        if let Some(one) = named("attacker-near-me").or_else(|| named("honest-site")) {
            self.elsewhere(&mut text, one);
        }
        if let Some(one) = played.first() {
            self.in_full(&mut text, &one.staged);
        }
        text
    }

    /// The scene's own check.
    fn check(&self, text: &mut String, staged: &Staged) {
        let Some(config) = self.configurations.file(staged) else { return };
        let (scene, service) = (staged.scene(), host_and_port(staged));
        let _ = writeln!(text, "  # {} ({})", scene.decision, scene.rule);
        let _ = writeln!(text, "  {} check --config {} \\\n    {service}", self.program, quoted_path(config));
    }

    /// One service as others see it, and in other ways.
    fn elsewhere(&self, text: &mut String, played: &Played) {
        let staged = &played.staged;
        let Some(config) = self.configurations.file(staged) else { return };
        let (program, service, port) = (&self.program, host_and_port(staged), staged.service().port());
        let (config, roots) = (quoted_path(config), quoted_path(&self.configurations.roots));
        let quiet = self.stage.lab().address(QUIET_NETWORK, 1);
        let _ = writeln!(text, "\n{service} from {quiet}, which nobody attacks; one look from yours:\n");
        let _ = writeln!(text, "  {program} check --config {config} \\\n    --source {quiet} {service}");
        let _ = writeln!(text, "  {program} observe --config {config} \\\n    {service}");
        text.push_str("\nThe page, as a browser there gets it; what a node says:\n\n");
        let address = played.report.evidence.local().now.address;
        if let (Some(host), Some(address)) = (staged.service().host().name(), address) {
            let resolve = format!("--resolve {host}:{port}:{}", address.ip());
            let _ = writeln!(
                text,
                "  curl --cacert {roots} \\\n    --interface {quiet} {resolve} \\\n    https://{service}/"
            );
        }
        if let Some(http) = self.stage.nodes().first().and_then(|node| node.http()) {
            let _ = writeln!(text, "  curl 'http://{http}/v1/view?service={service}'");
        }
    }

    /// Without a configuration file.
    fn in_full(&self, text: &mut String, staged: &Staged) {
        text.push_str("\nWithout a configuration file:\n\n");
        let _ = writeln!(text, "  {} check \\", self.program);
        for url in staged.vantages() {
            let _ = writeln!(text, "    --vantage {} \\", quoted(&url.to_string()));
        }
        let roots = quoted_path(&self.configurations.roots);
        let _ = writeln!(
            text,
            "    --resolver {} --source {} \\\n    --roots {roots} \\\n    {}",
            self.stage.lab().dns().address(),
            staged.source(),
            host_and_port(staged)
        );
    }
}

fn host_and_port(staged: &Staged) -> String {
    format!("{}:{}", staged.service().host(), staged.service().port())
}

/// How this program is called from where it was called.
fn program() -> String {
    let Ok(program) = std::env::current_exe() else { return "parallax".into() };
    let here = std::env::current_dir().ok();
    let path = here.and_then(|here| program.strip_prefix(here).ok()).unwrap_or(&program);
    quoted_path(path)
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@%+=,".contains(&byte);
    if word.bytes().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        for (word, wanted) in [
            ("target/release/parallax", "target/release/parallax"),
            ("/home/a b/parallax", "'/home/a b/parallax'"),
            ("it's", r"'it'\''s'"),
            ("https://127.0.0.1:1#ab", "'https://127.0.0.1:1#ab'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(quoted(word), wanted);
        }
    }
}
