//! One night of the example `deliveries`, which uses the whole fleet: started twice, kept apart, in turn with another
//! pipeline, with a container's value, failed by a slip, mailed, and gone on with the slip corrected.

use std::collections::BTreeMap;
use std::time::Duration;

use local_cloud::page::{Chart, Part};
use local_cloud::timeline::{Ink, Line, Span, Tone};
use local_cloud::visits::{self, Visit};
use local_cloud::{Account, Deployed, Error, Execution, Mail, Progress, seed, wait};
use serde_json::{Value, json};

use crate::Told;
use crate::resume::plan;

/// How long each thing may take that is waited for.
const WITHIN: Duration = Duration::from_mins(1);

/// The states of the pipeline.
const ASK: &str = "One run at a time";
const TAKE: &str = "Take the stockroom";
const WEIGH: &str = "Weigh";
const BOOK: &str = "Book";
const GIVE: &str = "Give the stockroom back";

/// How many parcels come on Monday and on Tuesday.
const PARCELS: [u64; 2] = [12, 20];

/// How long the container weighs them, and how long the stock is counted, in seconds.
const WEIGHS: u64 = 2;
const COUNTS: u64 = 3;

/// The delivery that is booked on Monday. On Tuesday somebody types it again, for the next one.
const BOOKED: &str = "D-103";
const MEANT: &str = "D-104";

/// An entry of the ledger: parcels, kilograms, fence.
type Entry = (u64, u64, u64);

/// What became of the night.
#[derive(Debug)]
pub(crate) struct Night {
    monday: Run,
    tuesday: Run,
    /// What the schedule started a second time.
    twice: Run,
    count: Run,
    resumed: Run,
    /// How many containers there were.
    containers: usize,
    ledger: BTreeMap<String, Entry>,
    failure: Mail,
    recovery: Mail,
    /// What was asked of `resume`, and its plan.
    request: Value,
    plan: Value,
}

/// A run that has ended.
#[derive(Debug, Clone)]
struct Run {
    execution: Execution,
    visits: Vec<Visit>,
}

impl Run {
    async fn of(account: &Account, arn: &str) -> Result<Self, Error> {
        let execution = account.wait_for_execution_within(arn, WITHIN).await?;
        let visits = visits::of(account, &execution).await?;
        Ok(Self { execution, visits })
    }

    fn visit(&self, state: &str) -> Option<&Visit> {
        self.visits.iter().find(|visit| visit.is_of(state))
    }

    /// From when to when it had the lock.
    fn held(&self) -> Option<(i64, i64)> {
        let from = self.visit(TAKE).filter(|visit| visit.left)?.to;
        let to = self.visit(GIVE).map_or(self.visits.last()?.to, |visit| visit.from);
        Some((from, to))
    }

    fn fence(&self) -> Option<u64> {
        self.execution.output.as_ref()?["fence"].as_u64()
    }
}

/// Runs it.
pub(crate) async fn one_night(account: &Account, fleet: &Deployed, progress: &Progress) -> Result<Night, Error> {
    let step = progress.step("pipeline", "deploying the example deliveries");
    let example = seed::deliveries(account, fleet).await?;
    let (deliveries, stocktaking) = (
        seed::deliveries_machine(&example)?,
        seed::stocktaking_machine(&example)?,
    );
    step.done("deliveries and stocktaking, which share a lock");

    let step = progress.step("monday", "a delivery is weighed and booked");
    let start = async |name, number, parcels| {
        let input = seed::delivery(number, parcels, WEIGHS);
        account.start_execution(deliveries, name, &input).await
    };
    let monday = start("monday", BOOKED, PARCELS[0]).await?;
    let monday = Run::of(account, &monday).await?;
    step.done("went through");

    let step = progress.step("tuesday", "started twice, and with a slip");
    let tuesday = start("tuesday", BOOKED, PARCELS[1]).await?;
    until_it_weighs(account, &tuesday).await?;
    let count = json!({"seconds": COUNTS});
    let (twice, count) = tokio::try_join!(
        start("tuesday-again", BOOKED, PARCELS[1]),
        account.start_execution(stocktaking, "stocktaking", &count)
    )?;
    let tuesday = Run::of(account, &tuesday).await?;
    let failure = mail(account, "[FAILED] deliveries").await?;
    step.done("failed, and was mailed");

    let step = progress.step("resume", "the slip is corrected");
    let resume = fleet.output("ResumeFunctionName")?;
    let ask = async |request: &Value| {
        let answer = account.invoke(resume, request).await;
        answer.map_err(|error| Error::unexpected(resume, error))
    };
    let request = json!({
        "executionArn": tuesday.execution.arn, "input": seed::delivery(MEANT, PARCELS[1], WEIGHS),
        "reason": "the next number was meant", "by": "ana",
    });
    let plan = ask(&request).await?;
    let applied = ask(&plan["apply"]).await?;
    let resumed = applied["executionArn"].as_str();
    let resumed = resumed.ok_or_else(|| Error::unexpected(resume, &applied))?;
    let resumed = Run::of(account, resumed).await?;
    let recovery = mail(account, "[RECOVERED] deliveries").await?;
    step.done("went through, and that was mailed");

    Ok(Night {
        monday,
        tuesday,
        twice: Run::of(account, &twice).await?,
        count: Run::of(account, &count).await?,
        resumed,
        containers: account.ecs_tasks().await?.len(),
        ledger: ledger(account, &example).await?,
        failure,
        recovery,
        request,
        plan,
    })
}

