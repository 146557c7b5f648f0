//! What logs of Certificate Transparency say, in a few words.

use parallax_core::{Scts, Timestamp};

use super::when;

/// `3 SCTs of 2 operators, oldest 41 days ago; 1 can't be judged`.
pub(super) fn sentence(scts: &Scts, now: Timestamp) -> String {
    let mut parts = vec![match scts.oldest {
        Some(oldest) => format!(
            "{} of {}, oldest {}",
            counted(scts.valid, "SCT"),
            counted(scts.operators, "operator"),
            when::ago(now.since(oldest))
        ),
        None if scts.unknown == 0 && scts.invalid == 0 => "no SCT came with it".into(),
        None => "no SCT that holds".into(),
    }];
    if scts.unknown > 0 {
        parts.push(format!("{} can't be judged", scts.unknown));
    }
    if scts.invalid > 0 {
        parts.push(format!("{} NOT VALID", scts.invalid));
    }
    parts.join("; ")
}

fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_said() {
        let now = Timestamp::from_unix_secs(1_700_000_000);
        let oldest = now.minus(Duration::from_secs(41 * 86_400));
        let scts = Scts { valid: 3, operators: 2, oldest: Some(oldest), newest: Some(now), unknown: 0, invalid: 0 };
        for (scts, wanted) in [
            (scts.clone(), "3 SCTs of 2 operators, oldest 41 days ago"),
            (
                Scts { valid: 1, operators: 1, oldest: Some(now), unknown: 1, ..scts },
                "1 SCT of 1 operator, oldest now; 1 can't be judged",
            ),
            (Scts::default(), "no SCT came with it"),
            (Scts { unknown: 2, invalid: 1, ..Scts::default() }, "no SCT that holds; 2 can't be judged; 1 NOT VALID"),
        ] {
            assert_eq!(sentence(&scts, now), wanted);
        }
    }
}
