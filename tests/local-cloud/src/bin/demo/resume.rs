//! A run that fails in the middle, because of a slip in its input, and goes on with the slip corrected.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_smithy_types::error::display::DisplayErrorContext;
use local_cloud::page::{Chart, Part};
use local_cloud::timeline::{Ink, Line, Span, Tone};
use local_cloud::visits::{self, Visit};
use local_cloud::{Account, Deployed, Error, Execution, Progress, seed};
use serde_json::{Value, json};

use crate::Told;

/// What became of both runs.
#[derive(Debug)]
pub(crate) struct Story {
    /// The run that failed, and the one that went on.
    runs: [Execution; 2],
    /// Their states.
    visits: [Vec<Visit>; 2],
    /// What was asked, and what `resume` answered: the plan.
    request: Value,
    plan: Value,
    /// How often something was posted to each account, after each of the runs.
    postings: [BTreeMap<String, u64>; 2],
}

/// Runs the pipeline with an invoice whose account does not exist, and resumes it with the right one.
pub(crate) async fn one_slip(
    account: &Account,
    fleet: &Deployed,
    example: &Deployed,
    progress: &Progress,
) -> Result<Story, Error> {
    let step = progress.step("a slip", "month-end fails, and goes on with its input corrected");
    let machine = seed::month_end_machine(example)?;
    let failed = account
        .start_execution(machine, "january", &seed::month_end_input())
        .await?;
    let failed = account.wait_for_execution(&failed).await?;
    let before = postings(account, example).await?;

    let resume = fleet.output("ResumeFunctionName")?;
    let ask = async |request: &Value| {
        let answer = account.invoke(resume, request).await;
        answer.map_err(|error| Error::unexpected(resume, error))
    };
    let request = json!({"executionArn": failed.arn, "input": seed::month_end_invoice()});
    let plan = ask(&request).await?;
    let applied = ask(&plan["apply"]).await?;
    let resumed = applied["executionArn"].as_str();
    let resumed = resumed.ok_or_else(|| Error::unexpected(resume, &applied))?;
    let resumed = account.wait_for_execution(resumed).await?;
    let after = postings(account, example).await?;

    let visits = [
        visits::of(account, &failed).await?,
        visits::of(account, &resumed).await?,
    ];
    step.done("month-end failed, and went on by a clone");
    Ok(Story {
        runs: [failed, resumed],
        visits,
        request,
        plan,
        postings: [before, after],
    })
}

/// How often something was posted to each account.
async fn postings(account: &Account, example: &Deployed) -> Result<BTreeMap<String, u64>, Error> {
    let ledger = seed::month_end_ledger(example)?;
    let items = account.dynamodb().scan().table_name(ledger).send().await;
    let items = items.map_err(|error| Error::unexpected("DynamoDB.Scan", DisplayErrorContext(error)))?;
    let items = items.items.unwrap_or_default().into_iter().filter_map(|item| {
        let account = item.get("account")?.as_s().ok()?.clone();
        Some((account, item.get("postings")?.as_n().ok()?.parse().ok()?))
    });
    Ok(items.collect())
}

/// Tells of the plan, and of both runs: whether nothing was done twice, and all was done.
pub(crate) fn tell(story: &Story) -> Told {
    let mut told = Told::about("From where it failed: a run of month-end goes on with its input corrected");
    told.say(
        "Invoice 1004 is for \"anna\", and there is only an \"ana\". What is asked, and the plan; nothing is changed by it:",
    );
    told.add(Part::Rows(plan(&story.request, &story.plan)));
    told.say(&format!(
        "Applied, it is a run of a second state machine, {}, which begins with the data that is kept. Both runs, one after \
         the other:",
        story.plan["cloneName"].as_str().unwrap_or("without a name")
    ));
    told.add(Part::Chart(Chart {
        heading: String::new(),
        lines: lines(story),
        legend: vec![
            (Ink::Solid, Tone::Good, "runs"),
            (Ink::Medium, Tone::Bad, "fails"),
            (Ink::Dots, Tone::Good, "kept: it is not run again"),
        ],
    }));
    if let Some(fault) = fault(story) {
        told.fault(&format!("This is not what a resume is for: {fault}."));
        return told;
    }
    let before = story.postings[0].values().sum::<u64>();
    let after = story.postings[1].values().sum::<u64>();
    told.say(&format!(
        "The ledger counts what is posted: {before} times by the run that failed, {after} times after the resume, once for \
         each invoice and once for the assets. The lock \"ledger\" was lost when the run failed, and taken again before \
         anything was posted. What the pipeline gives, as if it had never failed:"
    ));
    if let Some(output) = &story.runs[1].output {
        told.add(Part::row("Output", output.to_string()));
    }
    told
}

