//! CAIDA's AS relationships in the format serial-1.

use std::collections::HashMap;

use super::{AsIndex, BadLine, MAX_ASES, Topology, TopologyError, hierarchy};

/// The longest text that is read, in bytes: four times the graphs of 2025.
pub const MAX_SERIAL1_BYTES: usize = 32 * 1024 * 1024;

/// The most lines that are read, comments included.
pub const MAX_SERIAL1_LINES: usize = 2_000_000;

/// As much of a wrong part as a message shows.
const SHOWN: usize = 40;

pub(super) fn read(text: &str) -> Result<Topology, TopologyError> {
    if text.len() > MAX_SERIAL1_BYTES {
        return Err(TopologyError::TooLong(text.len()));
    }
    let links = read_links(text)?;
    let numbers = numbers(&links)?;
    let place = |number: u32| AsIndex(numbers.partition_point(|other| *other < number) as u32);
    let placed = |link: &Link| (place(link.first), place(link.second));
    let of = |kind| links.iter().filter(move |link| link.kind == kind).map(placed).collect::<Vec<_>>();
    let (sells, peering) = (of(Kind::Sells), of(Kind::Peers));
    let mut topology = Topology::new(numbers.clone(), Vec::new(), &sells, &peering);
    let order = hierarchy::from_the_top(&topology)?;
    topology.regions = hierarchy::regions(&topology, &order);
    Ok(topology)
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Link {
    first: u32,
    second: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The first is a provider of the second.
    Sells,
    Peers,
}

/// Each link once, in the order of the text.
fn read_links(text: &str) -> Result<Vec<Link>, TopologyError> {
    let mut links = Vec::new();
    let mut known: HashMap<(u32, u32), (Link, usize)> = HashMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        if line > MAX_SERIAL1_LINES {
            return Err(TopologyError::TooManyLines);
        }
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let link = read_link(text).map_err(|why| TopologyError::Line { line, why })?;
        let pair = (link.first.min(link.second), link.first.max(link.second));
        match known.get(&pair) {
            None => {
                known.insert(pair, (link, line));
                links.push(link);
            }
            Some((before, _)) if same(*before, link) => {}
            Some((_, before)) => {
                let why = BadLine::Contradiction(link.first, link.second, *before);
                return Err(TopologyError::Line { line, why });
            }
        }
    }
    if links.is_empty() { Err(TopologyError::NoLinks) } else { Ok(links) }
}

/// Two peers may be named in either order.
fn same(a: Link, b: Link) -> bool {
    a == b || (a.kind == Kind::Peers && b.kind == Kind::Peers)
}

fn read_link(text: &str) -> Result<Link, BadLine> {
    let parts: Vec<&str> = text.split('|').collect();
    let [first, second, kind] = parts.as_slice() else { return Err(BadLine::Parts(parts.len())) };
    let (first, second) = (read_number(first)?, read_number(second)?);
    let kind = match kind.trim() {
        "-1" => Kind::Sells,
        "0" => Kind::Peers,
        other => return Err(BadLine::Relationship(other.chars().take(SHOWN).collect())),
    };
    if first == second { Err(BadLine::Itself(first)) } else { Ok(Link { first, second, kind }) }
}

/// AS 0 is nobody's (RFC 7607).
fn read_number(text: &str) -> Result<u32, BadLine> {
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| BadLine::Number(text.chars().take(SHOWN).collect()))
}

