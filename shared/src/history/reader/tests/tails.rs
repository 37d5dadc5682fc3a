//! The end of a history alone.

use super::{LINE, ORDERS, failure, place, shown, shown_blindly};

#[test]
fn a_tail_that_begins_inside_of_a_parallel_takes_what_is_around_from_the_definition() {
    let history = "
        5004 4990 TaskStateEntered Charge
        5005 5004 TaskScheduled lambda:invoke
        5006 5005 TaskFailed Card.Declined
        5007 5006 ParallelStateFailed
        5008 5007 MapIterationFailed Orders 17
        5009 5007 MapStateFailed
        5010 5009 ExecutionFailed Card.Declined";
    let expected = r##"Map "Orders"[17] / Parallel "Fan"#1 / Task "Charge" (attempt 1 of 4) <- 5004"##;
    assert_eq!(shown(ORDERS, history), expected);
    assert_eq!(
        shown_blindly(history),
        r#"Map "Orders"[17] / Task "Charge" (attempt 1) <- 5004"#
    );
}

#[test]
fn a_task_whose_entry_was_not_read_is_known_by_what_it_calls() {
    let history = "
        5005 4000 TaskScheduled lambda:invoke
        5006 5005 TaskStarted
        5007 5006 TaskFailed Card.Declined
        5008 5007 ParallelStateFailed
        5009 5008 MapIterationFailed Orders 3
        5010 5008 MapStateFailed
        5011 5010 ExecutionFailed Card.Declined";
    let failed = place(ORDERS, history);
    assert_eq!(
        failed.to_string(),
        r##"Map "Orders"[3] / Parallel "Fan"#1 / Task "Charge" (attempt 1 of 4)"##
    );
    assert_eq!((failed.entered_event, failed.entered), (None, None));
    // Without the definition nobody can know.
    assert_eq!(failure(None, history).unwrap().places, []);
}

#[test]
fn a_task_whose_entry_was_not_read_is_known_by_the_event_of_its_exit() {
    let history = "
        5005 4000 TaskStarted
        5006 5005 TaskFailed Queue.Gone
        5007 5006 TaskStateExited First
        5008 5007 TaskStateEntered Tell
        5009 5008 TaskScheduled
        5010 5009 TaskSucceeded
        5011 5010 TaskStateExited Tell
        5012 5011 FailStateEntered Bad
        5013 5012 ExecutionFailed";
    let failed = place(LINE, history);
    assert_eq!(failed.path[0].state, "First");
    assert_eq!(failed.handled.unwrap().by, "Tell");
}

#[test]
fn only_the_end_itself_has_no_place() {
    let failure = failure(None, "5013 5012 ExecutionFailed Broken | by design").unwrap();
    assert_eq!((failure.error.as_deref(), failure.places), (Some("Broken"), vec![]));
}

#[test]
fn an_iteration_whose_map_began_before_the_tail_has_its_index() {
    let history = "
        5001 4990 MapIterationStarted Orders 900
        5002 5001 ParallelStateEntered Fan
        5003 5002 ParallelStateStarted
        5004 5003 TaskStateEntered Pack
        5005 0 ExecutionTimedOut";
    assert_eq!(
        shown(ORDERS, history),
        r##"Map "Orders"[900] / Parallel "Fan"#0 / Task "Pack" <- 5004"##
    );
    let blind = r#"Map "Orders"[900] / Parallel "Fan" / Task "Pack" <- 5004"#;
    assert_eq!(shown_blindly(history), blind);
}

#[test]
fn a_parallel_whose_entry_was_not_read_is_known_by_the_states_inside() {
    let history = "
        5001 4990 ParallelStateStarted
        5002 5001 TaskStateEntered Pack
        5003 5001 TaskStateEntered Charge
        5004 0 ExecutionAborted";
    let expected = r##"Map "Orders" / Parallel "Fan"#0 / Task "Pack" <- 5002; Map "Orders" / Parallel "Fan"#1 / Task "Charge" <- 5003"##;
    assert_eq!(shown(ORDERS, history), expected);
}

#[test]
fn an_entry_that_the_cause_alone_names_was_not_read() {
    let history = "
        5001 4990 TaskScheduled lambda:invoke
        5002 5001 ExecutionFailed States.Runtime | An error occurred while executing the state 'Pack' (entered at the event id #7). Nothing.";
    let failed = place(ORDERS, history);
    assert_eq!(
        (failed.path.last().unwrap().state.as_str(), failed.entered_event),
        ("Pack", Some(7))
    );
}

#[test]
fn what_began_before_the_tail_is_no_open_leaf_once_its_states_are_left() {
    // The events of two iterations; which, the tail does not tell. The second goes on.
    let history = "
        5001 4990 PassStateEntered Label
        5002 4991 TaskStateExited Charge
        5003 5001 PassStateExited Label
        5004 5003 ParallelStateExited Fan
        5005 4992 PassStateEntered Label
        5006 5005 PassStateExited Label
        5007 4993 TaskStateEntered Charge
        5008 0 ExecutionAborted";
    assert_eq!(
        shown(ORDERS, history),
        r##"Map "Orders" / Parallel "Fan"#1 / Task "Charge" <- 5007"##
    );
}

#[test]
fn an_iteration_that_began_before_the_tail_is_kept_apart_from_those_that_were_read() {
    let history = "
        5001 4990 MapIterationStarted Orders 7
        5002 5001 ParallelStateEntered Fan
        5003 5002 ParallelStateStarted
        5004 4991 ParallelStateExited Fan
        5005 5003 TaskStateEntered Pack
        5006 4992 PassStateEntered Label
        5007 0 ExecutionAborted";
    let expected = r##"Map "Orders"[7] / Parallel "Fan"#0 / Task "Pack" <- 5005; Map "Orders" / Parallel "Fan"#0 / Pass "Label" <- 5006"##;
    assert_eq!(shown(ORDERS, history), expected);
}
