//! How a command ends when it can't do its work.

use std::fmt;

/// Exit status: done. For `check`: trusted.
pub(crate) const DONE: u8 = 0;

/// Exit status: the verdict is *distrusted*, or another command did not succeed.
pub(crate) const NOT: u8 = 1;

/// Exit status: the command line, the configuration or this machine is at fault.
pub(crate) const USAGE: u8 = 2;

/// Exit status of `check`: the verdict is *undecided*.
pub(crate) const UNDECIDED: u8 = 3;

/// One sentence that says what is wrong and what would be right, and the exit status that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) status: u8,
    sentence: Option<String>,
}

impl Failure {
    /// The command line, the configuration or this machine is at fault.
    pub(crate) fn usage(sentence: impl fmt::Display) -> Self {
        Self { status: USAGE, sentence: Some(sentence.to_string()) }
    }

    /// The command was right and could not be done.
    pub(crate) fn not_done(sentence: impl fmt::Display) -> Self {
        Self { status: NOT, sentence: Some(sentence.to_string()) }
    }

    /// The same where 1 is a verdict: there it is this machine's, or the configuration's, to be put right.
    pub(crate) fn local(self) -> Self {
        Self { status: USAGE, ..self }
    }

    /// Whoever read the output has seen enough: nothing is left to say.
    pub(crate) fn reader_gone() -> Self {
        Self { status: USAGE, sentence: None }
    }

    /// What to tell.
    pub(crate) fn sentence(&self) -> Option<&str> {
        self.sentence.as_deref()
    }
}
