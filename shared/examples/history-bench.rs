//! `cargo history-bench`: what it costs to read a history, from the JSON of its pages to the state that failed.
//!
//! Each length is read in a process of its own, so that the peak is its own. Linux alone tells CPU time and peak: what is
//! not told is shown as `?`.

#![allow(clippy::print_stdout, reason = "it is a command")]

#[path = "../tests/history/generated.rs"]
mod generated;

use std::process::{Command, ExitCode};

use signalbox::asl::Definition;
use signalbox::history::{Event, Reader};
use signalbox::quotas::HISTORY_PAGE;

const LENGTHS: [usize; 3] = [6_250, 12_500, 25_000];

fn main() -> ExitCode {
    if let Some(events) = std::env::args().nth(1) {
        let Ok(events) = events.parse() else {
            println!("how many events? {events:?} is no number");
            return ExitCode::FAILURE;
        };
        read(events);
        return ExitCode::SUCCESS;
    }
    println!("{:>8} {:>10} {:>10}  failed at", "events", "CPU ms", "peak MiB");
    let this = std::env::current_exe().expect("the program's own path");
    for events in LENGTHS {
        let ended = Command::new(&this).arg(events.to_string()).status();
        if !ended.is_ok_and(|status| status.success()) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn read(events: usize) {
    let definition = Definition::parse(generated::DEFINITION).expect("the definition is one");
    let mut reader = Reader::new(Some(&definition));
    let (mut page, mut count, mut nanos) = (Vec::new(), 0, Some(0));
    let mut read_page = |page: &mut Vec<String>| {
        let text = format!("[{}]", page.join(","));
        let before = cpu_nanos();
        let events: Vec<Event> = serde_json::from_str(&text).expect("a page of events");
        for event in &events {
            reader.push(event);
        }
        count += events.len();
        drop(events);
        nanos = nanos.and_then(|nanos| Some(nanos + (cpu_nanos()? - before?)));
        page.clear();
    };
    let mut turn = 0;
    let in_turn = |_| {
        turn += 1;
        turn
    };
    let expected = generated::orders(events, in_turn, |event| {
        page.push(event);
        if page.len() == HISTORY_PAGE as usize {
            read_page(&mut page);
        }
    });
    read_page(&mut page);
    let before = cpu_nanos();
    let failure = reader.failure().expect("it failed");
    nanos = nanos.and_then(|nanos| Some(nanos + (cpu_nanos()? - before?)));
    let place = failure.places.first().map(ToString::to_string).unwrap_or_default();
    assert_eq!(place, expected);
    let millis = nanos.map(|nanos: u64| format!("{}.{}", nanos / 1_000_000, nanos / 100_000 % 10));
    let shown = |figure: Option<String>| figure.unwrap_or_else(|| "?".to_owned());
    println!("{count:>8} {:>10} {:>10}  {place}", shown(millis), shown(peak_mib()));
}

/// CPU time of this process, which has one thread: the first figure of `schedstat`.
fn cpu_nanos() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The most memory that this process has had.
fn peak_mib() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024))
}
