//! Lines of a file or of standard input, numbered and bounded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};

use parallax_core::{BadService, ServiceId, plainly};
use tokio::sync::mpsc;

use crate::failure::Failure;

/// Bytes of a line that names a service; a longer one names none.
pub(crate) const LONGEST_SERVICE: u64 = 4096;

/// Lines that are read ahead of the work.
const AHEAD: usize = 4096;

/// Numbered lines, each one's text or why it can't be read.
pub(crate) struct Lines {
    input: Box<dyn BufRead + Send>,
    name: String,
    longest: u64,
    number: usize,
    ended: bool,
}

impl Lines {
    /// The lines of a file, or of standard input where `-` is named; of at most `longest` bytes each. `wanted` says what
    /// would be right where nothing can be read.
    pub(crate) fn open(name: &str, longest: u64, wanted: &str) -> Result<Self, Failure> {
        if name == "-" {
            return Ok(Self::of(BufReader::new(io::stdin()), "standard input", longest));
        }
        let unreadable = |why: io::Error| {
            Failure::usage(format!("{name} can't be read: {}; {wanted}, or - for standard input", plainly(&why)))
        };
        let file = File::open(name).map_err(unreadable)?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self::of(BufReader::new(file), name, longest))
    }

    fn of(input: impl BufRead + Send + 'static, name: &str, longest: u64) -> Self {
        Self { input: Box::new(input), name: name.into(), longest, number: 0, ended: false }
    }

    fn read(&mut self) -> Option<Result<String, String>> {
        let mut line = Vec::new();
        match self.input.by_ref().take(self.longest).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => {
                // It would fail like this for ever.
                self.ended = true;
                return Some(Err(format!("{} can't be read on: {}", self.name, plainly(&error))));
            }
        }
        if line.len() as u64 == self.longest && line.last() != Some(&b'\n') {
            self.skip();
            return Some(Err(format!("the line is longer than {} bytes", self.longest)));
        }
        Some(String::from_utf8(line).map_err(|_| "the line is not text in UTF-8".into()))
    }

    fn skip(&mut self) {
        while let Ok(chunk) = self.input.fill_buf() {
            let (length, end) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (chunk.len(), chunk.is_empty()),
            };
            self.input.consume(length);
            if end {
                break;
            }
        }
    }
}

impl Iterator for Lines {
    type Item = (usize, Result<String, String>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let text = self.read()?;
        self.number += 1;
        Some((self.number, text))
    }
}

/// A line that should name a service.
pub(crate) struct ServiceLine {
    /// From 1.
    pub(crate) number: usize,
    /// The service, or why there is none.
    pub(crate) service: Result<ServiceId, String>,
}

/// Reads services on a thread of its own, so that a terminal or a slow pipe holds up no work. Empty lines and comments are
/// passed over; `count` hears of every other.
pub(crate) fn services(lines: Lines, count: impl Fn() + Send + 'static) -> mpsc::Receiver<ServiceLine> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        for (number, text) in lines {
            let Some(service) = service(text) else { continue };
            count();
            // Nobody listens any more when the command ended.
            if sender.blocking_send(ServiceLine { number, service }).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The service of a line; `None` for empty lines and comments.
fn service(line: Result<String, String>) -> Option<Result<ServiceId, String>> {
    match line {
        Ok(text) => match text.trim() {
            "" => None,
            text if text.starts_with('#') => None,
            text => Some(text.parse().map_err(|error: BadService| error.to_string())),
        },
        Err(why) => Some(Err(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &'static [u8]) -> Vec<(usize, Result<String, String>)> {
        Lines::of(BufReader::with_capacity(64, input), "a test", 4096).collect()
    }

    #[test]
    fn lines_are_numbered_and_bounded() {
        let long = [b"a\n".as_slice(), &[b'x'; 3 * 4096], b"\nb\n\xff\nlast"].concat().leak();
        let read = lines(long);
        assert_eq!(read.len(), 5, "{read:?}");
        assert_eq!(read[0], (1, Ok("a\n".into())));
        assert!(read[1].1.as_ref().unwrap_err().contains("4096"));
        assert_eq!(read[2], (3, Ok("b\n".into())));
        assert!(read[3].1.as_ref().unwrap_err().contains("UTF-8"));
        assert_eq!(read[4], (5, Ok("last".into())));
        assert_eq!(lines(&[b'x'; 4096]).len(), 1);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn what_can_not_be_read_ends() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let read: Vec<_> = Lines::of(BufReader::new(Broken), "a test", 4096).collect();
        assert_eq!(read, [(1, Err("a test can't be read on: broken".into()))]);
    }

    #[test]
    fn comments_and_empty_lines_are_no_services() {
        for text in ["", "  \t", "# example.com", "  # x"] {
            assert!(service(Ok(text.into())).is_none(), "{text}");
        }
        assert_eq!(service(Ok(" example.com\r\n".into())).unwrap().unwrap().to_string(), "tls://example.com:443");
        assert_eq!(service(Ok("a.example:25,2".into())).unwrap().unwrap().to_string(), "tls://a.example:25");
        assert!(service(Ok("example.com:0".into())).unwrap().is_err());
    }
}