fn numbers(links: &[Link]) -> Result<Vec<u32>, TopologyError> {
    let mut numbers: Vec<u32> = links.iter().flat_map(|link| [link.first, link.second]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() > MAX_ASES { Err(TopologyError::TooManyAses(numbers.len())) } else { Ok(numbers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn links_are_read_in_either_order_and_counted_once() {
        let text = "# source: a comment\r\n\n3356|64500|-1\r\n 3356|174|0\n174|3356|0\n3356|64500|-1\n174|64501|-1";
        let topology = read(text).unwrap();
        let numbers: Vec<u32> = (0..4).map(|at| topology.asn(AsIndex(at))).collect();
        assert_eq!(numbers, [174, 3356, 64_500, 64_501]);
        assert_eq!((topology.links(), topology.stubs()), (3, &[AsIndex(2), AsIndex(3)][..]));
        assert_eq!((topology.asn(AsIndex(4)), topology.region(AsIndex(4))), (0, 0));
    }

    #[test]
    fn a_wrong_line_is_named_with_what_would_be_right() {
        for (text, expected) in [
            ("", "no links; a line is provider|customer|-1"),
            ("# only\n# comments", "no links"),
            ("1|2|-1\n1|3", "line 2 of the topology: 2 parts between |, where three belong"),
            ("1|2|-1|bgp", "line 1 of the topology: 4 parts"),
            ("#\n1|x2|-1", "line 2 of the topology: \"x2\" is no AS number, 1 to 4294967295"),
            ("0|2|-1", "\"0\" is no AS number"),
            ("1|4294967296|0", "\"4294967296\" is no AS number"),
            ("1|-2|0", "\"-2\" is no AS number"),
            ("1|2|1", "\"1\" is no relationship: -1 is provider to customer, 0 is peer to peer"),
            ("7|7|0", "AS 7 is linked to itself"),
            ("1|2|-1\n2|1|0", "line 2 of the topology: AS 2 and AS 1 stand in another relationship on line 1"),
            ("1|2|-1\n2|1|-1", "another relationship on line 1"),
        ] {
            assert!(wrong(text).contains(expected), "{text}: {}", wrong(text));
        }
        let long = wrong(&format!("{}|2|0", "9".repeat(10_000)));
        assert!(long.len() < 120, "{long}");
    }

    #[test]
    fn a_circle_of_providers_is_named() {
        assert!(wrong("9|1|-1\n1|2|-1\n2|3|-1\n3|1|-1\n3|4|-1").ends_with(
            "a circle of providers, which no AS can buy from: AS 1 buys from AS 3 buys from AS 2 buys from AS 1"
        ));
        let ring: String = (1..=40).map(|at| format!("{}|{at}|-1\n", at % 40 + 1)).collect();
        let why = wrong(&ring);
        assert!(why.ends_with("AS 8 buys from 32 more, and the last from AS 1"), "{why}");
        let nine: String = (1..=9).map(|at| format!("{}|{at}|-1\n", at % 9 + 1)).collect();
        assert!(wrong(&nine).ends_with("AS 8 buys from 1 more, and the last from AS 1"), "{}", wrong(&nine));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        assert_eq!(wrong(&" ".repeat(MAX_SERIAL1_BYTES + 1)), "the topology has 33554433 bytes; 33554432 are the most");
        let why = wrong(&"#\n".repeat(MAX_SERIAL1_LINES + 1));
        assert_eq!(why, "the topology has more than 2000000 lines, which are the most");
        let many: String = (2..=200_001).map(|at| format!("1|{at}|-1\n")).collect();
        assert_eq!(wrong(&many), "the topology has 200001 ASes; 200000 are the most");
    }

    #[test]
    fn neighbours_share_a_region() {
        // Three ASes without providers; 30 has the most customers and is first.
        let text = "10|20|0\n20|30|0\n30|31|-1\n30|32|-1\n30|33|-1\n30|34|-1\n20|21|-1\n20|22|-1\n10|11|-1\n\
                    10|99|-1\n20|99|-1\n31|99|-1\n32|99|-1\n11|98|-1\n31|98|-1";
        let topology = read(text).unwrap();
        let region = |number| {
            let found = (0..).map(AsIndex).take(topology.len()).find(|at| topology.asn(*at) == number);
            topology.region(found.unwrap())
        };
        assert_eq!([30, 20, 10].map(region), [0, 1, 2]);
        assert_eq!([31, 32, 33, 21, 22, 11].map(region), [0, 0, 0, 1, 1, 2]);
        // Two of the four providers of 99 are in region 0; 98 has one each, and 11 has the lower number.
        assert_eq!([99, 98].map(region), [0, 2]);
    }
}
