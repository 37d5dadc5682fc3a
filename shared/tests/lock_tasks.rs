//! Task tokens of the lock in Step Functions: what is sent, and what is made of every answer and every history.

mod wire;

use serde_json::{Value, json};
use signalbox::arn::ExecutionArn;
use signalbox::aws::CallError;
use signalbox::quotas::{CAUSE_CHARS, ERROR_CHARS};
use signalbox::tasks::TaskToken;
use signalbox::tasks::{Outcome, Sent, SfnTasks, Tasks};

use wire::{Answer, TOLD, Wire, denied, error, ok};

const RUN: &str = "arn:aws:states:eu-west-1:123456789012:execution:orders:nightly";
/// Whoever has it can end the task: it stands in no error and no debug output.
const SECRET: &str = "AQCEAAAAKgAAAAMAAAAAAAAAAQ5ecret+/==";

fn token() -> TaskToken {
    TaskToken::parse(SECRET).expect("a good token")
}

fn run() -> ExecutionArn {
    ExecutionArn::parse(RUN).expect("a good ARN")
}

fn tasks(wire: &Wire) -> SfnTasks {
    SfnTasks::new(wire::client!(aws_sdk_sfn, wire))
}

/// The three calls that send to a token.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Succeed,
    Fail,
    Beat,
}

const CALLS: [Call; 3] = [Call::Succeed, Call::Fail, Call::Beat];

impl Call {
    fn operation(self) -> &'static str {
        match self {
            Self::Succeed => "SendTaskSuccess",
            Self::Fail => "SendTaskFailure",
            Self::Beat => "SendTaskHeartbeat",
        }
    }

    fn api(self) -> String {
        format!("states:{}", self.operation())
    }

    /// How many attempts the SDK makes of a call that may be repeated. An answer may be repeated only by somebody who
    /// knows that the first one was not accepted.
    fn attempts(self) -> usize {
        match self {
            Self::Succeed | Self::Fail => 1,
            Self::Beat => 4,
        }
    }

    /// What the adapter makes of this answer, however often it is given, and how many attempts were made.
    async fn answered(self, answer: Answer) -> (Result<Sent, CallError>, usize) {
        let wire = Wire::with(vec![answer; 9]);
        let sent = self.on(&tasks(&wire)).await;
        (sent, wire.attempts())
    }

    async fn on(self, tasks: &SfnTasks) -> Result<Sent, CallError> {
        let sent = match self {
            Self::Succeed => tasks.succeed(&token(), r#"{"acquired":true}"#).await,
            Self::Fail => tasks.fail(&token(), "Lock.WaitTimeout", "it waited for too long").await,
            Self::Beat => tasks.beat(&token()).await,
        };
        let text = format!(
            "{sent:?} {}",
            sent.as_ref().map_or_else(ToString::to_string, |_| String::new())
        );
        assert!(!text.contains(SECRET), "{text}");
        sent
    }
}

