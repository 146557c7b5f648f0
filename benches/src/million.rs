//! A store of a million services: by the real commands, and point reads in this process.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use parallax_core::{CaId, Fingerprint, Md5Fingerprint, ServiceId, Timespan, Timestamp};
use parallax_node::DATABASE;
use parallax_store::{HistoryStore as _, SqliteStore};
use serde_json::json;

use crate::command::{Ran, Running, parallax};
use crate::measure::{heading, line, median};

const SERVICES: u32 = 1_000_000;
const READS: u32 = 1000;
const DAY: i64 = 86_400;

pub(crate) fn run() {
    heading(
        "million: a store of 1,000,000 services with two timespans each, by `parallax import`, `services list`, `export`",
    );
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().to_str().expect("UTF-8");
    let imported = import(data);
    rate("import", &imported);
    let file = directory.path().join(DATABASE);
    let bytes = std::fs::metadata(&file).expect("the memory").len();
    line("on disk for each service", format_args!("{} bytes", bytes / u64::from(SERVICES)));
    reads(&file);
    for (what, age) in [("half of them", "5d"), ("a hundredth", "237h")] {
        list(data, what, age);
    }
    let exported = Running::start(&mut parallax(&["export", "--data", data, "/dev/null"])).end();
    rate("export", &exported);
}

fn rate(what: &str, ran: &Ran) {
    let (wall, cpu) = (ran.wall.as_secs_f64(), ran.cpu.as_secs_f64() * 1e6 / f64::from(SERVICES));
    let each_second = f64::from(SERVICES) / wall;
    let peak = ran.peak_bytes as f64 / f64::from(1 << 20);
    line(what, format_args!("{wall:.0} s: {each_second:.0} a second, {cpu:.1} µs CPU each, {peak:.0} MiB at most"));
}

/// Written line by line: no file of a gigabyte is needed.
fn import(data: &str) -> Ran {
    let mut running = Running::start(parallax(&["import", "--data", data]).stdin(Stdio::piped()));
    let input = running.child.stdin.take().expect("its input");
    let writing = std::thread::spawn(move || {
        let (mut input, now) = (BufWriter::new(input), now());
        for number in 0..SERVICES {
            writeln!(input, "{}", entry(number, now)).expect("a reader");
        }
    });
    let ran = running.end();
    writing.join().expect("all was written");
    ran
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    i64::try_from(now.as_secs()).expect("a time before the end")
}

/// In canonical order, as an export is.
fn name(number: u32) -> String {
    format!("host-{number:07}.example")
}

/// Seen 0 to 10 days ago: with the certificate of now, and for a year with the one before.
fn entry(number: u32, now: i64) -> serde_json::Value {
    let print = |kind: u32| {
        let mut bytes = [0x5a; 32];
        for (at, byte) in (number ^ kind << 24).wrapping_mul(0x85eb_ca6b).to_be_bytes().into_iter().enumerate() {
            bytes[at * 7] = byte;
        }
        Fingerprint::from_bytes(bytes)
    };
    let last = now - 1 - i64::from(number % 100) * DAY / 10;
    let span = |kind: u32, first: i64, last: i64| Timespan {
        key: print(kind),
        leaf: print(kind + 1),
        leaf_md5: Some(Md5Fingerprint::from_bytes([kind as u8; 16])),
        issuer_key: Some(print(9)),
        ca_id: CaId::Organisation("Example Trust Services".into()),
        networks: vec!["192.0.0.0/16".parse().expect("a network")],
        proved: true,
        first_seen: Timestamp::from_unix_secs(first),
        last_seen: Timestamp::from_unix_secs(last),
    };
    let history = [span(1, last - 400 * DAY, last - 60 * DAY), span(3, last - 60 * DAY, last)];
    json!({ "service": format!("tls://{}:443", name(number)), "history": history, "authority": [] })
}

fn reads(file: &Path) {
    forget_pages(file);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let store = SqliteStore::open(file).expect("the memory");
    for what in ["a point read, nothing in memory", "the same once more"] {
        let times = runtime.block_on(read(&store));
        line(what, format_args!("{:.0} µs wall (median of {READS})", median(times)));
    }
    runtime.block_on(store.shutdown());
}

async fn read(store: &SqliteStore) -> Vec<f64> {
    let mut times = Vec::new();
    for number in 0..READS {
        // All over the file, in no order.
        let service = name(number.wrapping_mul(0x9e37_79b9) % SERVICES);
        let service: ServiceId = service.parse().expect("a service");
        let begun = Instant::now();
        let known = black_box(store.known(&service).await.expect("a store").expect("a service that is known"));
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        assert_eq!(known.history.spans.len(), 2);
    }
    times
}

/// Has the system let go of what it holds of the file in memory.
fn forget_pages(file: &Path) {
    let open = File::open(file).expect("the memory");
    open.sync_all().expect("all of it on disk");
    rustix::fs::fadvise(&open, 0, None, rustix::fs::Advice::DontNeed).expect("a system that forgets");
}

fn list(data: &str, what: &str, age: &str) {
    let arguments = ["services", "list", "--data", data, "--older-than", age];
    let begun = Instant::now();
    let mut running = Running::start(parallax(&arguments).stdout(Stdio::piped()));
    let mut output = BufReader::new(running.child.stdout.take().expect("its output"));
    let (mut line_read, mut lines, mut until_first) = (String::new(), 0, Duration::ZERO);
    while output.read_line(&mut line_read).expect("its output") > 0 {
        if lines == 0 {
            until_first = begun.elapsed();
        }
        if lines % 5000 == 0 {
            running.note_peak();
        }
        lines += 1;
        line_read.clear();
    }
    let ran = running.end();
    let seconds = |time: Duration| time.as_secs_f64();
    line(
        &format!("services list --older-than {age}: {what}"),
        format_args!(
            "{lines} lines, the first after {:.0} ms, all after {:.2} s ({:.2} s CPU, {:.0} MiB)",
            seconds(until_first) * 1e3,
            seconds(ran.wall),
            seconds(ran.cpu),
            ran.peak_bytes as f64 / f64::from(1 << 20)
        ),
    );
}