/// A request and its plan, for people.
pub(crate) fn plan(request: &Value, plan: &Value) -> Vec<(String, Vec<String>)> {
    let texts = |list: &Value, field: Option<&str>| {
        let each = list.as_array().into_iter().flatten();
        let each = each.filter_map(|item| field.map_or(item, |field| &item[field]).as_str());
        each.map(str::to_owned).collect::<Vec<_>>()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut codes = texts(&plan["warnings"], Some("code"));
    codes.dedup();
    let rows = [
        ("request", vec![request.to_string()]),
        (
            "failed",
            vec![
                text(&plan["failedAt"]),
                format!("{}: {}", text(&plan["origin"]["error"]), text(&plan["origin"]["cause"])),
            ],
        ),
        (
            "goes on",
            vec![format!("by a {}: {}", text(&plan["strategy"]), text(&plan["why"]))],
        ),
        ("kept", texts(&plan["kept"], None)),
        ("run again", texts(&plan["runAgain"], None)),
        ("may have run", texts(&plan["mayHaveRun"], None)),
        ("taken again", texts(&plan["holds"], Some("lock"))),
        ("warnings", vec![codes.join(", ")]),
    ];
    let or_nothing = |texts: Vec<String>| match texts.is_empty() {
        true => vec!["nothing".to_owned()],
        false => texts,
    };
    rows.map(|(name, texts)| (name.to_owned(), or_nothing(texts))).into()
}

/// A piece of the pipeline's work.
struct Piece {
    name: String,
    /// The state that does it, in which iteration.
    state: &'static str,
    iteration: Option<i32>,
    /// The state before it, where the piece begins.
    begins: Option<&'static str>,
}

fn pieces() -> Vec<Piece> {
    let piece = |name: &str, state, iteration, begins| Piece {
        name: name.to_owned(),
        state,
        iteration,
        begins,
    };
    let input = seed::month_end_input();
    let invoices = input["invoices"].as_array().into_iter().flatten();
    let invoices = (0..).zip(invoices).map(|(index, invoice)| {
        let name = format!("invoice {}", invoice["invoice"].as_str().unwrap_or_default());
        piece(&name, "Post", Some(index), Some("Ask the bank"))
    });
    let mut pieces = vec![
        piece("lock taken", "Take the ledger", None, None),
        piece("accounts", "Open the accounts", None, None),
        piece("assets", "Write off the assets", None, None),
    ];
    pieces.extend(invoices);
    pieces.push(piece("lock given back", "Give the ledger back", None, None));
    pieces
}

/// What a piece did in a run: from when to when, and whether it came to its end.
fn done(piece: &Piece, visits: &[Visit]) -> Option<(i64, i64, bool)> {
    // A copy of a state is named like it, with more behind.
    let is = |visit: &Visit, state: &str| {
        let rest = visit.state.strip_prefix(state);
        visit.iteration == piece.iteration && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" (again"))
    };
    let of = |state: &str| visits.iter().find(|visit| is(visit, state));
    let begins = piece.begins.and_then(of);
    let does = of(piece.state);
    let (first, last) = (begins.or(does)?, does.or(begins)?);
    Some((first.from, last.to, does.is_some_and(|visit| visit.left)))
}