async fn until_it_weighs(account: &Account, arn: &str) -> Result<(), Error> {
    wait::until("the container to be asked for", WITHIN, async || {
        let run = account.execution(arn).await.map_err(|error| error.to_string())?;
        let visits = visits::of(account, &run).await.map_err(|error| error.to_string())?;
        match visits.last() {
            Some(last) if last.state == WEIGH => Ok(()),
            last => Err(format!("{last:?}, {:?}", run.error)),
        }
    })
    .await
}

async fn mail(account: &Account, subject: &str) -> Result<Mail, Error> {
    wait::until(&format!("a mail {subject}"), WITHIN, async || {
        let mails = account.mails().await.map_err(|error| error.to_string())?;
        let subjects: Vec<String> = mails.iter().map(|mail| mail.subject.clone()).collect();
        let mail = mails.into_iter().find(|mail| mail.subject.starts_with(subject));
        mail.ok_or_else(|| format!("{subjects:?}"))
    })
    .await
}

async fn ledger(account: &Account, example: &Deployed) -> Result<BTreeMap<String, Entry>, Error> {
    let items = account.dynamodb().scan().table_name(seed::deliveries_ledger(example)?);
    let items = items.send().await;
    let items = items.map_err(|error| Error::unexpected("DynamoDB.Scan", format!("{error:?}")))?;
    let items = items.items.unwrap_or_default().into_iter().filter_map(|item| {
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
        let entry = (number("parcels")?, number("kg")?, number("fence")?);
        Some((item.get("delivery")?.as_s().ok()?.clone(), entry))
    });
    Ok(items.collect())
}

/// Tells of the night, and whether all was as it should be.
pub(crate) fn tell(night: &Night) -> Told {
    let mut told = Told::about("A pipeline is started twice, has its turn, fails by a slip, and goes on");
    told.add(Part::Chart(Chart {
        heading: String::new(),
        lines: lines(night),
        legend: vec![
            (Ink::Dots, Tone::Held, "asks the guard"),
            (Ink::Light, Tone::Held, "waits for the lock"),
            (Ink::Medium, Tone::Good, "has the lock, its container works"),
            (Ink::Solid, Tone::Good, "has the lock"),
            (Ink::Solid, Tone::Held, "refused"),
            (Ink::Solid, Tone::Bad, "fails"),
        ],
    }));
    if let Some(fault) = fault(night) {
        told.fault(&format!("This is not what the fleet is for: {fault}."));
        return told;
    }
    let Night {
        tuesday,
        count,
        resumed,
        ..
    } = night;
    let since_it_failed = |at: i64| {
        let failed = tuesday.visits.last().map_or(at, |visit| visit.to);
        format!("{} ms", at - failed)
    };
    told.say(&format!(
        "One run at a time: the schedule fired twice. tuesday-again asked the guard, and was refused before it had done \
         anything. In turn: stocktaking wants the same stockroom, and waited for it without a call or a state \
         transition. When tuesday failed it gave nothing back; the event of its end did, and stocktaking had the stockroom \
         {} later.",
        since_it_failed(count.held().map_or(0, |(from, _)| from))
    ));
    told.say(&format!(
        "A value from a container: {WEIGH} runs a shell script on ECS that knows nothing of the pipeline, and puts a file to \
         a URL with curl. That makes the {} kg with which monday was booked.",
        seed::weight(PARCELS[0])
    ));
    told.say(&format!(
        "In words: somebody had typed {BOOKED} again for {MEANT}, and no delivery is booked twice. This was mailed {} after:",
        since_it_failed(night.failure.at)
    ));
    told.add(mailed(&night.failure));
    told.say(
        "From where it failed: the command of that mail, with what the state should have been given. Nothing is changed by it:",
    );
    told.add(Part::Command(format!(
        "sam remote invoke ResumeFunction --stack-name signalbox --event '{}'",
        night.request
    )));
    told.add(Part::Rows(plan(&night.request, &night.plan).split_off(1)));
    told.say("The plan has the command that does it, and nothing else than what was looked at:");
    if let Some(command) = night.plan["command"].as_str() {
        told.add(Part::Command(command.to_owned()));
    }
    told.say(&format!(
        "It is {} in the picture: a run of a clone. It asked the guard, which waits until a failure is 10 seconds old, as \
         somebody may be redriving it; had the stockroom, with a higher fence; and booked the {} kg that tuesday's \
         container had found. No container ran again. The ledger, and the last mail:",
        resumed.execution.name,
        seed::weight(PARCELS[1])
    ));
    let entries = night.ledger.iter();
    let entries = entries.map(|(delivery, (parcels, kg, fence))| {
        let text = format!("{parcels} parcels, {kg:>3} kg, fence {fence}");
        (delivery.clone(), vec![text])
    });
    told.add(Part::Rows(entries.collect()));
    told.add(mailed(&night.recovery));
    told
}