#[tokio::test]
async fn each_call_sends_exactly_this() {
    for (call, sent) in [
        (
            Call::Succeed,
            json!({"taskToken": SECRET, "output": r#"{"acquired":true}"#}),
        ),
        (
            Call::Fail,
            json!({"taskToken": SECRET, "error": "Lock.WaitTimeout", "cause": "it waited for too long"}),
        ),
        (Call::Beat, json!({"taskToken": SECRET})),
    ] {
        let wire = Wire::with([ok(&json!({}))]);
        assert_eq!(call.on(&tasks(&wire)).await, Ok(Sent::Accepted));
        assert_eq!(wire.only(), (format!("AWSStepFunctions.{}", call.operation()), sent));
    }
}

#[tokio::test]
async fn an_error_and_a_cause_that_are_too_long_are_cut_at_a_character() {
    let wire = Wire::with(vec![ok(&json!({})); 2]);
    for more in [0, 1] {
        let (error, cause) = ("é".repeat(ERROR_CHARS + more), "é".repeat(CAUSE_CHARS + more));
        tasks(&wire).fail(&token(), &error, &cause).await.unwrap();
    }
    for (_, body) in wire.sent() {
        assert_eq!(body["error"], "é".repeat(ERROR_CHARS));
        assert_eq!(body["cause"], "é".repeat(CAUSE_CHARS));
    }
}

#[tokio::test]
async fn a_token_that_nobody_waits_for_is_closed() {
    for call in CALLS {
        for code in ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] {
            assert_eq!(
                call.answered(error(code)).await,
                (Ok(Sent::Closed), 1),
                "{call:?} {code}"
            );
        }
    }
}

/// An answer that was accepted must not be repeated: the second attempt would find the token closed by the first, and a
/// run that was told would be taken for one that was not.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_not_known_and_nothing_is_sent_again() {
    for call in CALLS {
        for (answer, says) in [
            (Answer::Lost, "the connection broke"),
            (Answer::Silence, "timeout"),
            (error("InternalServerError"), TOLD),
            (unavailable(), "ServiceUnavailable: later"),
        ]
        .into_iter()
        // A success has no body that could be nonsense.
        .chain(wire::nonsense().into_iter().skip(1))
        {
            let (sent, attempts) = call.answered(answer.clone()).await;
            let Ok(Sent::Unknown(error)) = sent else {
                panic!("{call:?} {answer:?}: {sent:?}")
            };
            assert_eq!(error.api, call.api());
            assert!(error.to_string().contains(says), "{error}");
            assert!(!error.is_throttling() && !error.is_access_denied());
            assert_eq!(attempts, call.attempts(), "{call:?} {answer:?}");
        }
    }
}

/// A failure on the way that has a code all the same.
fn unavailable() -> Answer {
    let body = json!({"__type": "ServiceUnavailable", "message": "later"});
    Answer::Http(503, body.to_string())
}

