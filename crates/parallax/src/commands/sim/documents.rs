//! The files that a simulation writes: reports, whole or as parts of a document written by hand, and pictures.

use std::fs::Permissions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use parallax_core::plainly;
use parallax_sim::worlds::{Part, Report, fill_in, headline};
use tempfile::{Builder, NamedTempFile};

use crate::args::SimWorldsArgs;
use crate::failure::Failure;
use crate::picture::render_chart;

/// All files, looked at before the work begins.
pub(crate) struct Documents {
    reports: Vec<Document>,
    /// One for each world.
    pictures: Vec<PathBuf>,
    /// The same.
    trade_offs: Vec<PathBuf>,
}

struct Document {
    file: PathBuf,
    /// What stands in it; `None` where there is no such file.
    text: Option<String>,
}

impl Documents {
    pub(crate) fn open(args: &SimWorldsArgs, worlds: &[String]) -> Result<Self, Failure> {
        let reports = args.report.iter().map(|file| Document::open(file)).collect::<Result<Vec<_>, _>>()?;
        let [pictures, trade_offs] = [&args.svg, &args.trade_off].map(|svg| pictures(svg.as_deref(), worlds));
        let files: Vec<&Path> = reports
            .iter()
            .map(|document| document.file.as_path())
            .chain(pictures.iter().chain(&trade_offs).map(PathBuf::as_path))
            .collect();
        for (place, file) in files.iter().enumerate() {
            if files.iter().skip(place + 1).any(|other| other == file) {
                return Err(Failure::usage(format!(
                    "{} would be written twice: name another file, or world",
                    file.display()
                )));
            }
            is_place(file)?;
        }
        Ok(Self { reports, pictures, trade_offs })
    }

    pub(crate) fn write(&self, reports: &[Report]) -> Result<(), Failure> {
        for (file, report) in self.pictures.iter().zip(reports) {
            replace(file, &render_chart(&report.curves()))?;
        }
        for (file, report) in self.trade_offs.iter().zip(reports) {
            report.trade_off().map_or(Ok(()), |chart| replace(file, &render_chart(&chart)))?;
        }
        let parts: Vec<Part> = reports.iter().flat_map(Report::parts).chain([headline(reports)]).collect();
        self.reports.iter().try_for_each(|document| document.write(&parts))
    }
}

impl Document {
    fn open(file: &Path) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                return Err(Failure::not_done(format!("{} can't be read: {}", file.display(), plainly(&error))));
            }
        };
        let document = Self { file: file.into(), text };
        match &document.text {
            Some(text) if !text.contains("<!-- sim worlds: ") => Err(Failure::usage(format!(
                "{} is there already and has no lines <!-- sim worlds: NAME --> to fill in: name a file that is not there",
                file.display()
            ))),
            _ => Ok(document),
        }
    }

    fn write(&self, parts: &[Part]) -> Result<(), Failure> {
        let filled = match &self.text {
            Some(text) => fill_in(text, parts)
                .map_err(|why| Failure::not_done(format!("{} is left as it was: {why}", self.file.display())))?,
            None => whole(parts),
        };
        replace(&self.file, &filled)
    }
}

/// A document of nothing but the generated parts, which another run can fill in anew.
fn whole(parts: &[Part]) -> String {
    let parts: Vec<String> = parts.iter().map(Part::marked).collect();
    format!("# How often the policies are wrong\n\n{}", parts.join("\n"))
}

fn pictures(svg: Option<&Path>, worlds: &[String]) -> Vec<PathBuf> {
    svg.map(|svg| worlds.iter().map(|world| picture(svg, world, worlds.len())).collect()).unwrap_or_default()
}

/// `curves.svg` for one world, `curves-b.svg` for each of several.
fn picture(svg: &Path, world: &str, worlds: usize) -> PathBuf {
    if worlds == 1 {
        return svg.into();
    }
    let harmless = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let stem = svg.file_stem().unwrap_or_default().to_string_lossy();
    let named = format!("{stem}-{}", world.chars().map(harmless).collect::<String>());
    let extension = svg.extension().map(|extension| format!(".{}", extension.to_string_lossy())).unwrap_or_default();
    svg.with_file_name(format!("{named}{extension}"))
}

fn directory(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_place(file: &Path) -> Result<(), Failure> {
    match (directory(file).is_dir(), file.is_dir()) {
        (false, _) => Err(unwritable(file, "there is no such directory")),
        (_, true) => Err(unwritable(file, "it is a directory")),
        _ => beside(file).map(|_| ()),
    }
}

/// The file is replaced in one step.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = beside(file)?;
    beside.write_all(text.as_bytes()).map_err(|error| unwritable(file, error.kind()))?;
    beside.persist(file).map_err(|error| unwritable(file, error.error.kind()))?;
    Ok(())
}

/// A new file in the same directory, as open as the user's other files.
fn beside(file: &Path) -> Result<NamedTempFile, Failure> {
    let made = Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(directory(file));
    // The error itself names the new file, which nobody asked for.
    made.map_err(|error| unwritable(file, error.kind()))
}

fn unwritable(file: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::not_done(format!("{} can't be written to: {why}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_several_worlds_are_told_apart() {
        assert_eq!(picture(Path::new("d/curves.svg"), "b", 1), Path::new("d/curves.svg"));
        assert_eq!(picture(Path::new("d/curves.svg"), "b", 3), Path::new("d/curves-b.svg"));
        assert_eq!(picture(Path::new("curves"), "../my world", 2), Path::new("curves----my-world"));
    }
}
