//! Where lines come from: a terminal, with editing and completion, or standard input as it is. Read on a thread of its
//! own, so that a peer looks and a signal is heard while nobody types.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};
use std::sync::mpsc as blocking;

use parallax_core::plainly;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History as _, MemHistory};
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::sync::mpsc;

use super::complete::complete;
use super::memory::Memory;
use crate::failure::Failure;
use crate::lines::{LONGEST_SERVICE, Lines};

/// What the original asked with.
const PROMPT: &str = ">> ";

/// What came of reading a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line.
    Line(String),
    /// One that can't be read, and why.
    Bad(String),
    /// Ctrl-C on a line that was not finished.
    Nothing,
    /// Ctrl-D, or nothing more comes.
    End,
}

/// Reads one line after another.
pub(super) struct Input {
    wanted: blocking::Sender<Known>,
    typed: mpsc::Receiver<Typed>,
    is_asked: bool,
    is_terminal: bool,
    // The thread may sit in the middle of a line when the shell ends; the terminal is then as it was all the same.
    _terminal: Option<Restored>,
}

/// What arrow keys and completion know of.
struct Known {
    lines: Vec<String>,
    hosts: BTreeSet<String>,
}

impl Input {
    /// Standard input; with editing where it and standard output are a terminal.
    pub(super) fn open() -> Result<Self, Failure> {
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let restored = if is_terminal { Restored::take() } else { None };
        let mut source = if is_terminal { Source::terminal()? } else { Source::plain()? };
        let (wanted, asked) = blocking::channel();
        let (sender, typed) = mpsc::channel(1);
        std::thread::spawn(move || {
            while let Ok(known) = asked.recv() {
                if sender.blocking_send(source.read(known)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { wanted, typed, is_asked: false, is_terminal, _terminal: restored })
    }

    /// Whether somebody sits there.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The next line. A call that was given up loses none.
    pub(super) async fn next(&mut self, memory: &Memory) -> Typed {
        if !self.is_asked {
            let known = match self.is_terminal {
                true => Known { lines: memory.lines().to_vec(), hosts: memory.hosts() },
                false => Known { lines: Vec::new(), hosts: BTreeSet::new() },
            };
            if self.wanted.send(known).is_err() {
                return Typed::End;
            }
            self.is_asked = true;
        }
        let typed = self.typed.recv().await.unwrap_or(Typed::End);
        self.is_asked = false;
        typed
    }
}

enum Source {
    Terminal(Box<Editor<Tab, MemHistory>>),
    Plain(Lines),
}

impl Source {
    fn terminal() -> Result<Self, Failure> {
        let unusable = |why: ReadlineError| Failure::usage(format!("the terminal can't be used: {}", words(&why)));
        let config = Config::builder().completion_type(CompletionType::List).build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history).map_err(unusable)?;
        editor.set_helper(Some(Tab::default()));
        Ok(Source::Terminal(Box::new(editor)))
    }

    fn plain() -> Result<Self, Failure> {
        Ok(Source::Plain(Lines::open("-", LONGEST_SERVICE, "")?))
    }

    fn read(&mut self, known: Known) -> Typed {
        match self {
            Source::Terminal(editor) => edited(editor, known),
            Source::Plain(lines) => match lines.next() {
                Some((_, Ok(line))) => Typed::Line(line.trim_end_matches(['\r', '\n']).to_owned()),
                Some((number, Err(why))) => Typed::Bad(format!("line {number}: {why}")),
                None => Typed::End,
            },
        }
    }
}

fn edited(editor: &mut Editor<Tab, MemHistory>, known: Known) -> Typed {
    // Memory rules over what is remembered, so the editor is told anew each time.
    let _ = editor.history_mut().clear();
    for line in &known.lines {
        let _ = editor.history_mut().add(line);
    }
    editor.set_helper(Some(Tab { hosts: known.hosts }));
    match editor.readline(PROMPT) {
        Ok(line) if line.len() as u64 >= LONGEST_SERVICE => {
            Typed::Bad(format!("the line is longer than {LONGEST_SERVICE} bytes"))
        }
        Ok(line) => Typed::Line(line),
        Err(ReadlineError::Interrupted) => Typed::Nothing,
        Err(ReadlineError::Eof) => Typed::End,
        // The next try would fail like this one.
        Err(_) => Typed::End,
    }
}

fn words(why: &ReadlineError) -> String {
    match why {
        ReadlineError::Io(error) => plainly(error),
        other => other.to_string(),
    }
}

/// Answers the tabulator key.
#[derive(Default)]
struct Tab {
    hosts: BTreeSet<String>,
}

impl Completer for Tab {
    type Candidate = String;

    fn complete(&self, line: &str, cursor: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(line, cursor, &self.hosts))
    }
}

impl Hinter for Tab {
    type Hint = String;
}

impl Highlighter for Tab {}
impl Validator for Tab {}
impl Helper for Tab {}

/// Gives the terminal back as it was taken.
struct Restored(Termios);

impl Restored {
    fn take() -> Option<Self> {
        tcgetattr(io::stdin()).ok().map(Self)
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
