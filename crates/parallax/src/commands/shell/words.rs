//! What is typed, as an order. Every wrong line is one sentence that says what would be right.

use parallax_core::{DnsName, ServiceId};

use crate::settings::{self, Key};

/// The commands, in the order of the help.
pub(super) const COMMANDS: [&str; 8] = ["request", "start", "stop", "policy", "set", "help", "history", "quit"];

/// What can be set, by the words of this shell.
pub(super) const KEYS: [(&str, &Key); 4] = [
    ("policy", &settings::POLICY),
    ("replies", &settings::REPLIES),
    ("threshold", &settings::THRESHOLD),
    ("min-views", &settings::MIN_VIEWS),
];

/// The value that takes back what was set.
pub(super) const DEFAULT: &str = "default";

const REQUEST: &str = "write: request HOST [REPLIES] [THRESHOLD], such as: request example.com 20 0.7";
const SET: &str = "write: set NAME VALUE [for DOMAIN], such as: set replies 20 for example.com";
const HISTORY: &str = "write: history, history on, history off or history clear";

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// Ask about a service, from so many replies, with such a share.
    Request { service: ServiceId, replies: Option<usize>, threshold: Option<String> },
    /// Be a peer of the hubs.
    Start,
    /// No longer.
    Stop,
    /// Show what decides: about all, or about a host.
    Policy(Option<ServiceId>),
    /// Change what decides, for this session.
    Set(Setting),
    /// Show what was set in this session.
    ShowSet,
    /// Explain all commands, or one.
    Help(Option<&'static str>),
    /// Show what was typed.
    History,
    /// Keep it on disk from now on, or no longer.
    KeepHistory(bool),
    /// Forget it, on disk too.
    ClearHistory,
    /// End.
    Quit,
}

/// A value for this session; `None` takes it back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) key: &'static Key,
    pub(super) value: Option<String>,
    pub(super) domain: Option<DnsName>,
}

/// Reads a line. `None` for one with nothing to do: empty, or a comment.
pub(super) fn parse(line: &str) -> Result<Option<Order>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((command, rest)) = words.split_first().filter(|(first, _)| !first.starts_with('#')) else {
        return Ok(None);
    };
    let order = match *command {
        "request" => request(rest)?,
        "start" => alone("start", rest, Order::Start)?,
        "stop" => alone("stop", rest, Order::Stop)?,
        "policy" => policy(rest)?,
        "set" => set(rest)?,
        "help" | "?" => help(rest)?,
        "history" => history(rest)?,
        "quit" | "exit" => alone(command, rest, Order::Quit)?,
        other => return Err(unknown(other)),
    };
    Ok(Some(order))
}

fn unknown(word: &str) -> String {
    let word = short(word);
    match word.contains(['.', ':']) && word.parse::<ServiceId>().is_ok() {
        true => format!("{word:?} is no command; to ask about it write: request {word}"),
        false => format!("{word:?} is no command; there are {}", listed(&COMMANDS)),
    }
}

fn request(words: &[&str]) -> Result<Order, String> {
    let (host, replies, threshold) = match words {
        [] => return Err(format!("no host was named; {REQUEST}")),
        [host] => (host, None, None),
        [host, replies] => (host, Some(replies), None),
        [host, replies, threshold] => (host, Some(replies), Some(threshold)),
        [_, _, _, extra, ..] => return Err(format!("{:?} is one word too many; {REQUEST}", short(extra))),
    };
    Ok(Order::Request {
        service: host.parse().map_err(|error: parallax_core::BadService| error.to_string())?,
        replies: replies.map(|text| self::replies(text)).transpose()?,
        threshold: threshold.map(|text| value(&settings::THRESHOLD, text)).transpose()?,
    })
}

fn replies(text: &str) -> Result<usize, String> {
    let number: Option<usize> = value(&settings::REPLIES, text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| match text.contains('.') && value(&settings::THRESHOLD, text).is_ok() {
        true => format!("{text:?} is no number of replies; the threshold comes after it, as in: 5 {text}"),
        false => format!("{:?} is no number of replies; write 1 to 1000, such as: 20", short(text)),
    })
}

