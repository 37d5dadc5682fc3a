//! What to do where there is nothing but a redrive: whether it helps, and until when.

use super::{Advice, Situation, keeps, lost_locks};
use crate::alert::{Alert, Redrive};
use crate::mail::headline::state;
use crate::mail::words::{argument, minute, quoted};
use crate::redact::redact;

pub(super) fn advice(alert: &Alert, situation: Situation<'_>) -> Advice {
    let none = |text: String| Advice {
        texts: vec![text],
        command: None,
    };
    let until = match &alert.redrive {
        Redrive::Until(until) => format!("possible until {}", minute(*until)),
        Redrive::Unknown => "mostly possible for 14 days".to_owned(),
        Redrive::Not(why) => {
            let why = redact(why);
            return none(format!(
                "It cannot be redriven: {}. Start a new execution once the reason is gone.",
                why.trim_end_matches('.')
            ));
        }
    };
    let state = state(alert);
    let at = state.as_deref().unwrap_or("what failed");
    let text = match situation {
        Situation::LostLock => format!(
            "Redrive it once nobody else has the lock ({until}); before that it is stopped again. Or start a new execution, which asks for the lock like every other."
        ),
        Situation::Stopped => {
            format!("Nothing, if it was meant to stop. Otherwise a redrive goes on where it was stopped ({until}).")
        }
        Situation::TimedOut => format!(
            "Find out first what took so long. A redrive goes on with the states that were open, and keeps what has succeeded ({until})."
        ),
        Situation::Caught(handled) => {
            return none(format!(
                "A redrive does not help: it starts at {}, where the run ended, and not at {at}, whose failure was caught. Start a new execution once the reason is gone.",
                quoted(&handled.ended_at)
            ));
        }
        Situation::Fail => {
            return none(format!(
                "A redrive does not help: it starts at the Fail state {at}, which fails again at once. Start a new execution once the reason is gone."
            ));
        }
        Situation::Definition(error) => {
            return none(format!(
                "A redrive hardly helps, though it is {until}: it takes the same definition and the same data, and {error} comes of these. Start a new execution with what is right."
            ));
        }
        Situation::Failed => {
            let nested = match alert.children.is_empty() {
                true => "",
                false => ", with a new nested execution that begins from its start",
            };
            let keeps = keeps(alert);
            format!("Once the reason is gone, a redrive goes on at {at}{nested} ({until}).{keeps}")
        }
    };
    let mut texts = vec![text];
    if let Some(locks) = lost_locks(alert).filter(|_| !matches!(situation, Situation::LostLock)) {
        texts.push(format!(
            "It no longer has {locks}. If another run has it by then, the redriven run is stopped again."
        ));
    }
    let execution = &alert.end.execution;
    Advice {
        texts,
        command: Some(format!(
            "aws stepfunctions redrive-execution --execution-arn {} --region {}",
            argument(execution.as_str()),
            execution.machine().region()
        )),
    }
}