/// Something between answered in the service's place: whether the service has seen the call, nobody knows.
#[tokio::test]
async fn a_refusal_that_is_not_the_services_own_is_not_known() {
    for call in CALLS {
        for (status, body) in [
            (403, "<html>"),
            (408, ""),
            (408, "{}"),
            (413, r#"{"message": "too large"}"#),
        ] {
            let (sent, attempts) = call.answered(Answer::Http(status, body.to_owned())).await;
            let Ok(Sent::Unknown(error)) = sent else {
                panic!("{call:?} {status} {body}: {sent:?}")
            };
            assert!(error.to_string().contains(&format!("HTTP {status}: ")), "{error}");
            assert_eq!(attempts, 1);
        }
    }
}

/// Also with a real connection, which the client may have been using before.
#[tokio::test]
async fn a_connection_that_cannot_be_made_is_not_known_either() {
    for call in CALLS {
        let tasks = SfnTasks::new(wire::nobody!(aws_sdk_sfn));
        let Ok(Sent::Unknown(error)) = call.on(&tasks).await else {
            panic!("{call:?}")
        };
        let text = error.to_string();
        assert!(
            text.contains("dispatch failure") && text.contains("Connection refused"),
            "{text}"
        );
    }
}

/// It certainly was not accepted: whoever sent it may send it again.
#[tokio::test(start_paused = true)]
async fn throttling_is_an_error_that_says_so() {
    for call in CALLS {
        for code in [
            "ThrottlingException",
            "TooManyRequestsException",
            "RequestLimitExceeded",
        ] {
            let (sent, attempts) = call.answered(error(code)).await;
            let error = sent.unwrap_err();
            assert_eq!((error.api, error.code.as_deref()), (call.api().as_str(), Some(code)));
            assert!(error.is_throttling());
            assert_eq!(attempts, call.attempts(), "{call:?} {code}");
        }
    }
}

/// The SDK does not know that one, and does not repeat it.
#[tokio::test(start_paused = true)]
async fn throttling_by_the_key_of_a_pipeline_is_throttling_too() {
    for call in CALLS {
        let (sent, attempts) = call.answered(error("KmsThrottlingException")).await;
        assert!(sent.unwrap_err().is_throttling());
        assert_eq!(attempts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_beat_is_repeated_until_it_is_answered() {
    for (again, then, sent) in [
        (error("ThrottlingException"), ok(&json!({})), Sent::Accepted),
        (Answer::Lost, ok(&json!({})), Sent::Accepted),
        (Answer::Silence, error("TaskTimedOut"), Sent::Closed),
        (error("InternalServerError"), error("TaskDoesNotExist"), Sent::Closed),
    ] {
        let wire = Wire::with([again.clone(), again, then]);
        assert_eq!(Call::Beat.on(&tasks(&wire)).await, Ok(sent));
        assert_eq!(wire.attempts(), 3);
    }
}

#[tokio::test]
async fn what_the_service_refuses_is_an_error() {
    for call in CALLS {
        for code in [
            "InvalidOutput",
            "KmsInvalidStateException",
            "ValidationException",
            "UnrecognizedClientException",
            "SomethingNew",
        ] {
            let (sent, attempts) = call.answered(error(code)).await;
            let error = sent.unwrap_err();
            assert_eq!(error.to_string(), format!("{} failed: {code}: {TOLD}", call.api()));
            assert!(!error.is_throttling() && !error.is_access_denied());
            assert_eq!(attempts, 1);
        }
        for answer in [
            denied(),
            error("AccessDeniedException"),
            error("KmsAccessDeniedException"),
        ] {
            let (sent, attempts) = call.answered(answer).await;
            assert!(sent.unwrap_err().is_access_denied());
            assert_eq!(attempts, 1);
        }
    }
}

/// The events of an execution: `5<4 TaskSubmitted` is the fifth, and follows the fourth. A task may have a token: `mine`
/// is the one that is looked for.
fn events(lines: &[&str]) -> Vec<Value> {
    lines
        .iter()
        .map(|line| {
            let mut words = line.split([' ', '<']);
            let mut word = || words.next();
            let (id, previous) = (word().expect("an id"), word().expect("the id before it"));
            let mut event = json!({
                "timestamp": 1_769_832_012.345,
                "id": id.parse::<i64>().expect("a number"),
                "previousEventId": previous.parse::<i64>().expect("a number"),
                "type": word().expect("a type"),
            });
            if let Some(token) = word() {
                let token = if token == "mine" { SECRET } else { token };
                let parameters = json!({"FunctionName": "lock-acquire", "Payload": {"lock": "a", "token": token}});
                event["taskScheduledEventDetails"] = json!({
                    "resourceType": "lambda", "resource": "invoke.waitForTaskToken", "region": "eu-west-1",
                    "parameters": parameters.to_string(),
                });
            }
            event
        })
        .collect()
}

/// A history as it is answered, the latest event first, so many on a page.
fn pages(lines: &[&str], size: usize) -> Vec<Answer> {
    let mut events = events(lines);
    events.reverse();
    let pages: Vec<&[Value]> = events.chunks(size).collect();
    let last = pages.len() - 1;
    let page = |(number, events): (usize, &&[Value])| match number == last {
        true => ok(&json!({"events": events})),
        false => ok(&json!({"events": events, "nextToken": format!("page {}", number + 1)})),
    };
    pages.iter().enumerate().map(page).collect()
}

async fn outcome(answers: Vec<Answer>) -> (Result<Outcome, CallError>, Wire) {
    let wire = Wire::with(answers);
    (tasks(&wire).outcome(&run(), &token()).await, wire)
}

/// However the history is cut into pages.
async fn holds(lines: &[&str], expected: Outcome) {
    for size in 1..=lines.len() {
        let (outcome, _) = outcome(pages(lines, size)).await;
        assert_eq!(outcome, Ok(expected), "{lines:#?}, {size} on a page");
    }
}

const BEGUN: [&str; 2] = ["1<0 ExecutionStarted", "2<0 TaskStateEntered"];

async fn holds_after_beginning(lines: &[&str], expected: Outcome) {
    holds(&[&BEGUN, lines].concat(), expected).await;
}

#[tokio::test]
async fn the_history_is_read_from_its_end_with_the_parameters_of_its_tasks() {
    let lines = [
        "1<0 ExecutionStarted",
        "2<0 TaskStateEntered",
        "3<2 TaskScheduled other",
        "4<3 TaskSucceeded",
        "5<4 TaskScheduled mine",
        "6<5 TaskStarted",
        "7<6 TaskSucceeded",
    ];
    let (outcome, wire) = outcome(pages(&lines, 2)).await;
    assert_eq!(outcome, Ok(Outcome::Succeeded));
    let asked: Vec<Value> = ["", "page 1"]
        .iter()
        .map(|token| {
            let mut body = json!({
                "executionArn": RUN, "reverseOrder": true, "includeExecutionData": true, "maxResults": 1000,
            });
            if !token.is_empty() {
                body["nextToken"] = json!(token);
            }
            body
        })
        .collect();
    // Not a page further than where the task is found.
    let target = "AWSStepFunctions.GetExecutionHistory".to_owned();
    assert_eq!(wire.sent(), asked.map_into(|body| (target.clone(), body)));
}

trait MapInto<T> {
    fn map_into<U>(self, change: impl FnMut(T) -> U) -> Vec<U>;
}

impl<T> MapInto<T> for Vec<T> {
    fn map_into<U>(self, change: impl FnMut(T) -> U) -> Vec<U> {
        self.into_iter().map(change).collect()
    }
}

#[tokio::test]
async fn a_task_has_ended_as_the_last_event_of_its_chain_says() {
    let waits = ["3<2 TaskScheduled mine", "4<3 TaskStarted", "5<4 TaskSubmitted"];
    for (end, expected) in [
        ("6<5 TaskSucceeded", Outcome::Succeeded),
        ("6<5 TaskFailed", Outcome::Failed),
        ("6<5 TaskTimedOut", Outcome::Failed),
        ("6<5 TaskStateAborted", Outcome::Failed),
    ] {
        holds_after_beginning(&[&waits[..], &[end]].concat(), expected).await;
        holds_after_beginning(&[&waits[..], &[end, "7<6 TaskStateExited"]].concat(), expected).await;
    }
    for (chain, expected) in [
        (&["3<2 TaskScheduled mine", "4<3 TaskTimedOut"][..], Outcome::Failed),
        (&["3<2 TaskScheduled mine", "4<3 TaskStartFailed"], Outcome::Failed),
        (
            &["3<2 TaskScheduled mine", "4<3 TaskStarted", "5<4 TaskSubmitFailed"],
            Outcome::Failed,
        ),
        (
            &["3<2 TaskScheduled mine", "4<3 TaskStarted", "5<4 TaskFailed"],
            Outcome::Failed,
        ),
    ] {
        holds_after_beginning(chain, expected).await;
    }
}

/// The function has sent to the token before its own invocation was over.
#[tokio::test]
async fn a_success_may_come_before_the_task_is_submitted() {
    for chain in [
        &["3<2 TaskScheduled mine", "4<3 TaskStarted", "5<4 TaskSucceeded"][..],
        &[
            "3<2 TaskScheduled mine",
            "4<3 TaskStarted",
            "5<4 TaskSucceeded",
            "6<4 TaskSubmitted",
        ],
        &[
            "3<2 TaskScheduled mine",
            "4<3 TaskStarted",
            "5<4 TaskSubmitted",
            "6<4 TaskSucceeded",
        ],
        &[
            "3<2 TaskScheduled mine",
            "4<3 TaskSucceeded",
            "5<3 TaskStarted",
            "6<5 TaskSubmitted",
        ],
    ] {
        holds_after_beginning(chain, Outcome::Succeeded).await;
    }
}

#[tokio::test]
async fn a_task_that_has_not_ended_is_unclear() {
    for chain in [
        &["3<2 TaskScheduled mine"][..],
        &["3<2 TaskScheduled mine", "4<3 TaskStarted"],
        &["3<2 TaskScheduled mine", "4<3 TaskStarted", "5<4 TaskSubmitted"],
    ] {
        holds_after_beginning(chain, Outcome::Unclear).await;
    }
}

#[tokio::test]
async fn a_token_that_the_history_does_not_show_is_unclear() {
    holds_after_beginning(&[], Outcome::Unclear).await;
    let other = ["3<2 TaskScheduled other", "4<3 TaskStarted", "5<4 TaskSucceeded"];
    holds_after_beginning(&other, Outcome::Unclear).await;
    let (nothing, _) = outcome(vec![ok(&json!({"events": []}))]).await;
    assert_eq!(nothing, Ok(Outcome::Unclear));
}

/// The events of branches stand between each other, and each follows its own.
#[tokio::test]
async fn what_other_branches_do_is_theirs() {
    let begun = [
        "3<2 TaskScheduled mine",
        "4<2 TaskScheduled other",
        "5<3 TaskStarted",
        "6<4 TaskStarted",
    ];
    for (rest, expected) in [
        (
            &["7<6 TaskSubmitted", "8<5 TaskSubmitted", "9<7 TaskSucceeded"][..],
            Outcome::Unclear,
        ),
        (
            &["7<6 TaskSucceeded", "8<5 TaskSubmitted", "9<8 TaskTimedOut"],
            Outcome::Failed,
        ),
        (&["7<6 TaskFailed", "8<5 TaskSucceeded"], Outcome::Succeeded),
        (
            &[
                "7<5 TaskSubmitted",
                "8<6 TaskSubmitted",
                "9<8 TaskFailed",
                "10<7 TaskSucceeded",
            ],
            Outcome::Succeeded,
        ),
        (
            &[
                "7<6 TaskSucceeded",
                "8<7 TaskStateExited",
                "9<8 TaskStateEntered",
                "10<9 TaskScheduled third",
                "11<10 TaskFailed",
            ],
            Outcome::Unclear,
        ),
    ] {
        holds_after_beginning(&[&begun[..], rest].concat(), expected).await;
    }
}

/// As recorded: all that was open in a Parallel or a Map state is aborted, and each of these events follows the failure,
/// which is another branch's. Whose they are, the states around the failure tell.
#[tokio::test]
async fn a_task_is_aborted_with_the_state_around_it() {
    let parallel = [
        "3<2 ParallelStateEntered",
        "4<3 ParallelStateStarted",
        "5<4 TaskStateEntered",
        "6<5 TaskScheduled mine",
        "7<6 TaskStarted",
        "8<7 TaskSubmitted",
        "9<4 TaskStateEntered",
        "10<9 TaskScheduled other",
    ];
    let failed = ["11<10 TaskFailed", "12<11 TaskStateAborted", "13<11 TaskStateAborted"];
    for rest in [
        &["14<11 ParallelStateFailed", "15<14 ParallelStateExited"][..],
        // It is tried again: all of it is scheduled again too.
        &[
            "14<11 ParallelStateStarted",
            "15<14 TaskStateEntered",
            "16<15 TaskScheduled third",
        ],
        &[],
    ] {
        holds_after_beginning(&[&parallel[..], &failed, rest].concat(), Outcome::Failed).await;
    }
    let succeeds = ["11<8 TaskSucceeded", "12<10 TaskFailed", "13<12 TaskStateAborted"];
    holds_after_beginning(&[&parallel[..], &succeeds].concat(), Outcome::Succeeded).await;

    // A state in the other branch fails and is caught: nothing happens to this task.
    for inner in ["Map", "Parallel"] {
        let inner = [
            "10<9 StateEntered",
            "11<10 StateStarted",
            "12<11 FailStateEntered",
            "13<12 TaskStateAborted",
            "14<12 StateFailed",
        ]
        .map(|line| line.replace(" State", &format!(" {inner}State")));
        let inner = inner.each_ref().map(String::as_str);
        let exited = format!("15<14 {}", inner[4].replace("14<12 ", "").replace("Failed", "Exited"));
        for rest in [
            &[][..],
            &[&*exited, "16<15 TaskStateEntered", "17<16 TaskScheduled other"],
        ] {
            holds_after_beginning(&[&parallel[..7], &inner, rest].concat(), Outcome::Unclear).await;
        }
        // It is not caught, or what comes behind it fails: the Parallel around both does, and the task with it.
        for failed in [
            &["15<14 TaskStateAborted", "16<14 ParallelStateFailed"][..],
            &[
                &*exited,
                "16<15 FailStateEntered",
                "17<16 TaskStateAborted",
                "18<16 ParallelStateFailed",
            ],
        ] {
            holds_after_beginning(&[&parallel[..7], &inner, failed].concat(), Outcome::Failed).await;
        }
    }
}

/// All that was open inside goes with it, however deep.
#[tokio::test]
async fn a_task_is_aborted_with_every_state_around_it() {
    let nested = [
        "3<2 ParallelStateEntered",
        "4<3 ParallelStateStarted",
        "5<4 MapStateEntered",
        "6<5 MapStateStarted",
        "7<6 MapIterationStarted",
        "8<7 TaskStateEntered",
        "9<8 TaskScheduled mine",
        "10<6 MapIterationStarted",
        "11<10 TaskStateEntered",
        "12<4 PassStateEntered",
    ];
    for failed in [
        &[
            "13<12 FailStateEntered",
            "14<13 TaskStateAborted",
            "15<13 MapStateAborted",
            "16<13 ParallelStateFailed",
        ][..],
        &[
            "13<11 TaskFailed",
            "14<13 MapIterationFailed",
            "15<13 TaskStateAborted",
            "16<13 MapStateFailed",
        ],
    ] {
        holds_after_beginning(&[&nested[..], failed].concat(), Outcome::Failed).await;
    }
}

/// An attempt of the state around it that failed before this task was scheduled had other tasks.
#[tokio::test]
async fn a_task_outlives_what_was_aborted_before_it() {
    let lines = [
        "3<2 ParallelStateEntered",
        "4<3 ParallelStateStarted",
        "5<4 TaskStateEntered",
        "6<5 TaskScheduled other",
        "7<4 FailStateEntered",
        "8<7 TaskStateAborted",
        "9<7 ParallelStateStarted",
        "10<9 TaskStateEntered",
        "11<10 TaskScheduled mine",
    ];
    holds_after_beginning(&lines, Outcome::Unclear).await;
    // An abort somewhere else, later.
    let elsewhere = [
        "12<9 MapStateEntered",
        "13<12 MapStateStarted",
        "14<13 FailStateEntered",
        "15<14 TaskStateAborted",
        "16<14 MapStateFailed",
    ];
    holds_after_beginning(&[&lines[..], &elsewhere].concat(), Outcome::Unclear).await;
}

/// Whatever was open then did not get what it was sent; a redrive schedules it again, with another token.
#[tokio::test]
async fn no_task_outlives_its_execution() {
    let waits = ["3<2 TaskScheduled mine", "4<3 TaskStarted", "5<4 TaskSubmitted"];
    for end in [
        "ExecutionAborted",
        "ExecutionTimedOut",
        "ExecutionFailed",
        "ExecutionSucceeded",
    ] {
        for previous in [5, 0] {
            let end = format!("6<{previous} {end}");
            holds_after_beginning(&[&waits[..], &[&end]].concat(), Outcome::Failed).await;
            let again = [
                &*end,
                "7<6 ExecutionRedriven",
                "8<7 TaskScheduled other",
                "9<8 TaskSucceeded",
            ];
            holds_after_beginning(&[&waits[..], &again].concat(), Outcome::Failed).await;
        }
    }
    let redriven = [&waits[..], &["6<5 ExecutionRedriven"]].concat();
    holds_after_beginning(&redriven, Outcome::Failed).await;
    let succeeded = [
        &waits[..],
        &["6<5 TaskSucceeded", "7<6 FailStateEntered", "8<7 ExecutionFailed"],
    ]
    .concat();
    holds_after_beginning(&succeeded, Outcome::Succeeded).await;
    let since = [
        "3<2 ExecutionAborted",
        "4<3 ExecutionRedriven",
        "5<4 TaskScheduled mine",
        "6<5 TaskStarted",
    ];
    holds_after_beginning(&since, Outcome::Unclear).await;
}

/// What comes behind an event that this version does not know, it does not guess.
#[tokio::test]
async fn an_unknown_event_leaves_open_how_the_task_ended() {
    let chain = [
        "3<2 TaskScheduled mine",
        "4<3 TaskStarted",
        "5<4 TaskPostponed",
        "6<5 TaskFailed",
    ];
    holds_after_beginning(&chain, Outcome::Unclear).await;
}

/// Each attempt has a token of its own.
#[tokio::test]
async fn of_the_attempts_of_a_state_only_the_tokens_own_counts() {
    for (first, second, expected) in [
        ("mine", "other", Outcome::Failed),
        ("other", "mine", Outcome::Succeeded),
    ] {
        let lines = [
            &format!("3<2 TaskScheduled {first}"),
            "4<3 TaskStarted",
            "5<4 TaskSubmitted",
            "6<5 TaskTimedOut",
            &format!("7<6 TaskScheduled {second}"),
            "8<7 TaskStarted",
            "9<8 TaskSubmitted",
            "10<9 TaskSucceeded",
        ];
        holds_after_beginning(&lines, expected).await;
    }
    // The attempt after it has begun, and says nothing of it.
    let lines = [
        "3<2 TaskScheduled other",
        "4<3 TaskTimedOut",
        "5<4 TaskScheduled mine",
        "6<5 TaskStarted",
    ];
    holds_after_beginning(&lines, Outcome::Unclear).await;
}

#[tokio::test]
async fn a_page_may_be_empty_with_more_to_come() {
    let mut answers = pages(&["1<0 TaskScheduled mine", "2<1 TaskSucceeded"], 1);
    answers.insert(1, ok(&json!({"events": [], "nextToken": "page 1 again"})));
    let (outcome, wire) = outcome(answers).await;
    assert_eq!(outcome, Ok(Outcome::Succeeded));
    let tokens: Vec<Value> = wire.sent().iter().map(|(_, body)| body["nextToken"].clone()).collect();
    assert_eq!(json!(tokens), json!([null, "page 1", "page 1 again"]));
}

/// The SDK ends the history there, without an error: whatever is further back stays unknown.
#[tokio::test]
async fn a_history_that_does_not_go_on_is_unclear() {
    let again = ok(&json!({"events": events(&["9<8 TaskStateEntered"]), "nextToken": "one"}));
    let (outcome, _) = outcome(vec![again; 9]).await;
    assert_eq!(outcome, Ok(Outcome::Unclear));
}

#[tokio::test]
async fn a_history_that_may_not_be_read_is_unreadable() {
    for answer in [
        denied(),
        error("AccessDeniedException"),
        error("KmsAccessDeniedException"),
    ] {
        let (all, wire) = outcome(vec![answer.clone(); 9]).await;
        assert_eq!((all, wire.attempts()), (Ok(Outcome::Unreadable), 1));

        let first = ok(&json!({"events": events(&["9<8 TaskSucceeded"]), "nextToken": "one"}));
        let (rest, _) = outcome(vec![first, answer]).await;
        assert_eq!(rest, Ok(Outcome::Unreadable));
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_that_cannot_be_read_now_is_an_error() {
    for (answer, code, attempts) in [
        (error("ExecutionDoesNotExist"), Some("ExecutionDoesNotExist"), 1),
        (error("InvalidArn"), Some("InvalidArn"), 1),
        (error("InvalidToken"), Some("InvalidToken"), 1),
        (error("KmsInvalidStateException"), Some("KmsInvalidStateException"), 1),
        (error("SomethingNew"), Some("SomethingNew"), 1),
        (error("ThrottlingException"), Some("ThrottlingException"), 4),
        (error("InternalServerError"), Some("InternalServerError"), 4),
        (Answer::Lost, None, 4),
        (Answer::Silence, None, 4),
        (Answer::Http(503, "<html>".to_owned()), None, 4),
        (Answer::Http(200, "<html>".to_owned()), None, 1),
    ] {
        let (all, wire) = outcome(vec![answer.clone(); 9]).await;
        let error = all.expect_err(&format!("{answer:?}"));
        assert_eq!((error.api, error.code.as_deref()), ("states:GetExecutionHistory", code));
        assert_eq!(wire.attempts(), attempts, "{answer:?}");

        let first = ok(&json!({"events": events(&["9<8 TaskSucceeded"]), "nextToken": "one"}));
        let (rest, _) = outcome([vec![first], vec![answer; 9]].concat()).await;
        assert_eq!(rest.unwrap_err().code.as_deref(), code);
    }
    let again = error("ThrottlingException");
    let found = pages(&["1<0 TaskScheduled mine", "2<1 TaskSucceeded"], 2);
    let (outcome, _) = outcome([vec![again.clone(), again], found].concat()).await;
    assert_eq!(outcome, Ok(Outcome::Succeeded));
}
