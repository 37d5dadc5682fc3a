//! How the executions before one that failed fared.

use std::time::Duration;

use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;

use super::{Listed, Page, Source};
use crate::alert::{End, Past, Status};
use crate::announce::REFUSALS;

/// Failures before one that are looked at, the latest first: the list does not tell a refused run from a failed one.
pub const REFUSED_MOST: usize = 10;

/// What the list says.
pub(super) struct Earlier<'l> {
    /// Those that did not succeed since the last success, the latest started first.
    failed: Vec<&'l Listed>,
    /// Without those that were refused.
    past: Past,
}

impl<'l> Earlier<'l> {
    /// The page has the latest started first, `end` among them unless it ran in a clone; `resumed` is the last success in
    /// one.
    pub(super) fn of(end: &End, resumed: Option<Timestamp>, page: &'l Page<Listed>) -> Self {
        let others = page.entries.iter().filter(|listed| listed.execution != end.execution);
        let before: Vec<(&Listed, Timestamp)> = others
            .filter_map(|listed| Some((listed, listed.stopped.filter(|at| *at <= end.stopped)?)))
            .collect();
        let succeeded = before.iter().filter(|(listed, _)| listed.succeeded).map(|(_, at)| *at);
        let last_success = succeeded.chain(resumed.filter(|at| *at <= end.stopped)).max();
        let failed: Vec<&Listed> = before
            .iter()
            .filter(|(listed, at)| !listed.succeeded && Some(*at) > last_success)
            .map(|(listed, _)| *listed)
            .collect();
        let mut durations: Vec<Duration> = before
            .iter()
            .filter(|(listed, _)| listed.succeeded && listed.redrive == 0)
            .map(|(listed, at)| at.since(listed.started))
            .collect();
        durations.sort_unstable();
        let past = Past {
            in_a_row: u32::try_from(failed.len() + 1).unwrap_or(u32::MAX),
            or_more: last_success.is_none() && page.next.is_some(),
            last_success,
            usual: durations.get(durations.len() / 2).copied(),
        };
        Self { failed, past }
    }

    /// How many of the failed ones were only kept apart by Signalbox: that is no failure in a row, unless `end` is one too.
    pub(super) async fn refused(&self, source: &impl Source, end: &End) -> Result<u32, CallError> {
        if is_refusal(end) {
            return Ok(0);
        }
        let mut refused = 0;
        let failed = self
            .failed
            .iter()
            .filter(|listed| listed.status == Some(Status::Failed));
        for listed in failed.take(REFUSED_MOST) {
            refused += u32::from(was_refused(source, &listed.execution).await?);
        }
        Ok(refused)
    }

    pub(super) fn told(self, refused: u32) -> Past {
        Past {
            in_a_row: self.past.in_a_row - refused,
            ..self.past
        }
    }
}

async fn was_refused(source: &impl Source, execution: &ExecutionArn) -> Result<bool, CallError> {
    let described = source.describe(execution).await?;
    let end = described.and_then(|described| described.end);
    Ok(end.is_some_and(|end| is_refusal(&end)))
}

fn is_refusal(end: &End) -> bool {
    end.error.as_deref().is_some_and(|error| REFUSALS.contains(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Redrive;
    use crate::evidence::Described;
    use signalbox::arn::StateMachineArn;
    use signalbox::history::Failure;

    fn run(name: &str) -> ExecutionArn {
        ExecutionArn::parse(&format!(
            "arn:aws:states:us-east-1:123456789012:execution:orders:{name}"
        ))
        .unwrap()
    }

    fn end(name: &str, error: &str, at: i64) -> End {
        End {
            execution: run(name),
            status: Status::Failed,
            redrive: 0,
            started: None,
            stopped: Timestamp::from_millis(at),
            error: Some(error.to_owned()),
            cause: None,
        }
    }

    fn listed(name: &str, status: Option<Status>, at: i64) -> Listed {
        Listed {
            execution: run(name),
            status,
            succeeded: status.is_none(),
            started: Timestamp::from_millis(at - 1_000),
            stopped: Some(Timestamp::from_millis(at)),
            redrive: 0,
        }
    }

    /// Runs whose name begins with `twice` were refused.
    struct Ends;

    impl Source for Ends {
        async fn failure(&self, _: &ExecutionArn) -> Result<Option<Failure>, CallError> {
            unreachable!("not asked for")
        }

        async fn describe(&self, execution: &ExecutionArn) -> Result<Option<Described>, CallError> {
            let error = match execution.name().starts_with("twice") {
                true => "OverlapGuard.Overlapping",
                false => "Card.Declined",
            };
            Ok(Some(Described {
                end: Some(end(execution.name(), error, 0)),
                redrive: Redrive::Unknown,
            }))
        }

        async fn list(
            &self,
            _: &StateMachineArn,
            _: Option<&'static str>,
            _: i32,
            _: Option<String>,
        ) -> Result<Page<Listed>, CallError> {
            unreachable!("not asked for")
        }

        async fn machines(&self, _: Option<String>) -> Result<Page<StateMachineArn>, CallError> {
            unreachable!("not asked for")
        }
    }

    async fn in_a_row(end: &End, entries: Vec<Listed>) -> u32 {
        let page = Page { entries, next: None };
        let earlier = Earlier::of(end, None, &page);
        let refused = earlier.refused(&Ends, end).await.unwrap();
        earlier.told(refused).in_a_row
    }

    #[tokio::test]
    async fn a_run_that_was_kept_apart_is_no_failure_in_a_row() {
        let before = || {
            vec![
                listed("this", Some(Status::Failed), 9_000),
                listed("twice-2", Some(Status::Failed), 8_000),
                listed("other", Some(Status::Failed), 7_000),
                listed("twice-1", Some(Status::Failed), 6_000),
                listed("late", Some(Status::TimedOut), 5_000),
                listed("good", None, 4_000),
                listed("twice-0", Some(Status::Failed), 3_000),
            ]
        };
        assert_eq!(in_a_row(&end("this", "Card.Declined", 9_000), before()).await, 3);
        // Where refusals are announced, they are counted too.
        assert_eq!(in_a_row(&end("this", "Lock.Busy", 9_000), before()).await, 5);
    }

    #[tokio::test]
    async fn so_many_are_looked_at_and_no_more() {
        let before = |count: usize| {
            let names = (0..count).map(|number| format!("twice-{number}"));
            let at = names.zip((0..9_000).rev());
            at.map(|(name, at)| listed(&name, Some(Status::Failed), at)).collect()
        };
        let this = end("this", "Card.Declined", 9_000);
        assert_eq!(in_a_row(&this, before(REFUSED_MOST)).await, 1);
        assert_eq!(in_a_row(&this, before(REFUSED_MOST + 2)).await, 3);
    }
}
