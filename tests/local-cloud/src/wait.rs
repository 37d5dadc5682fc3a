//! Waiting for a condition, with a deadline: a test never sleeps for a time that it hopes is enough.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use crate::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What one look at a condition shows.
pub trait Look {
    /// What a met condition yields.
    type Met;

    /// What it yields, or what was seen instead.
    fn look(self) -> Result<Self::Met, String>;
}

/// `None` is "not yet".
impl<T> Look for Option<T> {
    type Met = T;

    fn look(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".to_owned())
    }
}

/// `Err` is "not yet", and says what was seen instead.
impl<T, E: Display> Look for Result<T, E> {
    type Met = T;

    fn look(self) -> Result<T, String> {
        self.map_err(|seen| seen.to_string())
    }
}

/// `false` is "not yet".
impl Look for bool {
    type Met = ();

    fn look(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "not so yet".to_owned())
    }
}

/// Looks again and again until the condition is met, and fails after `deadline` with what was last seen.
///
/// The condition is an `Option`, a `Result` whose error is what was seen instead, or a `bool`:
///
/// ```
/// # use std::time::Duration;
/// # async fn example() -> Result<(), local_cloud::Error> {
/// let mut looks = 0;
/// let seen = local_cloud::wait::until("the third look", Duration::from_secs(5), async || {
///     looks += 1;
///     if looks == 3 { Ok(looks) } else { Err(format!("look {looks}")) }
/// })
/// .await?;
/// assert_eq!(seen, 3);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
/// ```
pub async fn until<L: Look>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> L,
) -> Result<L::Met, Error> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut last_seen = "the first look had no end".to_owned();
    loop {
        let left = deadline.saturating_sub(begun.elapsed());
        // A look that hangs is a look that failed: the deadline holds whatever happens.
        match tokio::time::timeout(left.max(FIRST_PAUSE), condition())
            .await
            .map(Look::look)
        {
            Ok(Ok(met)) => return Ok(met),
            Ok(Err(seen)) => last_seen = seen,
            Err(_) => {}
        }
        if begun.elapsed() >= deadline {
            return Err(Error::TimedOut {
                what: what.to_owned(),
                waited: begun.elapsed(),
                last_seen,
            });
        }
        tokio::time::sleep(pause.min(deadline.saturating_sub(begun.elapsed()))).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future;

    #[tokio::test]
    async fn yields_what_the_condition_yields() {
        let mut looks = 0;
        let met = until("three looks", Duration::from_secs(5), async || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(met.await.unwrap(), 3);
        until("truth", Duration::from_secs(5), async || true).await.unwrap();
    }

    #[tokio::test]
    async fn says_what_was_last_seen() {
        let mut looks = 0;
        let error = until("the impossible", Duration::from_millis(60), async || {
            looks += 1;
            Err::<(), _>(format!("look {looks}"))
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(
            error.starts_with("waited ") && error.ends_with(&format!(" for the impossible; last seen: look {looks}")),
            "{error}"
        );
        assert!(looks > 1);
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_outlast_the_deadline() {
        let error = until("an answer", Duration::from_millis(30), async || {
            future::pending::<bool>().await
        })
        .await;
        assert!(matches!(error, Err(Error::TimedOut { .. })));
    }
}
