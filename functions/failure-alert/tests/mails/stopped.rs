//! Runs that were stopped, or timed out.

use std::time::Duration;

use failure_alert::alert::{Alert, Status};
use signalbox::history::{Ended, Failed, Failure, Kind};

use super::{RUN, at, failed, place, run, step, task, warehouse};

/// A run that ended like that with these places open.
fn open(status: Status, places: Vec<Failed>) -> Alert {
    let mut alert = failed(task("A", None, None));
    alert.end.status = status;
    alert.failure = Some(Failure {
        ended: match status {
            Status::TimedOut => Ended::TimedOut,
            _ => Ended::Aborted,
        },
        error: None,
        cause: None,
        places,
    });
    alert
}

pub(super) fn timed_out() -> Alert {
    let places = (0..14).map(|item| {
        let mut place = place(
            vec![step(Kind::Map, "Orders", Some(item)), step(Kind::Task, "Charge", None)],
            None,
            None,
        );
        place.attempts = 1 + item % 3;
        place.attempts_most = None;
        place.entered = (item != 2).then(|| at("2026-01-31T04:02:12Z").after(Duration::from_secs(7 * u64::from(item))));
        place
    });
    let mut alert = open(Status::TimedOut, places.collect());
    alert.end.stopped = at("2026-01-31T06:00:12.400Z");
    alert.past.as_mut().expect("a past").in_a_row = 2;
    alert
}

pub(super) fn aborted_by_a_person() -> Alert {
    let mut wait = place(vec![step(Kind::Wait, "Wait for the shop to close", None)], None, None);
    (wait.attempts, wait.attempts_most) = (0, None);
    let mut alert = open(Status::Aborted, vec![wait]);
    alert.end.error = Some("Operator".to_owned());
    alert.end.cause = Some("stopped by ana: the input is that of yesterday".to_owned());
    alert
}

pub(super) fn aborted_for_a_newer_run() -> Alert {
    let mut alert = open(Status::Aborted, vec![task("Charge", None, None)]);
    alert.end.error = Some("OverlapGuard.Cancelled".to_owned());
    alert.end.cause = Some("nightly-2026-01-31b of orders-nightly took its place. See https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:123456789012:execution:orders-nightly:nightly-2026-01-31b".to_owned());
    alert
}

/// The run of a clone, which nobody was in the middle of.
pub(super) fn resumed_and_stopped() -> Alert {
    let mut alert = aborted_by_a_person();
    let arn = RUN.replace("orders-nightly:", "orders-nightly--r-60303ae22b99:");
    alert.end.execution = run(&arn);
    alert.failure = None;
    alert
}

pub(super) fn lock_lost_on_redrive() -> Alert {
    let mut alert = open(Status::Aborted, vec![task("Charge", None, None)]);
    alert.end.redrive = 1;
    alert.end.error = Some("Lock.LostOnRedrive".to_owned());
    alert.end.cause = Some("nightly-2026-01-31 held the lock warehouse when it failed; now that it was redriven the lock is held by delivery-7 of stock-import since 2026-01-31 05:00:12 UTC. See https://eu-west-1.console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/arn:aws:states:eu-west-1:123456789012:execution:stock-import:delivery-7".to_owned());
    alert.end.stopped = at("2026-01-31T08:30:02Z");
    alert.locks = vec![warehouse(false, 3)];
    alert
}
