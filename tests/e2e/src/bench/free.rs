//! What a lock costs that nobody else wants.

use local_cloud::{Cloud, Error, Fault, Usage};

use super::sheet::{count, number};
use super::{Kind, Report, Sheet, Side, Target, prices, tell};

/// Most transitions and write units of acquire and release, in any state of a free lock.
const TRANSITIONS: u64 = 2;
const WRITE_UNITS: f64 = 6.0;

/// One run after the other, and what each cost beside its work.
pub async fn compare(cloud: &Cloud) -> Result<Report, Error> {
    tell("a lock that nobody else wants");
    let lock = Side::deploy(cloud, "free", Kind::Lock).await?;
    let polling = Side::deploy(cloud, "free", Kind::Polling).await?;
    let ([first, again, idle, with_event], [polled_first, polled]) =
        tokio::try_join!(on_lock(&lock), on_polling(&polling))?;

    let mut sheet = Sheet::new(
        "A lock that nobody else wants: acquire and release",
        [
            "",
            "transitions",
            "writes",
            "write units",
            "reads",
            "read units",
            "Lambda",
            "$ per million",
        ],
    );
    let rows = [
        ("lock, in use of late", &again),
        ("lock, idle for minutes", &idle),
        ("lock, for the first time", &first),
        ("lock, with the event of the run's end", &with_event),
        ("polling", &polled),
        ("polling, for the first time", &polled_first),
    ];
    for (name, usage) in rows {
        let tables = usage.all_tables();
        sheet.row(
            name,
            [
                count(usage.all_transitions()),
                count(tables.writes),
                number(tables.write_units),
                count(tables.reads),
                number(tables.read_units),
                count(usage.all_invocations()),
                number(prices::dollars(usage) * 1e6),
            ],
        );
    }
    let alone = [&first, &again, &idle];
    let transitions = alone.map(Usage::all_transitions).into_iter().max().unwrap_or(0);
    let units = alone.map(|usage| usage.all_tables().write_units);
    let units = units.into_iter().fold(0.0, f64::max);
    let reads: u64 = alone.iter().map(|usage| usage.all_tables().reads).sum();
    Ok(Report {
        sheets: vec![sheet],
        targets: vec![
            Target::new(
                "free: transitions",
                TRANSITIONS.to_string(),
                count(transitions),
                transitions == TRANSITIONS,
            ),
            Target::new(
                "free: write units",
                format!("≤ {}", number(WRITE_UNITS)),
                number(units),
                units <= WRITE_UNITS,
            ),
            Target::new("free: reads", "0", count(reads), reads == 0),
        ],
    })
}

async fn on_lock(side: &Side) -> Result<[Usage; 4], Error> {
    // The event of a run's end comes when it likes: it is counted by itself.
    let quiet = side.account.fault(Fault::drop_events()).await?;
    let first = once(side, "first").await?;
    let again = once(side, "again").await?;
    // As if ten minutes had passed: then a sweep takes it off its list.
    side.tamper("SET changed = changed - :by", 600_000).await?;
    side.sweep().await?;
    let idle = once(side, "idle").await?;
    quiet.clear().await?;
    Ok([first, again, idle, once(side, "with-event").await?])
}

async fn on_polling(side: &Side) -> Result<[Usage; 2], Error> {
    Ok([once(side, "first").await?, once(side, "again").await?])
}

/// What a run costs, without the state that works.
async fn once(side: &Side, name: &str) -> Result<Usage, Error> {
    side.account.reset_usage().await?;
    let run = side.start(name, 0).await?;
    let ended = side.account.wait_for_execution(&run).await?;
    if !ended.succeeded() {
        return Err(Error::Unexpected {
            from: format!("the run {name}"),
            reason: format!("it ended {}: {:?}", ended.status, ended.cause_message()),
        });
    }
    let mut usage = side.settled_usage().await?;
    for transitions in usage.transitions.values_mut() {
        *transitions -= 1;
    }
    Ok(usage)
}
