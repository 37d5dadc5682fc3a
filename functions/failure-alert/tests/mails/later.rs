//! What follows alerts.

use failure_alert::alert::Status;
use failure_alert::mail::{Recovered, Summary};
use signalbox::arn::ExecutionArn;
use signalbox::clock::Timestamp;

use super::{RUN, at, run};

fn ended(name: &str, when: &str) -> (ExecutionArn, Timestamp) {
    (run(&RUN.replace("nightly-2026-01-31", name)), at(when))
}

/// Ends of windows.
pub(crate) fn summaries() -> Vec<(&'static str, Summary)> {
    let many = Summary {
        machine: run(RUN).machine().clone(),
        status: Status::Failed,
        state: Some("Charge".to_owned()),
        error: Some("PaymentError".to_owned()),
        count: 17,
        from: at("2026-01-31T04:04:25Z"),
        to: at("2026-01-31T05:04:25Z"),
        executions: vec![
            ended("order-4800", "2026-01-31T05:01:10Z"),
            ended("order-4801", "2026-01-31T05:02:01Z"),
        ],
    };
    let last_alone = Summary {
        executions: many.executions[1..].to_vec(),
        ..many.clone()
    };
    let one = Summary {
        status: Status::TimedOut,
        state: None,
        error: None,
        count: 1,
        executions: vec![ended("order-4801", "2026-01-31T05:02:01Z")],
        ..many.clone()
    };
    vec![
        ("summary", many),
        ("summary-with-the-last-alone", last_alone),
        ("summary-of-one", one),
    ]
}

/// Successes after failures.
pub(crate) fn recoveries() -> Vec<(&'static str, Recovered)> {
    let later = Recovered {
        pipeline: run(RUN).machine().clone(),
        execution: ended("nightly-2026-02-01", "2026-02-01T04:12:00Z").0,
        at: at("2026-02-01T04:12:31Z"),
        redrive: 0,
        is_resumed: false,
        failing_since: at("2026-01-31T04:04:24Z"),
        failures: 18,
    };
    let redriven = Recovered {
        execution: run(RUN),
        at: at("2026-01-31T06:12:31Z"),
        redrive: 1,
        failures: 1,
        ..later.clone()
    };
    let clone = RUN.replace("orders-nightly:", "orders-nightly--r-60303ae22b99:") + "-r-1b4f0e985197";
    let resumed = Recovered {
        execution: run(&clone),
        redrive: 0,
        is_resumed: true,
        ..redriven.clone()
    };
    let resumed_of_many = Recovered {
        redrive: 2,
        failures: 18,
        ..resumed.clone()
    };
    vec![
        ("recovered", later),
        ("recovered-by-redrive", redriven),
        ("recovered-by-resume", resumed),
        ("recovered-of-many-by-resume", resumed_of_many),
    ]
}
