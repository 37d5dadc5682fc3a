//! What a container has written, as CloudWatch Logs has it: with a delay, and not always all of it.

use std::future::Future;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::config::{Builder, Region};
use aws_sdk_cloudwatchlogs::operation::get_log_events::{GetLogEventsError, GetLogEventsOutput};
use signalbox::aws::CallError;
use signalbox::clock::Clock;
use signalbox::ecs::plan::{LOG_MARKER, LogStream};

/// How long a result is waited for that is to come in the log: longer than what is in a log driver's buffer takes.
pub const WAIT: Duration = Duration::from_secs(12);

/// How far back a result is looked for, in events: for most log drivers, in lines.
pub const LOOKED_BACK: usize = 10_000;

/// First pause between two looks; each is longer than the one before,
const PAUSE: Duration = Duration::from_millis(500);

/// up to this: the API allows an account 25 calls a second.
///
/// Source: CloudWatch Logs quotas, `GetLogEvents`.
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// Most pages that one look reads. Pages may be empty, and the last of a stream is told by its token alone.
const PAGES_MOST: usize = 40;

/// Most events on a first page: a result is mostly among the last lines.
const FIRST_PAGE: usize = 100;

/// Most events on any page.
///
/// Source: CloudWatch Logs API reference, `GetLogEvents` (`limit`).
const PAGE: usize = 10_000;

/// Logs of containers. The task is told by its ARN or id; a stream that is not there has no lines.
pub trait Logs {
    /// The last lines, so many at most, in their order.
    fn last_lines(
        &self,
        at: &LogStream,
        task: &str,
        most: usize,
    ) -> impl Future<Output = Result<Vec<String>, CallError>>;

    /// What stands behind the marker in the last line that begins with [`LOG_MARKER`], if one of the last
    /// [`LOOKED_BACK`] does.
    fn result(&self, at: &LogStream, task: &str) -> impl Future<Output = Result<Option<String>, CallError>>;
}

/// [`Logs::result`], waited for: lines come some seconds after they were written. `None`: none came within [`WAIT`].
pub async fn find_result(
    logs: &impl Logs,
    clock: &impl Clock,
    at: &LogStream,
    task: &str,
) -> Result<Option<String>, CallError> {
    let deadline = clock.now().after(WAIT);
    let mut pause = PAUSE;
    loop {
        let last = clock.now() >= deadline;
        match logs.result(at, task).await {
            Ok(None) if last => return Ok(None),
            Ok(None) => {}
            Ok(found) => return Ok(found),
            // Others look too: it is only a matter of time.
            Err(error) if error.is_throttling() && !last => tracing::debug!(%error, "looks again"),
            Err(error) => return Err(error),
        }
        let left = deadline.since(clock.now());
        clock.sleep((pause + clock.jitter(pause / 4)).min(left)).await;
        pause = (pause * 3 / 2).min(PAUSE_MOST);
    }
}

/// Amazon CloudWatch Logs.
#[derive(Debug, Clone)]
pub struct CloudWatchLogs {
    /// The client. A stream in another Region is read there.
    pub client: aws_sdk_cloudwatchlogs::Client,
}

impl Logs for CloudWatchLogs {
    async fn last_lines(&self, at: &LogStream, task: &str, most: usize) -> Result<Vec<String>, CallError> {
        let mut lines: Vec<String> = Vec::new();
        self.back(at, task, most, |event| {
            lines.extend(
                event
                    .lines()
                    .rev()
                    .filter(|line| !line.trim().is_empty())
                    .map(str::to_owned),
            );
            lines.len() < most
        })
        .await?;
        lines.truncate(most);
        lines.reverse();
        Ok(lines)
    }

    async fn result(&self, at: &LogStream, task: &str) -> Result<Option<String>, CallError> {
        let (mut found, mut seen) = (None, 0);
        self.back(at, task, FIRST_PAGE, |event| {
            seen += 1;
            // An event may be several lines: there are log drivers that put together what belongs together.
            let marked = |line: &str| line.strip_prefix(LOG_MARKER).map(str::to_owned);
            found = event.lines().rev().find_map(marked);
            found.is_none() && seen < LOOKED_BACK
        })
        .await?;
        Ok(found)
    }
}

const GET: &str = "logs:GetLogEvents";

impl CloudWatchLogs {
    /// Reads the stream from its end, until `goes_on` says no. `first`: events on the first page.
    ///
    /// Source: CloudWatch Logs API reference, `GetLogEvents`: pages may be empty before the end, which is where the token is
    /// the one that was given.
    async fn back(
        &self,
        at: &LogStream,
        task: &str,
        first: usize,
        mut goes_on: impl FnMut(&str) -> bool,
    ) -> Result<(), CallError> {
        let stream = at.stream(task);
        let (mut token, mut limit) = (None, first);
        for _ in 0..PAGES_MOST {
            let page = self.page(at, &stream, token.clone(), limit).await?;
            let Some(page) = page else { break };
            for event in page.events().iter().rev() {
                if !goes_on(event.message().unwrap_or_default()) {
                    return Ok(());
                }
            }
            if page.next_backward_token.is_none() || page.next_backward_token == token {
                break;
            }
            (token, limit) = (page.next_backward_token, PAGE);
        }
        Ok(())
    }

    /// One page; `None`: there is no such stream.
    async fn page(
        &self,
        at: &LogStream,
        stream: &str,
        token: Option<String>,
        limit: usize,
    ) -> Result<Option<GetLogEventsOutput>, CallError> {
        let call = self
            .client
            .get_log_events()
            .log_group_name(&at.group)
            .log_stream_name(stream)
            .start_from_head(false)
            .set_next_token(token)
            .limit(i32::try_from(limit.clamp(1, PAGE)).unwrap_or(1));
        let here = self.client.config().region().map(Region::as_ref);
        let sent = if at.region.is_empty() || here == Some(at.region.as_str()) {
            call.send().await
        } else {
            let there = Builder::new().region(Region::new(at.region.clone()));
            call.customize().config_override(there).send().await
        };
        match sent {
            Ok(page) => Ok(Some(page)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetLogEventsError::is_resource_not_found_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(CallError::new(GET, &error)),
        }
    }
}

#[cfg(test)]
mod tests;
