//! Clones of state machines, made by hand.

use local_cloud::Account;
use signalbox::arn::StateMachineArn;
use signalbox::clock::{Clock, SystemClock};
use signalbox::pipeline::{CloneOf, clone_name, to_item};

/// A clone of `machine`, as `resume` makes one: a machine with the same definition under another name, and what is
/// recorded of it in `table`. Its ARN.
///
/// # Panics
///
/// If the local cloud refuses any of that.
pub async fn clone_of(account: &Account, table: &str, machine: &str) -> String {
    let sfn = account.sfn();
    let original = sfn.describe_state_machine().state_machine_arn(machine).send().await;
    let original = original.expect("the original");
    let created = sfn
        .create_state_machine()
        .name(clone_name(&original.name, "0123456789ab"))
        .definition(original.definition)
        .role_arn(original.role_arn);
    let clone = created.send().await.expect("a clone").state_machine_arn;
    let arn = |text: &str| StateMachineArn::parse(text).expect("an ARN");
    let recorded = to_item(&CloneOf {
        machine: arn(&clone),
        pipeline: arn(machine),
        made: SystemClock.now(),
    });
    let put = account.dynamodb().put_item().table_name(table);
    put.set_item(Some(recorded)).send().await.expect("recorded");
    clone
}