fn lines(story: &Story) -> Vec<Line> {
    let all = || story.visits.iter().flatten();
    let zero = all().map(|visit| visit.from).min().unwrap_or_default();
    let since = |at: i64| Duration::from_millis(u64::try_from(at - zero).unwrap_or_default());
    let [_, second] = &story.visits;
    let whole = (
        second.iter().map(|visit| visit.from).min().unwrap_or_default(),
        second.iter().map(|visit| visit.to).max().unwrap_or_default(),
    );
    let line = |piece: Piece| {
        let [first, again] = story.visits.each_ref().map(|visits| done(&piece, visits));
        let ran = |(from, to, well): (i64, i64, bool)| Span {
            from: since(from),
            to: since(to),
            ink: if well { Ink::Solid } else { Ink::Medium },
            tone: if well { Tone::Good } else { Tone::Bad },
        };
        let kept = matches!((first, again), (Some((_, _, true)), None)).then(|| Span {
            from: since(whole.0),
            to: since(whole.1),
            ink: Ink::Dots,
            tone: Tone::Good,
        });
        let (text, tone) = match (first, again) {
            (Some((_, _, true)), None) => ("done, kept", Tone::Good),
            (Some((_, _, true)), Some(_)) => ("taken, taken again", Tone::Good),
            (Some((_, _, false)), Some((_, _, true))) => ("failed, done now", Tone::Good),
            (None, Some((_, _, true))) => ("not begun, done now", Tone::Good),
            _ => ("not done", Tone::Bad),
        };
        Line {
            name: piece.name,
            spans: first.map(ran).into_iter().chain(again.map(ran)).chain(kept).collect(),
            text: text.to_owned(),
            tone,
        }
    };
    pieces().into_iter().map(line).collect()
}

/// What was not as it should be, in a sentence.
fn fault(story: &Story) -> Option<String> {
    let [failed, resumed] = &story.runs;
    if failed.succeeded() {
        return Some(format!("{} did not fail", failed.name));
    }
    if !resumed.succeeded() {
        let error = resumed.error.as_deref().unwrap_or("no error");
        return Some(format!("{} ended with {error}", resumed.name));
    }
    // By the input, with the slip corrected: an invoice is a posting.
    let mut input = seed::month_end_input();
    input["invoices"][seed::MISTAKEN] = seed::month_end_invoice();
    let month = input["month"].as_str().unwrap_or_default();
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for account in input["accounts"].as_array().into_iter().flatten() {
        let account = account.as_str().unwrap_or_default();
        let invoices = input["invoices"].as_array().into_iter().flatten();
        let mut postings = invoices.filter(|invoice| invoice["account"] == account).count();
        postings += usize::from(account == "assets");
        expected.insert(
            format!("{month}/{account}"),
            u64::try_from(postings).unwrap_or(u64::MAX),
        );
    }
    if story.postings[1] != expected {
        return Some(format!(
            "the ledger has {:?} postings, not {expected:?}",
            story.postings[1]
        ));
    }
    let total = input["invoices"].as_array().into_iter().flatten();
    let total: u64 = total.filter_map(|invoice| invoice["amount"].as_u64()).sum();
    let given = resumed.output.as_ref().map(|output| &output["total"]);
    (given != Some(&json!(total))).then(|| format!("the total is {given:?}, not {total}"))
}

#[cfg(test)]
mod tests {
    use super::Ink::{Dots, Medium, Solid};
    use super::*;
    use std::time::SystemTime;

    fn execution(name: &str, error: Option<&str>) -> Execution {
        Execution {
            arn: name.to_owned(),
            name: name.to_owned(),
            status: if error.is_some() { "FAILED" } else { "SUCCEEDED" }.into(),
            error: error.map(str::to_owned),
            cause: None,
            output: error.is_none().then(|| json!({"total": 495})),
            started: SystemTime::UNIX_EPOCH,
            stopped: None,
        }
    }

    fn visit(state: &str, iteration: Option<i32>, (from, to): (i64, i64), left: bool) -> Visit {
        Visit {
            state: state.to_owned(),
            iteration,
            from,
            to,
            left,
        }
    }