fn mailed(mail: &Mail) -> Part {
    Part::Mail {
        to: mail.endpoint.clone(),
        subject: mail.subject.clone(),
        body: mail.body.clone(),
    }
}

fn lines(night: &Night) -> Vec<Line> {
    let Night {
        monday,
        tuesday,
        twice,
        count,
        resumed,
        ..
    } = night;
    let zero = monday.visits.first().map_or(0, |visit| visit.from);
    let since = |at: i64| Duration::from_millis(u64::try_from(at - zero).unwrap_or_default());
    let line = |run: &Run, text: String, tone: Tone| {
        let looks = |visit: &Visit| match visit.left {
            false if visit.is_of(ASK) => (Ink::Solid, Tone::Held),
            true if visit.is_of(ASK) => (Ink::Dots, Tone::Held),
            _ if visit.is_of(TAKE) => (Ink::Light, Tone::Held),
            _ if visit.is_of(WEIGH) => (Ink::Medium, Tone::Good),
            false => (Ink::Solid, Tone::Bad),
            true => (Ink::Solid, Tone::Good),
        };
        // Not the states before the guard, with which a clone begins.
        let shown = run.visits.iter().filter(|visit| {
            let had = run.held().is_some_and(|(from, _)| from <= visit.from);
            had || visit.is_of(TAKE) || visit.is_of(ASK)
        });
        let mut spans: Vec<Span> = Vec::new();
        for visit in shown {
            let (ink, tone) = looks(visit);
            let (from, to) = (since(visit.from), since(visit.to));
            match spans.last_mut() {
                Some(last) if (last.ink, last.tone) == (ink, tone) => last.to = to,
                _ => spans.push(Span { from, to, ink, tone }),
            }
        }
        Line {
            name: run.execution.name.clone(),
            spans,
            text,
            tone,
        }
    };
    let error = |run: &Run| run.execution.error.clone().unwrap_or_else(|| "no error".to_owned());
    let done = |run: &Run| {
        let output = run.execution.output.as_ref();
        match output.map(|output| output["delivery"].as_str()) {
            Some(Some(delivery)) => line(run, format!("booked {delivery}"), Tone::Good),
            Some(None) => line(run, "counted".to_owned(), Tone::Good),
            None => line(run, error(run), Tone::Bad),
        }
    };
    vec![
        done(monday),
        line(tuesday, format!("failed at {BOOK}"), Tone::Bad),
        line(twice, error(twice), Tone::Held),
        done(count),
        done(resumed),
    ]
}

