//! A scan of 10,000 targets with everything that belongs to it, by the real command, against a bare handshake loop.

use std::fmt::Write as _;
use std::path::Path;

use crate::command::{Ran, Running, parallax};
use crate::look::Bare;
use crate::measure::{Cost, cpu_us, each, heading, line, ratio, wall_us};
use crate::sites::Targets;

const COUNT: u32 = 10_000;
const ROUNDS: usize = 3;

pub(crate) fn run() {
    heading(
        "scan: 10,000 TLS targets at 10,000 addresses, by `parallax scan` with its commits, against bare handshakes",
    );
    let targets = Targets::start(COUNT);
    let directory = tempfile::tempdir().expect("a directory");
    let list = directory.path().join("list.txt");
    let services = targets.addresses.iter().fold(String::new(), |mut text, at| {
        let _ = writeln!(text, "{at}");
        text
    });
    std::fs::write(&list, services).expect("a list");
    let bare = Bare::new();
    let handshakes = || each(COUNT, || targets.addresses.iter().for_each(|at| bare.handshake(*at)));
    handshakes();
    let (mut alone, mut first, mut again, mut peak, mut disk) = (vec![], vec![], vec![], 0, 0);
    for _ in 0..ROUNDS {
        let data = tempfile::tempdir().expect("a directory");
        alone.push(handshakes());
        for costs in [&mut first, &mut again] {
            let ran = scan(&list, &targets.roots, data.path());
            costs.push(Cost { cpu: ran.cpu / COUNT, wall: ran.wall / COUNT });
            peak = peak.max(ran.peak_bytes);
        }
        let file = std::fs::metadata(data.path().join("parallax.sqlite")).expect("the memory");
        disk = file.len() / u64::from(COUNT);
    }
    line("bare handshake", format_args!("{:.0} µs CPU, {:.0} µs wall", cpu_us(&alone), wall_us(&alone)));
    for (what, costs) in [("the first look at each", &first), ("the next look at each", &again)] {
        line(what, format_args!("{:.0} µs CPU, {:.0} µs wall", cpu_us(costs), wall_us(costs)));
        let over = ratio(costs, &alone, |cost| cost.cpu);
        line("CPU over that of a bare handshake (aim: 1.3)", format_args!("{over:.2}"));
    }
    line("most memory of the command", format_args!("{:.1} MiB", peak as f64 / f64::from(1 << 20)));
    line("on disk for each service, its newest look included", format_args!("{disk} bytes"));
}

fn scan(list: &Path, roots: &Path, data: &Path) -> Ran {
    let [list, roots, data] = [list, roots, data].map(|path| path.to_str().expect("UTF-8"));
    let wide = ["--rate", "10000", "--jobs", "256", "--per-address", "off", "--allow-private"];
    Running::start(&mut parallax(&[&["scan", "--data", data, "--roots", roots], &wide[..], &[list]].concat())).end()
}
