//! Time and jitter, as arguments: the tests and the simulation bring their own.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// A point in time, in milliseconds since the Unix epoch: the precision of Step Functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point that lies `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch: what DynamoDB's time to live takes.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long before `self` the point `earlier` lies; zero if it lies after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The point that lies `span` after this one.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// The point that lies `span` before this one.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Parses an RFC 3339 time such as `$$.State.EnteredTime`, and cuts it at the millisecond; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self(i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000).ok()?))
    }

    /// The time in UTC, for people: `2026-01-31 04:00:12 UTC`.
    #[must_use]
    pub fn for_people(self) -> String {
        OffsetDateTime::from_unix_timestamp(self.as_secs())
            .ok()
            .and_then(|t| {
                t.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC"))
                    .ok()
            })
            .unwrap_or_else(|| format!("{} ms after 1970", self.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2026-01-31T04:00:12.345Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|t| {
                t.format(format_description!(
                    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
                ))
                .ok()
            });
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} ms after 1970", self.0),
        }
    }
}

impl From<aws_smithy_types::DateTime> for Timestamp {
    /// To the nearest millisecond: the services send fractions of seconds, and the SDK makes of 12.345 what comes just
    /// before it.
    fn from(at: aws_smithy_types::DateTime) -> Self {
        let millis = (at.as_nanos() + 500_000).div_euclid(1_000_000);
        Self(i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// Where code that waits takes its time and its randomness from.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Completes after `span`.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()>;
    /// A random share of `most`, so that waiters that began together do not stay in step.
    fn jitter(&self, most: Duration) -> Duration;
    /// A number that nobody else draws: 64 random bits.
    fn nonce(&self) -> u64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[allow(clippy::disallowed_methods, reason = "the one place that may ask the machine")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn jitter(&self, most: Duration) -> Duration {
        most.mul_f64(fastrand::f64())
    }

    fn nonce(&self) -> u64 {
        // Its keys come from the operating system: fastrand's own seed is the time since the machine started, which two
        // sandboxes may have in common.
        std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_object_time_is_read_and_written_back() {
        let text = "2026-01-31T04:00:12.345Z";
        let at = Timestamp::parse(text).unwrap();
        assert_eq!(at.to_string(), text);
        assert_eq!(at.for_people(), "2026-01-31 04:00:12 UTC");
        assert_eq!(Timestamp::parse("2026-01-31T05:00:12.345+01:00"), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn time_spans_never_go_below_zero() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_500));
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.after(Duration::from_millis(2_500)), late);
    }

    #[test]
    fn a_time_of_the_sdk_keeps_its_milliseconds() {
        use aws_smithy_types::DateTime;
        for (at, millis) in [
            (DateTime::from_secs_f64(1_769_832_012.345), 1_769_832_012_345),
            (DateTime::from_secs_and_nanos(12, 344_999_904), 12_345),
            (DateTime::from_secs_and_nanos(12, 999_999_761), 13_000),
            (DateTime::from_secs_and_nanos(12, 345_499_999), 12_345),
            (DateTime::from_secs_and_nanos(-2, 500_000_000), -1_500),
            (DateTime::from_secs(i64::MAX), i64::MAX),
            (DateTime::from_secs(i64::MIN), i64::MIN),
        ] {
            assert_eq!(Timestamp::from(at).as_millis(), millis, "{at:?}");
        }
    }

    #[test]
    fn times_before_1970_and_out_of_range_do_not_panic() {
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
        assert_eq!(
            Timestamp::from_millis(i64::MAX).to_string(),
            format!("{} ms after 1970", i64::MAX)
        );
    }
}