/// A value in its one spelling.
fn value(key: &'static Key, text: &str) -> Result<String, String> {
    settings::canonical(key, text).map_err(|why| match key.path == settings::POLICY.path {
        true => why,
        false => format!("{:?} will not do: {why}", short(text)),
    })
}

fn policy(words: &[&str]) -> Result<Order, String> {
    match words {
        [] => Ok(Order::Policy(None)),
        [word] => match value(&settings::POLICY, word) {
            Ok(name) => Ok(Order::Set(Setting { key: &settings::POLICY, value: Some(name), domain: None })),
            Err(_) if word.contains(['.', ':']) => {
                Ok(Order::Policy(Some(word.parse().map_err(|error: parallax_core::BadService| error.to_string())?)))
            }
            Err(why) => Err(format!("{why}; to see what decides about a host write: policy example.com")),
        },
        [_, extra, ..] => Err(format!("{:?} is one word too many; write: policy [NAME or HOST]", short(extra))),
    }
}

fn set(words: &[&str]) -> Result<Order, String> {
    let (name, text, domain) = match words {
        [] => return Ok(Order::ShowSet),
        [name, text] => (*name, *text, None),
        [name, text, "for", domain] => (*name, *text, Some(domain)),
        _ => return Err(format!("a name and a value are wanted; {SET}")),
    };
    let Some((_, key)) = KEYS.iter().find(|(known, _)| *known == name) else {
        let names = KEYS.map(|(name, _)| name);
        return Err(format!("{:?} can't be set; there are {}", short(name), listed(&names)));
    };
    let value = if text == DEFAULT { None } else { Some(value(key, text)?) };
    let domain = domain.map(|domain| domain.parse().map_err(|error: parallax_core::BadDnsName| error.to_string()));
    Ok(Order::Set(Setting { key, value, domain: domain.transpose()? }))
}

fn help(words: &[&str]) -> Result<Order, String> {
    match words {
        [] => Ok(Order::Help(None)),
        [word] => match COMMANDS.iter().find(|command| *command == word) {
            Some(command) => Ok(Order::Help(Some(command))),
            None => Err(unknown(word)),
        },
        [_, extra, ..] => Err(format!("{:?} is one word too many; write: help [COMMAND]", short(extra))),
    }
}

fn history(words: &[&str]) -> Result<Order, String> {
    match words {
        [] => Ok(Order::History),
        ["on"] => Ok(Order::KeepHistory(true)),
        ["off"] => Ok(Order::KeepHistory(false)),
        ["clear"] => Ok(Order::ClearHistory),
        [other, ..] => Err(format!("{:?} is nothing that can be done with it; {HISTORY}", short(other))),
    }
}

