//! Lengths of time for people.

use std::time::Duration;

use parallax_core::Timestamp;

/// A moment to the minute, UTC, in 17 columns: `2026-11-23 05:12Z`.
pub(crate) fn minute(at: Timestamp) -> String {
    at.to_string().chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).chain(['Z']).collect()
}

/// A day, UTC, in ten columns: `2026-11-23`.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// A length of time in at most nine columns: `12 days`. The exact moment is in the JSON.
pub(crate) fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0 => return "now".into(),
        1..120 => return format!("{seconds} s"),
        120..7_200 => return format!("{} min", seconds / 60),
        7_200..172_800 => return format!("{} h", seconds / 3_600),
        _ => (seconds / 86_400, "days"),
    };
    if count <= 9_999 { format!("{count} {unit}") } else { ">9999 d".into() }
}

/// How long ago something was: `12 days ago`, or `now`.
pub(crate) fn ago(duration: Duration) -> String {
    match length(duration).as_str() {
        "now" => "now".into(),
        length => format!("{length} ago"),
    }
}

/// How long something took: `0.31 s`.
pub(crate) fn took(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_cut() {
        let at = "2026-11-23T05:12:59.999Z".parse().unwrap();
        assert_eq!((minute(at), day(at)), ("2026-11-23 05:12Z".into(), "2026-11-23".into()));
    }

    #[test]
    fn the_largest_unit_of_which_there_are_two() {
        for (seconds, wanted) in [
            (0, "now"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
            (400 * 86_400, "400 days"),
            (u64::MAX, ">9999 d"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), wanted);
            assert!(wanted.len() <= 9);
        }
    }
}
