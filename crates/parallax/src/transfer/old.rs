//! Rows of an old notary, as its tools and its database print them: service, fingerprint, first and last second.
//!
//! `('example.com:443,2', 'aa:bb:…', 1376665224, 1382022034)`, and the same with commas, tabs, blanks or `|` in between.

use parallax_core::{Md5Fingerprint, Timestamp};
use parallax_store::OldSpan;

use super::Entry;

/// What stands between the four.
const BETWEEN: [char; 4] = [',', '\t', ' ', '|'];

/// Reads one row.
pub(super) fn read(line: &str) -> Result<Entry, String> {
    let (service, fingerprint, start, end) = split(line).ok_or(
        "it is neither a line of an export nor a row of an old notary, such as example.com:443,2 FINGERPRINT START END",
    )?;
    let service = service.parse().map_err(|error: parallax_core::BadService| error.to_string())?;
    let old = OldSpan {
        leaf_md5: parse_fingerprint(fingerprint)?,
        first_seen: parse_second(start)?,
        last_seen: parse_second(end)?,
    };
    Ok(Entry { service, history: Vec::new(), authority: Vec::new(), turns: Vec::new(), old: vec![old] })
}

/// From the end, because the service holds a comma of its own.
fn split(line: &str) -> Option<(&str, &str, &str, &str)> {
    let row = line.strip_prefix('[').filter(|row| row.starts_with('(')).unwrap_or(line);
    let row = row.strip_prefix('(').map_or(row, |row| row.trim_end_matches([',', ']', ')', ' ']));
    let (row, end) = take_last(row)?;
    let (row, start) = take_last(row)?;
    let (row, fingerprint) = take_last(row)?;
    Some((bare(row), fingerprint, start, end))
}

fn take_last(row: &str) -> Option<(&str, &str)> {
    let (rest, last) = row.trim_end_matches(BETWEEN).rsplit_once(BETWEEN)?;
    Some((rest, bare(last)))
}

/// Without quotes, and without what Python 2 writes before a text.
fn bare(text: &str) -> &str {
    let text = text.trim_matches(BETWEEN);
    text.strip_prefix('u').filter(|text| text.starts_with(['\'', '"'])).unwrap_or(text).trim_matches(['\'', '"'])
}

fn parse_fingerprint(text: &str) -> Result<Md5Fingerprint, String> {
    let shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    let bad = || format!("\"{shown}\" is not an MD5 fingerprint; write 16 bytes in hex with colons, such as 0f:a1:…");
    let bytes = text.split(':').filter(|pair| pair.len() == 2).count();
    if bytes != 16 || text.len() != 47 {
        return Err(bad());
    }
    text.replace(':', "").to_ascii_lowercase().parse().map_err(|_| bad())
}

/// Seconds since 1970; Python 2 writes an `L` behind long ones.
fn parse_second(text: &str) -> Result<Timestamp, String> {
    let digits = text.strip_suffix('L').unwrap_or(text);
    let seconds = digits.parse::<u32>().map(|seconds| Timestamp::from_unix_secs(seconds.into()));
    let shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    seconds.map_err(|_| format!("\"{shown}\" is not a time in seconds since 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINT: &str = "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:FF";

    #[test]
    fn every_way_in_which_rows_are_printed() {
        for (before, after) in [("('", "'"), ("(u'", "'"), ("[('", "'"), ("", ""), ("\"", "\"")] {
            for between in [",", ", ", "\t", " ", "|"] {
                let quote = if after.is_empty() { "" } else { "'" };
                let close = if before.contains('(') { "),\r" } else { "" };
                let row = format!(
                    "{before}github.com:443,2{after}{between}{quote}{PRINT}{quote}{between}1376665224{between}1382022034{close}"
                );
                let entry = read(row.trim()).unwrap_or_else(|error| panic!("{row}: {error}"));
                assert_eq!(entry.service.to_string(), "tls://github.com:443");
                assert_eq!(entry.old[0].leaf_md5.to_string(), "000102030405060708090a0b0c0d0eff");
                let (first, last) = (entry.old[0].first_seen.unix_secs(), entry.old[0].last_seen.unix_secs());
                assert_eq!((first, last), (1_376_665_224, 1_382_022_034), "{row}");
            }
        }
        let long = read(&format!("('[2001:db8::1]:443,2', '{PRINT}', 1376665224L, 1382022034L)")).unwrap();
        assert_eq!(long.service.to_string(), "tls://[2001:db8::1]:443");
        assert!(read(&format!("[2001:db8::1]:443,2\t{PRINT}\t1\t2")).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let row = |service: &str, print: &str, start: &str| format!("{service} {print} {start} 9");
        for (text, part) in [
            ("example.com:443,2".to_owned(), "neither"),
            ("a b c".into(), "neither"),
            (row("example.com:443,2", "00:01", "1"), "is not an MD5 fingerprint"),
            (row("example.com:443,2", &PRINT.replace("FF", "GG"), "1"), "is not an MD5 fingerprint"),
            (row("example.com:443,2", &PRINT.replace("FF", "é"), "1"), "is not an MD5 fingerprint"),
            (row("example.com:443,2", &PRINT.replace(':', "-"), "1"), "is not an MD5 fingerprint"),
            (row("example.com:443,2", PRINT, "-1"), "seconds since 1970"),
            (row("example.com:443,2", PRINT, "4294967296"), "seconds since 1970"),
            (row("example.com:443,7", PRINT, "1"), "service type"),
            (row("exa_mple..com:443,2", PRINT, "1"), "empty label"),
        ] {
            let error = read(&text).expect_err(&text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
