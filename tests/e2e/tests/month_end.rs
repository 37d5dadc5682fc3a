//! The example `month-end`: what its README says of a run that fails and is resumed.

use std::collections::BTreeMap;

use local_cloud::{Account, Cloud, Deployed, Error, Execution, seed};
use serde_json::{Value, json};

type Tested = Result<(), Box<dyn std::error::Error>>;

/// An account of the ledger: its balance, how often something was posted to it, its fence.
type Entry = (i64, i64, i64);

/// The example in an account of its own.
struct MonthEnd {
    account: Account,
    fleet: Deployed,
    example: Deployed,
}

impl MonthEnd {
    async fn deploy(test: &str) -> Result<Self, Error> {
        let account = Cloud::shared().await?.account(test);
        let fleet = seed::fleet(&account).await?;
        let example = seed::month_end(&account, &fleet).await?;
        Ok(Self {
            account,
            fleet,
            example,
        })
    }

    async fn run(&self, name: &str, input: &Value) -> Result<Execution, Error> {
        let machine = seed::month_end_machine(&self.example)?;
        let run = self.account.start_execution(machine, name, input).await?;
        self.account.wait_for_execution(&run).await
    }

    async fn resume(&self, request: &Value) -> Result<Value, Box<dyn std::error::Error>> {
        let function = self.fleet.output("ResumeFunctionName")?;
        Ok(self.account.invoke(function, request).await?)
    }

    async fn ledger(&self) -> Result<BTreeMap<String, Entry>, Box<dyn std::error::Error>> {
        let table = seed::month_end_ledger(&self.example)?;
        let items = self.account.dynamodb().scan().table_name(table).send().await?.items;
        let entry = |item: &std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>| {
            let number = |name: &str| item.get(name)?.as_n().ok()?.parse().ok();
            let entry = (number("balance")?, number("postings")?, number("fence")?);
            Some((item.get("account")?.as_s().ok()?.clone(), entry))
        };
        let entries = items.unwrap_or_default();
        let entries: Option<_> = entries.iter().map(entry).collect();
        Ok(entries.ok_or("an item that is no entry")?)
    }
}

/// An input that takes no time.
fn input() -> Value {
    let mut input = seed::month_end_input();
    input["seconds"] = json!(0);
    input
}

#[tokio::test]
async fn a_slip_is_put_right_and_nothing_is_posted_twice() -> Tested {
    let month_end = MonthEnd::deploy("month end").await?;
    let failed = month_end.run("january", &input()).await?;
    assert_eq!(
        failed.error.as_deref(),
        Some("DynamoDB.ConditionalCheckFailedException"),
        "{failed:?}"
    );
    let before = month_end.ledger().await?;
    let postings: Vec<i64> = before.values().map(|(_, postings, _)| *postings).collect();
    assert_eq!(postings, [2, 1, 1, 0], "{before:?}");

    let request = json!({"executionArn": failed.arn, "input": seed::month_end_invoice()});
    let plan = month_end.resume(&request).await?;
    let post = r##"Parallel "Close the books"#1 / Map "Invoices"[3] / Task "Post""##;
    assert_eq!(
        (&plan["strategy"], &plan["resumesAt"], &plan["mayHaveRun"]),
        (&json!("clone"), &json!([post]), &json!([post])),
        "{plan}"
    );
    let kept = [
        r#"Pass "Settings""#,
        r#"Task "Take the ledger""#,
        r#"Map "Open the accounts""#,
        r##"Parallel "Close the books"#0"##,
        r##"Parallel "Close the books"#1 / Map "Invoices"[0-2]"##,
        r##"Parallel "Close the books"#1 / Map "Invoices"[3] / Wait "Ask the bank""##,
    ];
    assert_eq!(plan["kept"], json!(kept), "{plan}");
    assert_eq!(
        plan["holds"],
        json!([{"lock": "ledger", "state": "Take the ledger"}]),
        "{plan}"
    );
    assert_eq!(month_end.ledger().await?, before);

    let applied = month_end.resume(&plan["apply"]).await?;
    let run = applied["executionArn"].as_str().ok_or("a run")?;
    let resumed = month_end.account.wait_for_execution(run).await?;
    let output = json!({
        "month": "2026-01", "writtenOff": 40, "total": 495, "invoices": ["1001", "1002", "1003", "1004", "1005"],
    });
    assert_eq!(resumed.output, Some(output.clone()), "{resumed:?}");
    let after = month_end.ledger().await?;
    let told: Vec<(&str, i64, i64)> = after
        .iter()
        .map(|(name, (sum, times, _))| (name.as_str(), *sum, *times))
        .collect();
    assert_eq!(
        told,
        [
            ("2026-01/ana", 210, 3),
            ("2026-01/assets", -40, 1),
            ("2026-01/bo", 75, 1),
            ("2026-01/cy", 210, 1),
        ]
    );
    // What was posted by the clone was posted under the fence of a grant of its own.
    let fence = |ledger: &BTreeMap<String, Entry>, name: &str| ledger.get(name).map(|(_, _, fence)| *fence);
    assert!(fence(&after, "2026-01/cy") > fence(&before, "2026-01/cy"), "{after:?}");
    assert_eq!(fence(&after, "2026-01/bo"), fence(&before, "2026-01/bo"));

    // Without the slip it ends so at once; and the month cannot be begun a second time.
    let mut right = input();
    right["invoices"][seed::MISTAKEN] = seed::month_end_invoice();
    let again = month_end.run("january-again", &right).await?;
    assert_eq!(
        again.error.as_deref(),
        Some("DynamoDB.ConditionalCheckFailedException"),
        "{again:?}"
    );
    assert_eq!(month_end.ledger().await?, after);
    right["month"] = json!("2026-02");
    let mut expected = output;
    expected["month"] = json!("2026-02");
    let february = month_end.run("february", &right).await?;
    assert_eq!(february.output, Some(expected), "{february:?}");
    Ok(())
}