/// What was not as it should be, in a sentence.
fn fault(night: &Night) -> Option<String> {
    let Night {
        monday,
        tuesday,
        twice,
        count,
        resumed,
        ..
    } = night;
    let error = |run: &Run| run.execution.error.clone().unwrap_or_default();
    for run in [monday, count, resumed] {
        if !run.execution.succeeded() {
            return Some(format!("{} ended with {}", run.execution.name, error(run)));
        }
    }
    for (run, expected) in [
        (tuesday, "DynamoDB.ConditionalCheckFailedException"),
        (twice, "OverlapGuard.Overlapping"),
    ] {
        if error(run) != expected {
            let name = &run.execution.name;
            return Some(format!("{name} should have failed with {expected}, not {}", error(run)));
        }
    }
    if let Some(visit) = twice.visit(TAKE) {
        return Some(format!("{} came to {}", twice.execution.name, visit.state));
    }
    if tuesday.visits.last().is_none_or(|visit| !visit.is_of(BOOK)) {
        return Some(format!("tuesday did not fail at {BOOK}"));
    }
    for pair in [monday, tuesday, count, resumed].windows(2) {
        let [one, next] = [pair[0], pair[1]].map(Run::held);
        if one.zip(next).is_none_or(|(one, next)| one.1 > next.0) {
            let [one, next] = [pair[0], pair[1]].map(|run| &run.execution.name);
            return Some(format!("{next} did not have the lock after {one}"));
        }
    }
    let fences = [monday, count, resumed].map(Run::fence);
    if !fences.is_sorted_by(|one, next| one.is_some() && one < next) {
        return Some(format!("the fences are {fences:?}"));
    }
    if night.containers != 2 || resumed.visit(WEIGH).is_some() {
        return Some(format!("there were {} containers", night.containers));
    }
    let entry = |parcels, run: &Run| (parcels, seed::weight(parcels), run.fence().unwrap_or_default());
    let expected: BTreeMap<String, Entry> = [
        (BOOKED.to_owned(), entry(PARCELS[0], monday)),
        (MEANT.to_owned(), entry(PARCELS[1], resumed)),
    ]
    .into();
    if night.ledger != expected {
        return Some(format!("the ledger has {:?}, not {expected:?}", night.ledger));
    }
    (!night.failure.subject.contains(BOOK)).then(|| format!("the mail does not say that {BOOK} failed"))
}

#[cfg(test)]
mod tests {
    use super::Ink::{Dots, Light, Medium, Solid};
    use super::*;
    use std::time::SystemTime;

    fn run(name: &str, visits: &[(&str, i64, i64)], ended: &Result<Value, &str>) -> Run {
        let last = visits.len() - 1;
        let visit = |(number, &(state, from, to)): (usize, &(&str, i64, i64))| Visit {
            state: state.to_owned(),
            iteration: None,
            from,
            to,
            left: ended.is_ok() || number < last,
        };
        Run {
            execution: Execution {
                arn: name.to_owned(),
                name: name.to_owned(),
                status: if ended.is_ok() { "SUCCEEDED" } else { "FAILED" }.into(),
                error: ended.as_ref().err().map(|&error| error.to_owned()),
                cause: None,
                output: ended.as_ref().ok().cloned(),
                started: SystemTime::UNIX_EPOCH,
                stopped: None,
            },
            visits: visits.iter().enumerate().map(visit).collect(),
        }
    }

    fn message(subject: &str) -> Mail {
        Mail {
            topic_arn: "topic".to_owned(),
            endpoint: "ana@example.com".to_owned(),
            subject: subject.to_owned(),
            body: "It failed.".to_owned(),
            at: 6_300,
        }
    }

    fn night() -> Night {
        let delivery = |number, fence| Ok(json!({"delivery": number, "fence": fence}));
        let (monday, tuesday, resumed) = (
            &[
                (ASK, 0, 100),
                (TAKE, 100, 200),
                (WEIGH, 200, 2_200),
                (BOOK, 2_200, 2_300),
                (GIVE, 2_300, 2_400),
                ("Booked", 2_400, 2_400),
            ],
            &[
                (ASK, 3_000, 3_100),
                (TAKE, 3_100, 3_200),
                (WEIGH, 3_200, 5_900),
                (BOOK, 5_900, 6_000),
            ],
            &[
                ("Book (variables)", 6_500, 6_500),
                ("One run at a time (again)", 6_500, 8_000),
                ("Take the stockroom (again)", 8_000, 9_000),
                ("Book (input)", 9_000, 9_000),
                (BOOK, 9_000, 9_100),
                (GIVE, 9_100, 9_200),
            ],
        );
        let count = [(TAKE, 3_500, 6_100), ("Count", 6_100, 8_900), (GIVE, 8_900, 9_000)];
        Night {
            monday: run("monday", monday, &delivery(BOOKED, 1)),
            tuesday: run("tuesday", tuesday, &Err("DynamoDB.ConditionalCheckFailedException")),
            twice: run(
                "tuesday-again",
                &[(ASK, 3_400, 3_500)],
                &Err("OverlapGuard.Overlapping"),
            ),
            count: run("stocktaking", &count, &Ok(json!({"fence": 3}))),
            resumed: run("tuesday-r-0", resumed, &delivery(MEANT, 4)),
            containers: 2,
            ledger: [
                (BOOKED.to_owned(), (12, seed::weight(12), 1)),
                (MEANT.to_owned(), (20, seed::weight(20), 4)),
            ]
            .into(),
            failure: message("[FAILED] deliveries at \"Book\""),
            recovery: message("[RECOVERED] deliveries"),
            request: json!({}),
            plan: json!({}),
        }
    }

