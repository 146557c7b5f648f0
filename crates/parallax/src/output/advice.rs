//! What to do next, for each rule that may have fired.

use parallax_core::{Decision, Rule, Verdict};

/// How to get a vantage point, for those who have none.
pub(crate) const NO_VANTAGE: &str = "Add a vantage point with `parallax vantage add URL`, or name one with --vantage \
URL; or ask mirrors of the federation: `parallax mirror bootstrap FILE#ID` gets to know them. To have one of your own, run `parallax serve` on a machine in another network: it prints its id, and its URL is \
https://HOST:PORT#ID. Two in different regions are the least that can decide.";

/// Where a server offers TLS to nobody.
pub(crate) const NO_UPGRADE: &str = "Whatever goes there can be read and changed on the way. If you run the server, \
switch its STARTTLS on; if not, ask its operator whether it should be: somebody close to the server could take it out \
for all alike.";

/// What to do next. `is_silent` when all were waited for and nobody gave an answer that counts.
pub(crate) fn advice(verdict: &Verdict, is_silent: bool) -> &'static str {
    if verdict.counts.asked == 0 && verdict.rule != Rule::Accepted {
        return NO_VANTAGE;
    }
    if is_silent && verdict.decision == Decision::Undecided {
        return "Nobody gave a usable answer. See above why; check your own connection, and that the nodes run.";
    }
    of_rule(verdict.rule)
}

fn of_rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Corroborated
        | Rule::DiverseAuthorised
        | Rule::DiverseConsistent
        | Rule::MajorityAgrees
        | Rule::QuorumHeld
        | Rule::Unanimous
        | Rule::MpicCorroborated => "Nothing: go ahead.",
        Rule::QuorumWeak => {
            "Go ahead if little is at stake. The site changes its certificates often, so the quorum can't hold one for \
             long; --policy evidence judges such sites by more than the certificate."
        }
        Rule::MitmNearMe => {
            "Send no password and nothing secret over this connection. Try another network (a mobile phone's, a VPN): \
             if the key changes there, the attacker or an intercepting proxy is in the network you use now. A company's \
             proxy or an antivirus program also looks like this; ask whoever runs it."
        }
        Rule::DnsDiverted => {
            "Send nothing secret. Your DNS leads you to another server than everybody else's: try --resolver with \
             another resolver, look at the router's DNS settings, and compare."
        }
        Rule::PartialHijack => {
            "Send nothing secret and wait. Part of the network reaches another server, as when a route or a domain is \
             being hijacked. Check again in an hour, and tell the site's operator by another way."
        }
        Rule::UnauthorisedCa => {
            "Send nothing secret. The owner's DNS records say that this certificate's CA may not speak for the name. If \
             you run the site, correct the TLSA or _ca-auth record, or find out who obtained this certificate."
        }
        Rule::Revoked => {
            "Send nothing secret. The owner has withdrawn this CA from DNS. If you run the site and did not, somebody \
             else changes your zone."
        }
        Rule::StablePrivate => {
            "If you know that the site uses its own certificate, --accept-private takes the long memory of the vantage \
             points as enough. Else ask the site's operator for the key."
        }
        Rule::GlobalChange => {
            "Wait, or ask the site's operator by another way: everybody sees this CA, and nobody remembers it. After 72 \
             hours, or with the CA named in the owner's DNS records, it is decided."
        }
        Rule::Unexplained => {
            "Look at the table for who sees what, and check again in some minutes: sites renew certificates, and not \
             all places see it at once. More vantage points in other regions make it clearer."
        }
        Rule::NotEnough => {
            "Check again, allow more time with --timeout, or add vantage points with `parallax vantage add URL`."
        }
        Rule::MajorityDiffers | Rule::NotUnanimous | Rule::MpicDiffers => {
            "Send nothing secret before you know why: the vantage points see other keys. A site with several keys also \
             looks like this; --policy evidence tells the two apart."
        }
        Rule::QuorumTooYoung => {
            "Wait, or lower --min-duration: the vantage points see this certificate, but not for long enough."
        }
        Rule::QuorumMissed => {
            "Send nothing secret before you know why: too few vantage points see this certificate. A site with several \
             certificates also looks like this; --policy evidence tells the two apart."
        }
        Rule::Accepted => {
            "Go ahead if your word still stands: it is all that this verdict rests on. `parallax accept list` shows it, \
             and `parallax accept remove` takes it back."
        }
        _ => "Look at the table for who sees what.",
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::Counts;

    use super::*;

    fn verdict(rule: Rule, decision: Decision, asked: usize, answered: usize) -> Verdict {
        let counts = Counts { asked, answered, agree: 0, differ: 0 };
        Verdict { decision, rule, reasons: vec!["Because.".into()], judged: vec![], counts }
    }

    #[test]
    fn every_rule_has_its_own_advice() {
        let rules = "corroborated diverse-authorised diverse-consistent mitm-near-me dns-diverted partial-hijack \
            unauthorised-ca revoked stable-private global-change unexplained not-enough majority-agrees \
            majority-differs quorum-held quorum-weak quorum-too-young quorum-missed unanimous not-unanimous \
            mpic-corroborated mpic-differs accepted";
        for name in rules.split_whitespace() {
            let rule: Rule = serde_json::from_value(name.into()).unwrap();
            let text = advice(&verdict(rule, Decision::Distrusted, 5, 5), false);
            assert_ne!(text, "Look at the table for who sees what.", "{name}");
            assert!(text.ends_with('.') && !text.contains("  "), "{name}: {text}");
        }
    }

    #[test]
    fn who_has_no_vantage_point_learns_how_to_get_one() {
        let text = advice(&verdict(Rule::NotEnough, Decision::Undecided, 0, 0), true);
        assert!(text.contains("parallax vantage add") && text.contains("parallax serve"));
        assert!(advice(&verdict(Rule::NotEnough, Decision::Undecided, 3, 0), true).starts_with("Nobody"));
        assert!(advice(&verdict(Rule::NotEnough, Decision::Undecided, 3, 0), false).starts_with("Check again"));
    }
}
