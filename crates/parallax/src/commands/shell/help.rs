//! What the shell says of its commands.

/// All of them, or one in full.
pub(super) fn text(command: Option<&str>) -> &'static str {
    match command {
        None => ALL,
        Some("request") => REQUEST,
        Some("start") => START,
        Some("stop") => STOP,
        Some("policy") => POLICY,
        Some("set") => SET,
        Some("history") => HISTORY,
        Some("quit") => QUIT,
        Some(_) => HELP,
    }
}

const ALL: &str = "\
request HOST [REPLIES] [THRESHOLD]   look, ask others, decide
start                                be a peer: look for others, too
stop                                 be a peer no longer
policy [HOST]                        show what decides, about a host too
policy NAME                          decide by another rule
set NAME VALUE [for DOMAIN]          set policy, replies, threshold, min-views
history [on|off|clear]               what you typed, and whether it is kept
help [COMMAND]                       say more of a command
quit                                 end, as Ctrl-D does
";

const REQUEST: &str = "\
request HOST [REPLIES] [THRESHOLD]

Looks at the service, asks others what they see there, and decides. HOST is a
host, host:port or URL, as for `parallax check`. REPLIES says how many are
asked, 1 to 1000; THRESHOLD which share of their looks must show the key that
you see, 0 to 1. Without them `policy HOST` shows what goes. Ctrl-C ends it.

  request www.example.com
  request www.example.com 20
  request www.example.com 20 .7
";

const START: &str = "\
start

Attaches this machine as a peer to the hubs that are asked here: it looks at
services when somebody asks there, at public addresses and a few times a minute
only. Each hub sees your network address. `stop` ends it, as does `quit`.
";

const STOP: &str = "\
stop

Detaches this machine from the hubs, where `start` has attached it.
";

const POLICY: &str = "\
policy [HOST]
policy NAME

Shows what decides, about all hosts or about one, and where each value comes
from; or sets the rule: evidence, majority, quorum, unanimous or mpic.

  policy
  policy mail.example.com
  policy quorum
";

const SET: &str = "\
set
set NAME VALUE [for DOMAIN]

Sets policy, replies, threshold or min-views for this session: for all hosts,
or for a domain and all names below it, where the longest domain wins. VALUE
`default` takes it back. `set` alone shows what was set. For good it belongs in
the configuration: [check], or [check.domains.\"example.com\"].

  set replies 20
  set threshold .7 for example.com
  set threshold default for example.com
";

const HISTORY: &str = "\
history
history on
history off
history clear

Shows what you typed. It tells which names you asked about, so it is forgotten
when the shell ends unless you switch it on: for this session here, for good
with shell.history = \"on\" in the configuration. A line that begins with a
space is never remembered. `clear` forgets all, on disk too.
";

const HELP: &str = "\
help [COMMAND]

Shows all commands, or says more of one.
";

const QUIT: &str = "\
quit

Ends the shell, as do `exit` and Ctrl-D.
";

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::commands::shell::words::{COMMANDS, parse};

    #[test]
    fn every_command_is_explained_and_every_example_is_understood() {
        for command in COMMANDS {
            let text = text(Some(command));
            assert!(text.starts_with(command) && ALL.contains(&format!("{command} ")), "{command}: {text}");
            for example in text.lines().filter_map(|line| line.strip_prefix("  ")) {
                assert!(matches!(parse(example), Ok(Some(_))), "{example}");
            }
        }
        for text in COMMANDS.map(|command| text(Some(command))).iter().chain([&ALL]) {
            assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        }
    }
}