    #[test]
    fn the_picture_shows_who_waits_and_who_has_the_lock() {
        let lines = lines(&night());
        let drawn: Vec<_> = lines
            .iter()
            .map(|line| {
                let spans = line.spans.iter();
                let spans = spans.map(|span| (span.ink, span.tone, span.from.as_millis(), span.to.as_millis()));
                (line.name.as_str(), spans.collect::<Vec<_>>(), line.text.as_str())
            })
            .collect();
        assert_eq!(
            drawn,
            [
                (
                    "monday",
                    vec![
                        (Dots, Tone::Held, 0, 100),
                        (Light, Tone::Held, 100, 200),
                        (Medium, Tone::Good, 200, 2_200),
                        (Solid, Tone::Good, 2_200, 2_400),
                    ],
                    "booked D-103"
                ),
                (
                    "tuesday",
                    vec![
                        (Dots, Tone::Held, 3_000, 3_100),
                        (Light, Tone::Held, 3_100, 3_200),
                        (Medium, Tone::Good, 3_200, 5_900),
                        (Solid, Tone::Bad, 5_900, 6_000),
                    ],
                    "failed at Book"
                ),
                (
                    "tuesday-again",
                    vec![(Solid, Tone::Held, 3_400, 3_500)],
                    "OverlapGuard.Overlapping"
                ),
                (
                    "stocktaking",
                    vec![(Light, Tone::Held, 3_500, 6_100), (Solid, Tone::Good, 6_100, 9_000)],
                    "counted"
                ),
                (
                    "tuesday-r-0",
                    vec![
                        (Dots, Tone::Held, 6_500, 8_000),
                        (Light, Tone::Held, 8_000, 9_000),
                        (Solid, Tone::Good, 9_000, 9_200),
                    ],
                    "booked D-104"
                ),
            ]
        );
    }

    #[test]
    fn every_fault_is_found() {
        assert_eq!(fault(&night()), None);
        assert!(tell(&night()).good);
        let told = |change: &dyn Fn(&mut Night)| {
            let mut night = night();
            change(&mut night);
            assert!(!tell(&night).good);
            fault(&night).unwrap_or_default()
        };
        let fails = |run: &mut Run, error: &str| {
            run.execution.status = "FAILED".into();
            run.execution.error = Some(error.to_owned());
        };
        assert_eq!(told(&|night| fails(&mut night.count, "X")), "stocktaking ended with X");
        assert_eq!(
            told(&|night| fails(&mut night.twice, "X")),
            "tuesday-again should have failed with OverlapGuard.Overlapping, not X"
        );
        assert_eq!(
            told(&|night| night.twice.visits = night.monday.visits.clone()),
            "tuesday-again came to Take the stockroom"
        );
        assert_eq!(
            told(&|night| night.tuesday.visits.truncate(3)),
            "tuesday did not fail at Book"
        );
        assert_eq!(
            told(&|night| night.count.visits[0].to = 5_000),
            "stocktaking did not have the lock after tuesday"
        );
        assert_eq!(
            told(&|night| night.resumed.execution.output = Some(json!({"fence": 3}))),
            "the fences are [Some(1), Some(3), Some(3)]"
        );
        assert_eq!(told(&|night| night.containers = 3), "there were 3 containers");
        let told_of_ledger = told(&|night| {
            night.ledger.remove(MEANT);
        });
        assert!(told_of_ledger.starts_with("the ledger has"), "{told_of_ledger}");
        assert_eq!(
            told(&|night| night.failure.subject = "[FAILED] deliveries".to_owned()),
            "the mail does not say that Book failed"
        );
    }
}
