//! What an operating system says, in words for people.

use std::io::{Error, ErrorKind};

/// Why the system did not do something, as the end of a sentence: plain words, without the system's number. Whoever tells
/// it adds what would be right.
pub fn plainly(error: &Error) -> String {
    let words = match error.kind() {
        ErrorKind::NotFound => "there is no such file or directory",
        ErrorKind::PermissionDenied => "this user is not allowed to",
        ErrorKind::AlreadyExists => "it exists already",
        ErrorKind::IsADirectory => "it is a directory",
        ErrorKind::NotADirectory => "a part of its path is no directory",
        ErrorKind::DirectoryNotEmpty => "the directory is not empty",
        ErrorKind::ReadOnlyFilesystem => "its file system is read-only",
        ErrorKind::StorageFull => "the disk is full",
        ErrorKind::QuotaExceeded => "the disk quota is used up",
        ErrorKind::FileTooLarge => "the file would be larger than this system allows",
        // With a cause of its own it is about something else, a certificate say.
        ErrorKind::InvalidData if error.get_ref().is_none() => "it is not text in UTF-8",
        ErrorKind::InvalidFilename => "its name is longer than this system allows",
        ErrorKind::AddrInUse => "another program has that address and port",
        ErrorKind::AddrNotAvailable => "it is not an address of this machine",
        ErrorKind::ConnectionRefused => "the connection was refused",
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => "the connection was cut",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "there is no way to its network",
        ErrorKind::TimedOut => "it took too long",
        ErrorKind::OutOfMemory => "there is not enough memory",
        _ => return without_number(&error.to_string()),
    };
    words.into()
}

/// `Too many open files (os error 24)` without what only a programmer reads.
fn without_number(said: &str) -> String {
    let said = said.split(" (os error").next().unwrap_or_default();
    let mut letters = said.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_left() {
        for number in 1..=133 {
            let said = plainly(&Error::from_raw_os_error(number));
            assert!(!said.is_empty() && !said.contains("os error"), "{number}: {said}");
        }
        assert_eq!(plainly(&Error::from_raw_os_error(24)), "too many open files");
        assert_eq!(plainly(&ErrorKind::NotFound.into()), "there is no such file or directory");
        assert_eq!(plainly(&Error::other("Broken")), "broken");
        assert_eq!(plainly(&Error::new(ErrorKind::InvalidData, "bad certificate")), "bad certificate");
        let no_text = std::io::read_to_string([0xff].as_slice()).unwrap_err();
        assert_eq!(plainly(&no_text), "it is not text in UTF-8");
    }
}
