//! `parallax shell`: one request after another.

mod complete;
mod help;
mod input;
mod lending;
mod memory;
mod rules;
mod words;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use parallax_client::{Checker, Report, ReportedPeer};
use parallax_core::{ServiceId, plainly};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{block_on, check};
use crate::args::ShellArgs;
use crate::clock::now;
use crate::failure::{DONE, Failure};
use crate::output::PeerSight;
use crate::settings::{self, Flag, Settings};
use crate::{logs, output, progress};

use input::{Input, Typed};
use lending::Lending;
use memory::Memory;
use rules::Rules;
use words::{Order, Setting};

/// Runs the command.
pub(crate) fn run(args: &ShellArgs, config: Option<&Path>) -> Result<u8, Failure> {
    let names = check::parse_names(&args.vantage)?;
    let (rules, settings) = Rules::load(config, args.flags())?;
    logs::start("error")?;
    block_on(async {
        let check::Ready { builder, hubs, federated } = check::ready(args.trust_first, names, &settings).await?;
        let checker = builder.wait_for_all(true).build();
        let ended = Shell::new(checker.clone(), Lending::new(hubs), rules, settings)?.run().await;
        if let Some(federated) = federated {
            federated.finish(&checker).await;
        }
        checker.close().await;
        ended
    })
}

/// Whether another line is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Line,
    End,
}

struct Shell {
    checker: Checker,
    lending: Lending,
    rules: Rules,
    settings: Settings,
    memory: Memory,
    input: Input,
    signals: Signals,
}

impl Shell {
    fn new(checker: Checker, lending: Lending, rules: Rules, settings: Settings) -> Result<Self, Failure> {
        let mut memory = Memory::new(settings.shell.history_file.clone());
        if settings.shell.history {
            memory.keep().unwrap_or_else(|why| output::say(&why));
        }
        Ok(Self { checker, lending, rules, settings, memory, input: Input::open()?, signals: Signals::listen()? })
    }

    async fn run(mut self) -> Result<u8, Failure> {
        if self.input.is_terminal() {
            output::print("Ask with: request HOST. More: help. To end: quit, or Ctrl-D.\n")?;
        }
        loop {
            let typed = tokio::select! {
                typed = self.input.next(&self.memory) => typed,
                stop = self.signals.next() => return stop.at_rest(),
            };
            match typed {
                Typed::Line(line) => {
                    if self.take(&line).await? == Next::End {
                        return Ok(DONE);
                    }
                }
                Typed::Bad(why) => output::say(&why),
                Typed::Nothing => {}
                Typed::End => return Ok(DONE),
            }
            self.lending.tell_news()?;
        }
    }

    /// A wrong line ends nothing: it is said what would be right.
    async fn take(&mut self, line: &str) -> Result<Next, Failure> {
        if let Err(why) = self.memory.remember(line) {
            self.memory.keep_no_more();
            output::say(&why);
        }
        match words::parse(line) {
            Ok(None) => {}
            Ok(Some(Order::Quit)) => return Ok(Next::End),
            Ok(Some(Order::Request { service, replies, threshold })) => {
                return self.request(&service, asked(replies, threshold)).await;
            }
            Ok(Some(Order::Start)) => return self.start().await,
            Ok(Some(order)) => self.follow(order)?,
            Err(why) => output::say(&why),
        }
        Ok(Next::Line)
    }

    fn follow(&mut self, order: Order) -> Result<(), Failure> {
        match order {
            // These three take their time, and are begun elsewhere.
            Order::Request { .. } | Order::Start | Order::Quit => Ok(()),
            Order::Stop => self.lending.stop(),
            Order::Policy(about) => self.show_policy(about.as_ref()),
            Order::Set(setting) => self.set(setting),
            Order::ShowSet => output::print(&self.set_here()),
            Order::Help(command) => output::print(help::text(command)),
            Order::History => output::print(&self.typed()),
            Order::KeepHistory(on) => self.keep_history(on),
            Order::ClearHistory => self.clear_history(),
        }
    }

    async fn start(&mut self) -> Result<Next, Failure> {
        let stop = tokio::select! {
            started = self.lending.start(&self.settings) => return started.map(|()| Next::Line),
            stop = self.signals.next() => stop,
        };
        // It goes on trying unless it is told not to.
        self.lending.stop()?;
        Ok(stop.in_start())
    }

    async fn request(&mut self, service: &ServiceId, asked: Vec<Flag>) -> Result<Next, Failure> {
        let rule = self.rules.of(&service.host().to_string(), &asked);
        let rule = match rule.and_then(|rule| rule.asks_too_few().map_or(Ok(rule), Err)) {
            Ok(rule) => rule,
            Err(why) => return told(&why).map(|()| Next::Line),
        };
        let checker = check::under(&self.checker, &rule.check);
        let report = tokio::select! {
            report = progress::waiting(format!("asking about {service}"), checker.report(service)) => report,
            stop = self.signals.next() => return Ok(stop.in_request(service)),
        };
        check::warn_of_own_word(&report);
        output::print(&format!("{}\n", output::render_map(&check::shown(&report), &peers(&report), now())))?;
        Ok(Next::Line)
    }

