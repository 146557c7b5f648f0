//! Medians, CPU time, alternating rounds.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

/// What one item cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

/// The cost of one of `count` items that `work` does.
pub(crate) fn each(count: u32, work: impl FnOnce()) -> Cost {
    let (cpu, wall) = (ProcessTime::now(), Instant::now());
    work();
    Cost { cpu: cpu.elapsed() / count, wall: wall.elapsed() / count }
}

/// Two things in turn, A B A B …, after one round that does not count.
pub(crate) fn in_turn(
    rounds: usize,
    mut a: impl FnMut() -> Cost,
    mut b: impl FnMut() -> Cost,
) -> (Vec<Cost>, Vec<Cost>) {
    a();
    b();
    (0..rounds).map(|_| (a(), b())).unzip()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn cpu_us(costs: &[Cost]) -> f64 {
    median(costs.iter().map(|cost| cost.cpu.as_secs_f64() * 1e6).collect())
}

pub(crate) fn wall_us(costs: &[Cost]) -> f64 {
    median(costs.iter().map(|cost| cost.wall.as_secs_f64() * 1e6).collect())
}

/// The median of the ratios round by round.
pub(crate) fn ratio(a: &[Cost], b: &[Cost], of: impl Fn(&Cost) -> Duration) -> f64 {
    median(a.iter().zip(b).map(|(a, b)| of(a).as_secs_f64() / of(b).as_secs_f64()).collect())
}

pub(crate) fn heading(text: &str) {
    println!("\n{text}");
}

pub(crate) fn line(what: &str, value: impl std::fmt::Display) {
    println!("  {what:<58} {value}");
}