    fn postings(numbers: [u64; 4]) -> BTreeMap<String, u64> {
        let accounts = ["ana", "assets", "bo", "cy"].map(|account| format!("2026-01/{account}"));
        accounts.into_iter().zip(numbers).collect()
    }

    fn story() -> Story {
        let failed = vec![
            visit("Take the ledger", None, (0, 100), true),
            visit("Open the accounts", None, (100, 200), true),
            visit("Open", Some(0), (100, 200), true),
            visit("Write off the assets", None, (200, 300), true),
            visit("Ask the bank", Some(2), (200, 1200), true),
            visit("Post", Some(2), (1200, 1300), true),
            visit("Ask the bank", Some(3), (1300, 2300), true),
            visit("Post", Some(3), (2300, 2400), false),
        ];
        let resumed = vec![
            visit("Close the books (variables)", None, (3000, 3000), true),
            visit("Take the ledger (again)", None, (3000, 3100), true),
            visit("Post (input)", Some(3), (3100, 3100), true),
            visit("Post", Some(3), (3100, 3200), true),
            visit("Ask the bank", Some(4), (3200, 4200), true),
            visit("Post", Some(4), (4200, 4300), true),
            visit("Give the ledger back", None, (4300, 4400), true),
        ];
        Story {
            runs: [execution("january", Some("X")), execution("january-r-0", None)],
            visits: [failed, resumed],
            request: json!({}),
            plan: json!({}),
            postings: [postings([2, 1, 1, 0]), postings([3, 1, 1, 1])],
        }
    }

    #[test]
    fn what_is_kept_is_not_what_runs_again() {
        let lines = lines(&story());
        let drawn: Vec<_> = lines
            .iter()
            .map(|line| {
                let spans = line.spans.iter();
                let spans = spans.map(|span| (span.ink, span.from.as_millis(), span.to.as_millis()));
                (line.name.as_str(), spans.collect::<Vec<_>>(), line.text.as_str())
            })
            .collect();
        assert_eq!(
            drawn,
            [
                (
                    "lock taken",
                    vec![(Solid, 0, 100), (Solid, 3000, 3100)],
                    "taken, taken again"
                ),
                ("accounts", vec![(Solid, 100, 200), (Dots, 3000, 4400)], "done, kept"),
                ("assets", vec![(Solid, 200, 300), (Dots, 3000, 4400)], "done, kept"),
                ("invoice 1001", vec![], "not done"),
                ("invoice 1002", vec![], "not done"),
                (
                    "invoice 1003",
                    vec![(Solid, 200, 1300), (Dots, 3000, 4400)],
                    "done, kept"
                ),
                (
                    "invoice 1004",
                    vec![(Medium, 1300, 2400), (Solid, 3100, 3200)],
                    "failed, done now"
                ),
                ("invoice 1005", vec![(Solid, 3200, 4300)], "not begun, done now"),
                ("lock given back", vec![(Solid, 4300, 4400)], "not begun, done now"),
            ]
        );
    }

    #[test]
    fn every_fault_is_found() {
        assert_eq!(fault(&story()), None);
        let told = |change: &dyn Fn(&mut Story)| {
            let mut story = story();
            change(&mut story);
            fault(&story).unwrap_or_default()
        };
        assert_eq!(
            told(&|story| story.runs[0] = execution("january", None)),
            "january did not fail"
        );
        assert_eq!(
            told(&|story| story.runs[1] = execution("january-r-0", Some("X"))),
            "january-r-0 ended with X"
        );
        for numbers in [[3, 2, 1, 1], [3, 1, 1, 0]] {
            let told = told(&|story| story.postings[1] = postings(numbers));
            assert!(told.starts_with("the ledger has"), "{told}");
        }
        let told = told(&|story| story.runs[1].output = Some(json!({"total": 990})));
        assert_eq!(told, "the total is Some(Number(990)), not 495");
    }
}