    /// What decides about a host, or about one that has no domain of its own.
    fn show_policy(&self, about: Option<&ServiceId>) -> Result<(), Failure> {
        let host = about.map(|service| service.host().to_string()).unwrap_or_default();
        let rule = match self.rules.of(&host, &[]) {
            Ok(rule) => rule,
            Err(why) => return told(&why),
        };
        let mut text = String::new();
        for (name, value, origin) in rule.shown() {
            let _ = writeln!(text, "{name:<10} {value:<14} {}", output::escape(origin));
        }
        output::print(&text)
    }

    fn set(&mut self, setting: Setting) -> Result<(), Failure> {
        let about = setting.domain.as_ref().and_then(|domain| domain.as_str().parse().ok());
        self.rules.set(setting);
        self.show_policy(about.as_ref())
    }

    fn set_here(&self) -> String {
        let mut text = String::new();
        for (domain, name, value) in self.rules.shown() {
            let domain = domain.map_or_else(String::new, |domain| format!(" for {domain}"));
            let _ = writeln!(text, "set {name} {value}{domain}");
        }
        match text.is_empty() {
            true => "Nothing was set in this session; `policy` shows what decides.\n".into(),
            false => text,
        }
    }

    fn typed(&self) -> String {
        let mut text = String::new();
        for (index, line) in self.memory.lines().iter().enumerate() {
            let _ = writeln!(text, "{:>4}  {}", index + 1, output::escape(line));
        }
        text
    }

    fn keep_history(&mut self, on: bool) -> Result<(), Failure> {
        let text = match on {
            true => match self.memory.keep() {
                Ok(()) => "What you type is kept, for your eyes alone, in",
                Err(why) => return told(&why),
            },
            false => {
                self.memory.keep_no_more();
                if !self.memory.path().exists() {
                    return output::print("Nothing is written, and nothing was.\n");
                }
                "From now on nothing is written. What was stays until `history clear`, in"
            }
        };
        let file = self.memory.path().display().to_string();
        output::print(&output::wrap("", &format!("{text} {}", output::escape(&file))))
    }

    fn clear_history(&mut self) -> Result<(), Failure> {
        match self.memory.clear() {
            Ok(()) => output::print("What was typed is forgotten.\n"),
            Err(why) => told(&why),
        }
    }
}

/// What a request says of the keys that decide.
fn asked(replies: Option<usize>, threshold: Option<String>) -> Vec<Flag> {
    let replies = replies.map(|replies| (&settings::REPLIES, replies.to_string()));
    replies.into_iter().chain(threshold.map(|threshold| (&settings::THRESHOLD, threshold))).collect()
}

/// What peers behind hubs see.
pub(super) fn peers(report: &Report) -> Vec<PeerSight<'_>> {
    let sight = |peer: &'_ ReportedPeer| {
        let judged = report.verdict.judged.iter().find(|judged| judged.vantage == peer.peer);
        let hub = report.hubs.iter().find(|hub| hub.hub == peer.hub);
        (judged.map(|judged| judged.agrees), hub.map(|hub| hub.label.as_str()))
    };
    let seen = report.peers.iter().map(|peer| {
        let (agrees, hub) = sight(peer);
        PeerSight {
            look: &peer.view.content().view().now,
            agrees,
            region: peer.region.as_deref(),
            network: &peer.network,
            hub: hub.unwrap_or("that has gone"),
        }
    });
    seen.collect()
}

/// What can't be done is said, and the shell goes on.
fn told(why: &str) -> Result<(), Failure> {
    output::say(why);
    Ok(())
}

/// Ctrl-C and the order to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Interrupt,
    Terminate,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let unheard = |error: io::Error| Failure::not_done(format!("signals can't be heard: {}", plainly(&error)));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(unheard)?,
            terminate: signal(SignalKind::terminate()).map_err(unheard)?,
        })
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}

impl Stop {
    /// Nothing was under way.
    fn at_rest(self) -> Result<u8, Failure> {
        match self {
            Stop::Terminate => Ok(DONE),
            Stop::Interrupt => Err(Failure::not_done("stopped")),
        }
    }

    /// The same while peers attach.
    fn in_start(self) -> Next {
        match self {
            Stop::Terminate => Next::End,
            Stop::Interrupt => Next::Line,
        }
    }

    /// Ctrl-C ends what is under way, not the shell.
    fn in_request(self, service: &ServiceId) -> Next {
        match self {
            Stop::Terminate => Next::End,
            Stop::Interrupt => {
                output::say(&format!("the request about {service} was ended; nothing came of it"));
                Next::Line
            }
        }
    }
}