fn alone(command: &str, rest: &[&str], order: Order) -> Result<Order, String> {
    match rest.first() {
        None => Ok(order),
        Some(word) => Err(format!("{command} takes no more words, but there is {:?}", short(word))),
    }
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// Enough of a word for a sentence.
fn short(word: &str) -> String {
    let mut short: String = word.chars().take(60).collect();
    if word.chars().nth(60).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(line: &str) -> Order {
        parse(line).unwrap_or_else(|why| panic!("{line}: {why}")).unwrap()
    }

    #[test]
    fn requests() {
        let service: ServiceId = "www.example.com".parse().unwrap();
        for (line, replies, threshold) in [
            ("request www.example.com", None, None),
            ("  request   WWW.example.com.\t", None, None),
            ("request https://www.example.com/path 20", Some(20), None),
            ("request www.example.com 20 .7", Some(20), Some("0.7")),
            ("request www.example.com:443 1 1", Some(1), Some("1.0")),
            ("request www.example.com 1000 0", Some(1000), Some("0.0")),
        ] {
            let threshold = threshold.map(str::to_owned);
            assert_eq!(order(line), Order::Request { service: service.clone(), replies, threshold }, "{line}");
        }
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(parse("   \t").unwrap(), None);
        assert_eq!(parse("# request example.com").unwrap(), None);
    }

    #[test]
    fn the_other_orders() {
        let host: ServiceId = "example.com".parse().unwrap();
        let set = |key, value: Option<&str>, domain: Option<&str>| {
            let domain = domain.map(|domain| domain.parse().unwrap());
            Order::Set(Setting { key, value: value.map(str::to_owned), domain })
        };
        for (line, wanted) in [
            ("start", Order::Start),
            ("stop", Order::Stop),
            ("policy", Order::Policy(None)),
            ("policy example.com", Order::Policy(Some(host))),
            ("policy quorum", set(&settings::POLICY, Some("quorum"), None)),
            ("set", Order::ShowSet),
            ("set policy mpic", set(&settings::POLICY, Some("mpic"), None)),
            ("set replies 20 for Example.com.", set(&settings::REPLIES, Some("20"), Some("example.com"))),
            ("set threshold .7", set(&settings::THRESHOLD, Some("0.7"), None)),
            ("set min-views 1", set(&settings::MIN_VIEWS, Some("1"), None)),
            ("set threshold default for example.com", set(&settings::THRESHOLD, None, Some("example.com"))),
            ("help", Order::Help(None)),
            ("? set", Order::Help(Some("set"))),
            ("history", Order::History),
            ("history on", Order::KeepHistory(true)),
            ("history off", Order::KeepHistory(false)),
            ("history clear", Order::ClearHistory),
            ("quit", Order::Quit),
            ("exit", Order::Quit),
        ] {
            assert_eq!(order(line), wanted, "{line}");
        }
    }

    #[test]
    fn a_wrong_line_says_what_would_be_right() {
        let long = format!("request {}", "a".repeat(5000));
        for (line, part) in [
            ("request", "no host was named; write: request HOST"),
            ("request example.com ten", "\"ten\" is no number of replies; write 1 to 1000, such as: 20"),
            ("request example.com 0", "\"0\" is no number of replies"),
            ("request example.com -1", "\"-1\" is no number of replies"),
            ("request example.com 1001", "\"1001\" is no number of replies"),
            ("request example.com 99999999999999999999999", "is no number of replies"),
            ("request example.com .7", "the threshold comes after it, as in: 5 .7"),
            ("request example.com 20 1.5", "\"1.5\" will not do: the value must be a share between 0 and 1"),
            ("request example.com 20 -0.1", "a share between 0 and 1"),
            ("request example.com 20 NaN", "a share between 0 and 1"),
            ("request example.com 20 70%", "a share between 0 and 1"),
            ("request example.com 20 .7 now", "\"now\" is one word too many; write: request HOST"),
            ("request example.com:0", "is not a port"),
            ("request a..b", "empty label"),
            ("request gopher://example.com", "is not a scheme"),
            ("request user@example.com", "no user name"),
            (&long, "DNS names have at most 253"),
            ("reqest example.com", "\"reqest\" is no command; there are request, start,"),
            ("www.example.com", "to ask about it write: request www.example.com"),
            ("start now", "start takes no more words, but there is \"now\""),
            ("quit please", "quit takes no more words"),
            ("policy most", "\"most\" is not a policy; there are evidence, majority"),
            ("policy a b", "one word too many"),
            ("set replies", "a name and a value are wanted; write: set NAME VALUE"),
            ("set replies 20 in example.com", "a name and a value are wanted"),
            ("set timeout 5s", "\"timeout\" can't be set; there are policy, replies, threshold and min-views"),
            ("set replies many", "\"many\" will not do: the value must be 1 to 1000"),
            ("set policy most", "\"most\" is not a policy"),
            ("set replies 20 for 192.0.2.7", "is an address; write a DNS name"),
            ("help me", "\"me\" is no command"),
            ("history of", "write: history, history on, history off or history clear"),
        ] {
            let why = parse(line).expect_err(line);
            assert!(why.contains(part), "{line}: {why}");
            assert!(!why.contains('\n') && why.chars().count() < 300, "{why}");
        }
    }
}
