use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use signalbox::clock::Timestamp;

use super::*;

/// Time passes by sleeping alone.
#[derive(Default)]
struct Asleep(Cell<Duration>);

impl Clock for Asleep {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0).after(self.0.get())
    }

    async fn sleep(&self, span: Duration) {
        assert!(span <= PAUSE_MOST * 5 / 4, "{span:?}");
        self.0.set(self.0.get() + span);
    }

    fn jitter(&self, most: Duration) -> Duration {
        most
    }

    fn nonce(&self) -> u64 {
        0
    }
}

/// Looks that find this, and nothing after it.
struct Script(RefCell<VecDeque<Result<Option<String>, CallError>>>, Cell<usize>);

impl Script {
    fn of(looks: impl IntoIterator<Item = Result<Option<String>, CallError>>) -> Self {
        Self(RefCell::new(looks.into_iter().collect()), Cell::new(0))
    }
}

impl Logs for Script {
    async fn last_lines(&self, _: &LogStream, _: &str, _: usize) -> Result<Vec<String>, CallError> {
        unreachable!("nobody asks")
    }

    async fn result(&self, at: &LogStream, task: &str) -> Result<Option<String>, CallError> {
        assert_eq!((at.group.as_str(), task), ("/ecs/etl", "0123"));
        self.1.set(self.1.get() + 1);
        self.0.borrow_mut().pop_front().unwrap_or(Ok(None))
    }
}

async fn found(script: &Script) -> (Result<Option<String>, CallError>, Duration) {
    let at = LogStream {
        group: "/ecs/etl".to_owned(),
        prefix: "etl".to_owned(),
        container: "app".to_owned(),
        region: "eu-west-1".to_owned(),
    };
    let clock = Asleep::default();
    let found = find_result(script, &clock, &at, "0123").await;
    // Timestamps have milliseconds, pauses have more.
    (
        found,
        Duration::from_millis(u64::try_from(clock.0.get().as_millis()).unwrap()),
    )
}

fn error(code: Option<&str>) -> CallError {
    let mut error = CallError::malformed(GET, "told by the service");
    error.code = code.map(str::to_owned);
    error
}

#[tokio::test]
async fn a_result_is_taken_as_soon_as_it_is_there() {
    let there = || Ok(Some("{}".to_owned()));
    let (found_at_once, waited) = found(&Script::of([there()])).await;
    assert_eq!((found_at_once, waited), (there(), Duration::ZERO));

    let (found_later, waited) = found(&Script::of([Ok(None), Ok(None), there()])).await;
    assert_eq!(found_later, there());
    assert!(waited > PAUSE * 2 && waited < PAUSE * 4, "{waited:?}");
}

#[tokio::test]
async fn one_that_does_not_come_is_waited_for_to_the_end_and_no_longer() {
    let script = Script::of([]);
    let (found_nothing, waited) = found(&script).await;
    assert_eq!((found_nothing, waited), (Ok(None), WAIT));
    // Few enough for all the states that may wait at once.
    assert!((8..14).contains(&script.1.get()), "{}", script.1.get());
}

#[tokio::test]
async fn throttling_is_waited_out_and_any_other_error_is_not() {
    let throttled = || Err(error(Some("ThrottlingException")));
    let there = || Ok(Some("1".to_owned()));
    assert_eq!(found(&Script::of([throttled(), throttled(), there()])).await.0, there());
    let (failed, waited) = found(&Script::of(std::iter::repeat_with(throttled).take(99))).await;
    assert_eq!((failed, waited), (throttled(), WAIT));

    let denied = || Err(error(Some("AccessDeniedException")));
    let (failed, waited) = found(&Script::of([Ok(None), denied(), there()])).await;
    assert_eq!(failed, denied());
    assert!(waited < PAUSE * 2, "{waited:?}");
}
