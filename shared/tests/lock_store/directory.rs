//! The directory: the index of what the sweep looks at.

use serde_json::{Value, json};
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::lock::key::{LockKey, Place};
use signalbox::lock::record::Hold;
use signalbox::lock::store::{Directory, Page};

use crate::wire::dynamodb::with;
use crate::wire::{Answer, ok};
use crate::*;

/// What is asked for: each of the three, as it is in the index and as it is answered.
#[derive(Debug, Clone, Copy, PartialEq)]
enum List {
    Active,
    Lost,
    Overdue,
}

const LISTS: [List; 3] = [List::Active, List::Lost, List::Overdue];

#[derive(Debug, PartialEq)]
enum Entry {
    Lock(LockKey),
    Hold(Hold),
    Place(LockKey, Place),
}

impl List {
    fn kind(self) -> &'static str {
        match self {
            Self::Active => "HEAD",
            Self::Lost => "LOST",
            Self::Overdue => "UNTIL",
        }
    }

    /// What the index has of a lock: the keys alone.
    fn item(self, lock: &LockKey) -> Value {
        let (pk, sk) = match self {
            Self::Active => (format!("LOCK#{lock}"), "HEAD".to_owned()),
            Self::Lost => (format!("RUN#{MAP_CHILD}"), format!("HOLD#left#{lock}")),
            Self::Overdue => (format!("LOCK#{lock}"), "WAIT#14#000000000008".to_owned()),
        };
        json!({"pk": {"S": pk}, "sk": {"S": sk}, "active": {"S": self.kind()}, "due": {"N": "5000"}})
    }

    fn entry(self, lock: &LockKey) -> Entry {
        match self {
            Self::Active => Entry::Lock(lock.clone()),
            Self::Lost => Entry::Hold(Hold {
                execution: arn(MAP_CHILD),
                lock: lock.clone(),
                ..hold()
            }),
            Self::Overdue => Entry::Place(lock.clone(), place(8)),
        }
    }

    fn query(self, start: Option<&Value>) -> Value {
        let mut query = json!({
            "TableName": TABLE,
            "IndexName": "active",
            "KeyConditionExpression": "#active = :kind",
            "ExpressionAttributeNames": {"#active": "active"},
            "ExpressionAttributeValues": {":kind": {"S": self.kind()}},
        });
        if self == Self::Overdue {
            query["KeyConditionExpression"] = json!("#active = :kind AND #due <= :until");
            query["ExpressionAttributeNames"]["#due"] = json!("due");
            query["ExpressionAttributeValues"][":until"] = json!({"N": "1769832012345"});
        }
        if let Some(start) = start {
            query["ExclusiveStartKey"] = start.clone();
        }
        query
    }

    async fn ask(self, from: Option<String>, answer: Answer) -> (Result<Page<Entry>, CallError>, Value) {
        let (store, wire) = store([answer]);
        let page = match self {
            Self::Active => store.active(from).await.map(|page| page.map(Entry::Lock)),
            Self::Lost => store.lost(from).await.map(|page| page.map(Entry::Hold)),
            Self::Overdue => store
                .overdue(NOW, from)
                .await
                .map(|page| page.map(|(lock, place)| Entry::Place(lock, place))),
        };
        (page, sent(&wire, "Query"))
    }
}

trait Map<T> {
    fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U>;
}

impl<T> Map<T> for Page<T> {
    fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            entries: self.entries.into_iter().map(change).collect(),
            next: self.next,
        }
    }
}

fn answer(items: &[Value], last: Option<&Value>) -> Answer {
    let mut body = json!({"Items": items, "Count": items.len()});
    if let Some(last) = last {
        body["LastEvaluatedKey"] = last.clone();
    }
    ok(&body)
}

#[tokio::test]
async fn a_page_has_what_the_index_has_and_where_the_next_one_begins() {
    let locks = extreme_locks();
    for list in LISTS {
        let items: Vec<Value> = locks.iter().map(|lock| list.item(lock)).collect();
        let entries = || locks.iter().map(|lock| list.entry(lock)).collect();

        let (page, query) = list.ask(None, answer(&items, None)).await;
        let whole = Page {
            entries: entries(),
            next: None,
        };
        assert_eq!(page, Ok(whole));
        assert_eq!(query, list.query(None));

        // From each page to the next, also behind an empty one.
        for last in &items {
            for items in [&items[..], &[]] {
                let (page, _) = list.ask(None, answer(items, Some(last))).await;
                let next = page.unwrap().next;
                assert!(next.is_some());
                let (page, query) = list.ask(next, answer(&[], None)).await;
                assert_eq!(page.unwrap().next, None);
                assert_eq!(query, list.query(Some(last)));
            }
        }
    }
}

