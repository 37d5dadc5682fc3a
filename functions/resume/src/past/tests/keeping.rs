//! What is kept of that which succeeded, for somebody who goes on from there.

use super::notation::{outline, read_keeping};
use super::{GUARDED, ORDERS};

const WHOLE: &str = r#"1 0 ExecutionStarted {}
    2 0 PassStateEntered Prepare <- {}
    3 2 PassStateExited Prepare -> {}
    4 3 MapStateEntered Orders <- {}
    5 4 MapStateStarted 1
    6 5 MapIterationStarted Orders 0
    7 6 ParallelStateEntered Fan <- 7
    8 7 ParallelStateStarted
    9 8 TaskStateEntered Pack <- 7
    10 8 TaskStateEntered Charge <- 7
    11 9 TaskStateExited Pack -> "box" ; box = "big"
    12 11 PassStateEntered Label <- "box"
    13 12 PassStateExited Label -> "parcel"
    14 10 TaskStateExited Charge -> "paid"
    15 14 ParallelStateSucceeded
    16 14 ParallelStateExited Fan -> ["parcel","paid"]
    17 16 WaitStateEntered HandOver <- ["parcel","paid"]
    18 17 WaitStateExited HandOver -> "order"
    19 18 MapIterationSucceeded Orders 0
    20 18 MapStateSucceeded
    21 20 MapStateExited Orders -> ["order"]
    22 21 SucceedStateEntered Report <- ["order"]
    23 22 SucceedStateExited Report -> ["order"]
    24 23 ExecutionSucceeded"#;

fn orders(keep: Option<&str>) -> String {
    let whole = outline(&read_keeping(ORDERS, keep, WHOLE));
    let rest = whole.strip_prefix("\n  Prepare <- {} done {}\n  Orders <- {} done [\"order\"]\n");
    let rest = rest.unwrap().strip_suffix("  Report <- [\"order\"] done [\"order\"]\n");
    rest.unwrap().to_owned()
}

#[test]
fn nothing_is_kept_of_what_succeeded_unless_it_is_named() {
    for keep in [None, Some("Orders"), Some("Report"), Some("Nothing")] {
        let inside = orders(keep);
        // Who names the Map means all of it; its iterations are there, without what was done in them.
        let expected = match keep {
            Some("Orders") => "    of 1\n    #0 -> \"order\"\n",
            _ => "",
        };
        assert_eq!(inside, expected, "{keep:?}");
    }
}

#[test]
fn the_region_of_a_state_that_is_named_is_kept_and_those_around_it() {
    let expected = r#"    of 1
    #0 -> "order"
      Fan <- 7 done ["parcel","paid"]
      HandOver <- ["parcel","paid"] done "order"
"#;
    assert_eq!(orders(Some("HandOver")), expected);
    let expected = r#"    of 1
    #0 -> "order"
      Fan <- 7 done ["parcel","paid"]
        #0 -> "parcel" box="big"
          Pack <- 7 done "box"
          Label <- "box" box="big" done "parcel"
        #1 -> "paid"
      HandOver <- ["parcel","paid"] done "order"
"#;
    assert_eq!(orders(Some("Pack")), expected);
    assert_eq!(orders(Some("Label")), expected);
}

#[test]
fn a_region_is_kept_also_if_the_state_was_not_entered_in_it() {
    let past = read_keeping(
        GUARDED,
        Some("Unpack"),
        r#"1 0 ExecutionStarted 7
           2 0 ParallelStateEntered Fan <- 7
           3 2 ParallelStateStarted
           4 3 TaskStateEntered Pack <- 7
           5 3 TaskStateEntered Charge <- 7
           6 4 TaskStateExited Pack -> "parcel" ; n = 1
           7 5 TaskStateExited Charge -> "paid"
           8 7 ParallelStateExited Fan -> []
           9 8 SucceedStateEntered Good <- []
           10 9 SucceedStateExited Good -> []
           11 10 ExecutionSucceeded"#,
    );
    let expected = r#"
  Fan <- 7 done []
    #0 -> "parcel" n=1
      Pack <- 7 done "parcel"
    #1 -> "paid"
  Good <- [] done []
"#;
    assert_eq!(outline(&past), expected);
}

#[test]
fn what_was_void_is_not_kept_either() {
    let past = read_keeping(
        ORDERS,
        Some("Pack"),
        r"1 0 ExecutionStarted {}
           4 0 MapStateEntered Orders <- {}
           5 4 MapStateStarted 1
           6 5 MapIterationStarted Orders 0
           7 6 ParallelStateEntered Fan <- 7
           8 7 ParallelStateStarted
           9 8 TaskStateEntered Pack <- 7
           10 9 TaskFailed Truck.Full
           11 10 ParallelStateStarted
           12 11 TaskStateEntered Charge <- 7
           13 0 ExecutionAborted",
    );
    let expected = r"
  Orders <- {} open
    of 1
    #0
      Fan <- 7 open
        #1
          Charge <- 7 open
";
    assert_eq!(outline(&past), expected);
}
