//! What the tabulator key offers.

use std::collections::BTreeSet;

use parallax_core::Policy;

use super::words::{COMMANDS, DEFAULT, KEYS};

/// Where the word under the cursor begins, and what it could become.
pub(super) fn complete(line: &str, cursor: usize, hosts: &BTreeSet<String>) -> (usize, Vec<String>) {
    let before = line.get(..cursor).unwrap_or(line);
    let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let (given, word) = before.split_at_checked(start).unwrap_or(("", before));
    let given: Vec<&str> = given.split_whitespace().collect();
    let mut found: Vec<String> = candidates(&given, hosts).into_iter().filter(|one| one.starts_with(word)).collect();
    found.sort();
    (start, found)
}

fn candidates(given: &[&str], hosts: &BTreeSet<String>) -> Vec<String> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let asked = || hosts.iter().cloned().collect::<Vec<_>>();
    match given {
        [] => owned(&COMMANDS),
        ["request"] => asked(),
        ["policy"] => [owned(&Policy::NAMES), asked()].concat(),
        ["set"] => owned(&KEYS.map(|(name, _)| name)),
        ["set", "policy"] => [owned(&Policy::NAMES), owned(&[DEFAULT])].concat(),
        ["set", _] => owned(&[DEFAULT]),
        ["set", _, _] => owned(&["for"]),
        ["set", _, _, "for"] => asked().into_iter().filter(|host| !host.contains([':', '/'])).collect(),
        ["help"] => owned(&COMMANDS),
        ["history"] => owned(&["on", "off", "clear"]),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed_where_they_stand() {
        let hosts = ["mail.example.com", "www.example.com", "www.example.com:8443"].map(str::to_owned).into();
        let of = |line: &str| {
            let (start, found) = complete(line, line.len(), &hosts);
            format!("{start} {}", found.join(" "))
        };
        for (line, wanted) in [
            ("re", "0 request"),
            ("s", "0 set start stop"),
            ("request w", "8 www.example.com www.example.com:8443"),
            ("request www.example.com 2", "24 "),
            ("policy m", "7 mail.example.com majority mpic"),
            ("set ", "4 min-views policy replies threshold"),
            ("set policy q", "11 quorum"),
            ("set replies 20 f", "15 for"),
            ("set replies 20 for w", "19 www.example.com"),
            ("help hi", "5 history"),
            ("history o", "8 off on"),
            ("nonsense x", "9 "),
            ("é", "0 "),
        ] {
            assert_eq!(of(line), wanted, "{line:?}");
        }
        assert_eq!(complete("request", 3, &hosts), (0, vec!["request".into()]));
        assert_eq!(complete("é", 1, &hosts).1, Vec::<String>::new());
    }
}
