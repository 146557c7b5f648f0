//! Why there is no topology.

use std::fmt;

use super::{MAX_ASES, MAX_SERIAL1_BYTES, MAX_SERIAL1_LINES};

/// Why a topology could not be read or made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TopologyError {
    /// The text is longer than any graph of the Internet.
    #[error("the topology has {0} bytes; {MAX_SERIAL1_BYTES} are the most")]
    TooLong(usize),
    /// So many lines that no graph of the Internet has them.
    #[error("the topology has more than {MAX_SERIAL1_LINES} lines, which are the most")]
    TooManyLines,
    /// A line is wrong; lines are counted from 1.
    #[error("line {line} of the topology: {why}")]
    Line {
        /// The line.
        line: usize,
        /// What is wrong with it.
        why: BadLine,
    },
    /// More ASes than can be numbered here.
    #[error("the topology has {0} ASes; {MAX_ASES} are the most")]
    TooManyAses(usize),
    /// Nothing but comments.
    #[error("the topology has no links; a line is provider|customer|-1 or peer|peer|0")]
    NoLinks,
    /// Each of these buys from the next, and the last from the first.
    #[error("the topology has a circle of providers, which no AS can buy from: {}", Circle(.0))]
    ProviderCycle(Vec<u32>),
    /// A parameter is out of its range.
    #[error("{field} = {value} is no topology: it must be {allowed}")]
    Parameter {
        /// Its name.
        field: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
}

/// What is wrong with one line of a file in the format serial-1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Not three parts.
    #[error("{0} parts between |, where three belong: provider|customer|-1 or peer|peer|0 (serial-1)")]
    Parts(usize),
    /// Not an AS number.
    #[error("\"{0}\" is no AS number, 1 to 4294967295")]
    Number(String),
    /// Neither -1 nor 0.
    #[error("\"{0}\" is no relationship: -1 is provider to customer, 0 is peer to peer")]
    Relationship(String),
    /// An AS linked to itself.
    #[error("AS {0} is linked to itself")]
    Itself(u32),
    /// The same two ASes stand elsewhere in another relationship.
    #[error("AS {0} and AS {1} stand in another relationship on line {2}")]
    Contradiction(u32, u32, usize),
}

struct Circle<'a>(&'a [u32]);

impl Circle<'_> {
    /// A circle may be long; a sentence may not.
    const SHOWN: usize = 8;
}

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for number in self.0.iter().take(Self::SHOWN) {
            write!(f, "AS {number} buys from ")?;
        }
        if let Some(left) = self.0.len().checked_sub(Self::SHOWN + 1) {
            write!(f, "{} more, and the last from ", left + 1)?;
        }
        self.0.first().map_or(Ok(()), |first| write!(f, "AS {first}"))
    }
}
