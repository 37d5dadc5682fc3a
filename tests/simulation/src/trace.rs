//! One schedule, told step by step: what a command prints for `--seed`.
#![allow(clippy::print_stdout, reason = "for commands that speak to people")]

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use signalbox::clock::Clock;
use signalbox::simulation::World;

static TOLD: AtomicBool = AtomicBool::new(false);

/// Tells every schedule from now on.
pub fn tell() {
    TOLD.store(true, Ordering::Relaxed);
}

/// Tells one thing that happens.
pub(crate) fn note<T: Display>(world: &World, what: impl FnOnce() -> T) {
    if TOLD.load(Ordering::Relaxed) {
        let at = world.now().as_millis() - 1_800_000_000_000;
        println!(
            "{:>9} {:04x} {}",
            Milli(at),
            world.task() & 0xffff,
            short(&what().to_string())
        );
    }
}

struct Milli(i64);

impl Display for Milli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}.{:03}", self.0 / 1000, self.0 % 1000))
    }
}

/// Without what is the same everywhere.
fn short(text: &str) -> String {
    let mut short = text.to_owned();
    for (begin, end, keep) in [
        ("ExecutionArn {", "}, name_at: 50 }", Some(":m:")),
        ("LockKey(", ")", None),
        ("HoldName(", ")", Some("\"")),
        ("Nonce(", ")", Some("\"")),
        ("Ticket(", ")", Some("\"")),
        ("Timestamp(18000", ")", Some("00")),
        ("Fence(18000", ")", Some("00")),
    ] {
        while let Some(at) = short.find(begin) {
            let rest = &short[at..];
            let stop = rest.find(end).map_or(rest.len(), |stop| stop + end.len());
            let kept = keep
                .and_then(|keep| rest[..stop].split(keep).nth(1))
                .unwrap_or_default();
            let kept: String = kept.chars().take_while(|c| !"\")".contains(*c)).take(9).collect();
            short.replace_range(at..at + stop, &kept);
        }
    }
    short
}
