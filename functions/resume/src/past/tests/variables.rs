//! Variables, of each region its own, as they were when each state was entered.

use super::notation::{outline, read};
use super::{GUARDED, ORDERS};

#[test]
fn each_visit_has_the_variables_of_its_entry() {
    let past = read(
        ORDERS,
        r#"1 0 ExecutionStarted {}
           2 0 PassStateEntered Prepare <- {}
           3 2 PassStateExited Prepare -> {} ; x = 1 ; y = "a"
           4 3 MapStateEntered Orders <- {}
           5 4 MapStateStarted 0
           6 5 MapStateSucceeded
           7 6 MapStateExited Orders -> [] ; x = 2
           8 7 SucceedStateEntered Report <- []
           9 8 SucceedStateExited Report -> []
           10 9 ExecutionSucceeded"#,
    );
    let expected = r#"
  Prepare <- {} done {}
  Orders <- {} x=1 y="a" done []
  Report <- [] x=2 y="a" done []
"#;
    assert_eq!(outline(&past), expected);
    let now: Vec<(&str, &str)> = past
        .top
        .variables
        .iter()
        .map(|(name, value)| (name.as_str(), &**value))
        .collect();
    assert_eq!(now, [("x", "2"), ("y", "\"a\"")]);
}

#[test]
fn a_branch_has_its_own_and_takes_them_with_it() {
    let past = read(
        ORDERS,
        r#"1 0 ExecutionStarted {}
           2 0 PassStateEntered Prepare <- {}
           3 2 PassStateExited Prepare -> {} ; x = 1
           4 3 MapStateEntered Orders <- {}
           5 4 MapStateStarted 2
           6 5 MapIterationStarted Orders 0
           7 6 ParallelStateEntered Fan <- {}
           8 7 ParallelStateStarted
           9 8 TaskStateEntered Pack <- {}
           10 8 TaskStateEntered Charge <- {}
           11 9 TaskStateExited Pack -> 1 ; box = "big"
           12 10 TaskStateExited Charge -> 2 ; paid = true
           13 11 PassStateEntered Label <- 1
           14 0 ExecutionAborted"#,
    );
    let expected = r#"
  Prepare <- {} done {}
  Orders <- {} x=1 open
    of 2
    #0
      Fan <- {} open
        #0 box="big"
          Pack <- {} done 1
          Label <- 1 box="big" open
        #1 -> 2
"#;
    assert_eq!(outline(&past), expected);
    assert_eq!(past.top.variables.len(), 1);
}

#[test]
fn iterations_do_not_see_each_others() {
    let past = read(
        ORDERS,
        r"1 0 ExecutionStarted {}
           2 0 PassStateEntered Prepare <- {}
           3 2 PassStateExited Prepare -> {}
           4 3 MapStateEntered Orders <- {}
           5 4 MapStateStarted 2
           6 5 MapIterationStarted Orders 0
           7 5 MapIterationStarted Orders 1
           8 6 ParallelStateEntered Fan <- 0
           9 7 ParallelStateEntered Fan <- 1
           10 8 ParallelStateExited Fan -> [] ; n = 0
           11 9 ParallelStateExited Fan -> [] ; n = 1
           12 10 WaitStateEntered HandOver <- []
           13 11 WaitStateEntered HandOver <- []
           14 0 ExecutionAborted",
    );
    let expected = r"
  Prepare <- {} done {}
  Orders <- {} open
    of 2
    #0 n=0
      Fan <- 0 done []
      HandOver <- [] n=0 open
    #1 n=1
      Fan <- 1 done []
      HandOver <- [] n=1 open
";
    assert_eq!(outline(&past), expected);
}

#[test]
fn a_catch_assigns_too_and_a_retried_parallel_begins_without() {
    let past = read(
        GUARDED,
        r#"1 0 ExecutionStarted {}
           2 0 ParallelStateEntered Fan <- {}
           3 2 ParallelStateStarted
           4 3 TaskStateEntered Pack <- {}
           5 3 TaskStateEntered Charge <- {}
           6 4 TaskFailed Box.Gone
           7 6 TaskStateExited Pack -> {"Error":"Box.Gone"} ; why = "gone"
           8 7 PassStateEntered Unpack <- {"Error":"Box.Gone"}
           9 5 TaskFailed Card.Busy
           10 9 ParallelStateStarted
           11 10 TaskStateEntered Pack <- {}
           12 10 TaskStateEntered Charge <- {}
           13 12 TaskFailed Card.Declined
           14 13 TaskStateAborted
           15 13 ParallelStateFailed
           16 15 ParallelStateExited Fan -> {"Error":"Card.Declined"} ; why = "declined"
           17 16 TaskStateEntered Tell <- {"Error":"Card.Declined"}
           18 0 ExecutionAborted"#,
    );
    let expected = r#"
  Fan <- {} caught {"Error":"Card.Declined"}
    #0
      Pack <- {} open
    #1
      Charge <- {} open
  Tell <- {"Error":"Card.Declined"} why="declined" open
"#;
    assert_eq!(outline(&past), expected);
}
