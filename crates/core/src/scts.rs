//! What the logs of Certificate Transparency say of a certificate.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The signed certificate timestamps (SCTs, RFC 6962 section 3.2) that came with a certificate, judged by the logs that
/// the vantage point knows. All zero: the certificate came without any.
///
/// An SCT that holds says that a log saw this very certificate at that moment and will publish it. Nobody makes one
/// without the log; but whoever has a certificate may have it logged, so this tells of age and publicity, never of right.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scts {
    /// Known logs of which an SCT holds, each counted once.
    pub valid: u32,
    /// Organisations that run those logs.
    pub operators: u32,
    /// The earliest timestamp that holds; `None` when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// The latest timestamp that holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// SCTs that can't be judged: of a log that is not known, of another version than v1, or of a certificate whose
    /// issuer's key is not known.
    pub unknown: u32,
    /// SCTs that don't hold: a signature that is not the log's, a moment yet to come or after the log's retirement. A list
    /// that can't be read counts as one.
    pub invalid: u32,
}

impl Scts {
    /// One more timestamp that holds.
    pub fn hold(&mut self, at: Timestamp) {
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
    }

    /// Whether a look can have left it so until this moment.
    pub fn is_coherent(&self, until: Timestamp) -> bool {
        match (self.oldest, self.newest) {
            (None, None) => self.valid == 0 && self.operators == 0,
            (Some(oldest), Some(newest)) => {
                (1..=self.valid).contains(&self.operators) && oldest <= newest && newest <= until
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(secs: i64) -> Timestamp {
        Timestamp::from_unix_secs(secs)
    }

    fn scts(valid: u32, operators: u32, times: &[i64]) -> Scts {
        let mut scts = Scts { valid, operators, ..Scts::default() };
        times.iter().for_each(|at| scts.hold(moment(*at)));
        scts
    }

    #[test]
    fn counts_and_moments_fit_together_or_not() {
        for (scts, wanted) in [
            (scts(0, 0, &[]), true),
            (scts(3, 2, &[30, 10, 20]), true),
            (scts(1, 1, &[100]), true),
            (scts(1, 1, &[]), false),
            (scts(0, 0, &[10]), false),
            (scts(1, 2, &[10]), false),
            (scts(1, 0, &[10]), false),
            (scts(1, 1, &[101]), false),
            (Scts { newest: None, ..scts(1, 1, &[10]) }, false),
            (Scts { oldest: Some(moment(11)), ..scts(1, 1, &[10]) }, false),
        ] {
            assert_eq!(scts.is_coherent(moment(100)), wanted, "{scts:?}");
        }
    }

    #[test]
    fn moments_are_written_only_where_something_holds() {
        assert_eq!(
            serde_json::to_string(&scts(0, 0, &[])).unwrap(),
            r#"{"valid":0,"operators":0,"unknown":0,"invalid":0}"#
        );
        let some = scts(2, 1, &[20, 10]);
        let json = serde_json::to_string(&some).unwrap();
        assert!(json.contains(r#""oldest":"1970-01-01T00:00:10.000Z","newest":"1970-01-01T00:00:20.000Z""#), "{json}");
        assert_eq!(serde_json::from_str::<Scts>(&json).unwrap(), some);
    }
}
