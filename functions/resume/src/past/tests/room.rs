//! What succeeded, was retried or was entered again takes no room.

use super::containers::THREE;
use super::lines::POLL;
use super::notation::{chain, definition, outline, push, read};
use super::{GUARDED, ORDERS};
use crate::past::PastReader;

#[test]
fn a_long_loop_takes_no_room() {
    let machine = definition(POLL);
    let mut reader = PastReader::new(&machine, None);
    push(&mut reader, "1 0 ExecutionStarted {}");
    for turn in 0..200 {
        let first = 2 + turn * 6;
        let turn = [
            "TaskStateEntered Poll <- {}",
            "TaskStateExited Poll -> {}",
            "ChoiceStateEntered Ready <- {}",
            "ChoiceStateExited Ready -> {}",
            "WaitStateEntered Rest <- {}",
            "WaitStateExited Rest -> {}",
        ];
        push(
            &mut reader,
            &chain(first, if first == 2 { 0 } else { first - 1 }, &turn),
        );
    }
    assert_eq!(reader.held(), (3, 0));
    assert_eq!(reader.finish().top.visits.len(), 3);
}

#[test]
fn finished_iterations_take_no_room() {
    let machine = definition(ORDERS);
    let mut reader = PastReader::new(&machine, None);
    push(&mut reader, "4 0 MapStateEntered Orders <- []\n5 4 MapStateStarted 100");
    for index in 0..100 {
        let iteration = [
            &format!("MapIterationStarted Orders {index}"),
            "ParallelStateEntered Fan <- 1",
            "ParallelStateStarted",
            "TaskStateEntered Pack <- 1",
            "ParallelStateExited Fan -> 2",
            "WaitStateEntered HandOver <- 2",
            "WaitStateExited HandOver -> 3 ; n = 1",
        ];
        push(&mut reader, &chain(6 + index * 7, 5, &iteration));
    }
    // The Map's own.
    assert_eq!(reader.held(), (1, 0));
}

#[test]
fn what_succeeded_or_was_retried_takes_no_room() {
    let guarded = definition(GUARDED);
    let mut reader = PastReader::new(&guarded, None);
    let first = "2 0 ParallelStateEntered Fan <- 7
        3 2 ParallelStateStarted
        4 3 TaskStateEntered Pack <- 7
        5 3 TaskStateEntered Charge <- 7";
    push(&mut reader, first);
    assert_eq!(reader.held(), (3, 0));
    push(&mut reader, "6 5 TaskFailed Card.Busy\n7 6 ParallelStateStarted");
    assert_eq!(reader.held(), (1, 0));
    push(
        &mut reader,
        "8 7 TaskStateEntered Pack <- 7
         9 7 TaskStateEntered Charge <- 7
         10 8 TaskStateExited Pack -> 1
         11 9 TaskStateExited Charge -> 2
         12 11 ParallelStateExited Fan -> 3
         13 12 SucceedStateEntered Good <- 3",
    );
    assert_eq!(reader.held(), (2, 0));

    let machine = definition(ORDERS);
    let mut reader = PastReader::new(&machine, None);
    push(
        &mut reader,
        &format!("{THREE}\n19 17 TaskStateExited Pack -> 1\n20 18 TaskStateExited Charge -> 2"),
    );
    // Prepare, Orders, and three Fans less one; Pack goes on to Label.
    assert_eq!(reader.held(), (5, 0));
    push(&mut reader, "21 20 ParallelStateExited Fan -> 3");
    assert_eq!(reader.held(), (4, 0));
}

#[test]
fn an_iteration_whose_last_state_has_a_catch_is_over_when_it_succeeded() {
    let text = r#"{"StartAt": "Each", "States": {"Each": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "Do", "States": {
        "Do": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Undo"}]},
        "Undo": {"Type": "Pass", "End": true}}}}}}"#;
    let machine = definition(text);
    let mut reader = PastReader::new(&machine, None);
    let iteration = "2 0 MapStateEntered Each <- [1]
        3 2 MapStateStarted 1
        4 3 MapIterationStarted Each 0
        5 4 TaskStateEntered Do <- 1
        6 5 TaskStateExited Do -> 2";
    push(&mut reader, iteration);
    assert_eq!(reader.held(), (2, 0));
    push(&mut reader, "7 6 MapIterationSucceeded Each 0");
    assert_eq!(reader.held(), (1, 0));
    let expected = "\n  Each <- [1] open\n    of 1\n    #0 -> 2\n";
    assert_eq!(outline(&reader.finish()), expected);
    assert_eq!(outline(&read(text, iteration)), expected);
}