#[tokio::test]
async fn a_page_begins_wherever_the_last_one_ended() {
    for due in [i64::MIN, -1, 0, 1_769_832_012_345, i64::MAX] {
        let last = with(&List::Overdue.item(&lock()), &json!({"due": {"N": due.to_string()}}));
        let (page, _) = List::Overdue.ask(None, answer(&[], Some(&last))).await;
        let (_, query) = List::Overdue.ask(page.unwrap().next, answer(&[], None)).await;
        assert_eq!(query["ExclusiveStartKey"], last);
    }
}

/// The sweep looks at everything again: nothing is left out.
#[tokio::test]
async fn a_beginning_that_is_none_is_the_beginning_of_all() {
    for list in LISTS {
        for from in ["", "5000", "5000\u{1f}LOCK#a", "soon\u{1f}LOCK#a\u{1f}HEAD"] {
            let (page, query) = list.ask(Some(from.to_owned()), answer(&[], None)).await;
            assert!(page.is_ok());
            assert_eq!(query, list.query(None), "{from:?}");
        }
    }
}

/// One that is not understood does not hide the others.
#[tokio::test]
async fn an_entry_that_names_nothing_is_left_out() {
    let other = &extreme_locks()[1];
    for list in LISTS {
        let mut strange: Vec<Value> = [
            "",
            "LOCK#",
            "RUN#",
            "RUN#nightly",
            "GUARD#orders",
            "LOCK#ä",
            "RUN#LOCK#a",
        ]
        .iter()
        .map(|pk| json!({"pk": {"S": pk}}))
        .collect();
        if list == List::Lost {
            let sort_keys = ["HEAD", "HOLD#", "HOLD#left", "HOLD#left#", "HOLD#ä#a", "left#a"];
            strange.extend(sort_keys.iter().map(|sk| json!({"sk": {"S": sk}})));
        }
        for changes in strange {
            let items = [
                list.item(&lock()),
                with(&list.item(&lock()), &changes),
                list.item(other),
            ];
            let (page, _) = list.ask(None, answer(&items, None)).await;
            let entries = vec![list.entry(&lock()), list.entry(other)];
            assert_eq!(page, Ok(Page { entries, next: None }), "{changes}");
        }
    }
}

#[tokio::test]
async fn an_entry_without_a_key_is_an_error_that_names_it() {
    for list in LISTS {
        for (name, value) in [
            ("pk", Value::Null),
            ("pk", json!({"N": "1"})),
            ("sk", json!({"N": "1"})),
        ] {
            let item = with(&list.item(&lock()), &json!({name: value}));
            let (page, _) = list.ask(None, answer(&[list.item(&lock()), item], None)).await;
            let text = page.unwrap_err().to_string();
            let says = format!("dynamodb:Query failed: the item's attribute {name} cannot be read: ");
            assert!(text.starts_with(&says), "{text}");
        }
    }
}

#[tokio::test]
async fn a_page_that_does_not_say_where_it_ends_is_an_error() {
    for (name, value) in [
        ("due", Value::Null),
        ("due", json!({"S": "5000"})),
        ("due", json!({"N": "0.5"})),
        ("pk", Value::Null),
        ("sk", json!({"N": "1"})),
    ] {
        for list in LISTS {
            let last = with(&list.item(&lock()), &json!({name: value}));
            let (page, _) = list.ask(None, answer(&[], Some(&last))).await;
            let text = page.unwrap_err().to_string();
            assert!(
                text.contains(&format!("the item's attribute {name} cannot be read: ")),
                "{text}"
            );
        }
    }
}

/// Whose patience ends at this very moment is overdue.
#[tokio::test]
async fn patience_ends_at_the_time_that_is_asked_about() {
    for millis in [i64::MIN, 0, i64::MAX] {
        let (store, wire) = store([answer(&[], None)]);
        store.overdue(Timestamp::from_millis(millis), None).await.unwrap();
        let query = sent(&wire, "Query");
        assert_eq!(
            query["ExpressionAttributeValues"][":until"],
            json!({"N": millis.to_string()})
        );
    }
}
