//! Incidents: pipelines whose failure was announced, and that have not succeeded since; and what succeeded in a clone.

use signalbox::arn::StateMachineArn;
use signalbox::aws::CallError;
use signalbox::clock::Timestamp;
use signalbox::item::{Item, Reader, at, in_days, key, n, s};

use super::{CLAIM_LIFE, DynamoStore, FAILING, GET, bound, machine_in, pk_of_machine};
use crate::alert::End;
use crate::events::Success;
use crate::store::{Begun, Incident};

/// How long an incident of a pipeline that does not run any more is kept.
pub const KEPT_DAYS: u32 = 90;

fn key_of_resumed(machine: &StateMachineArn) -> Item {
    key(pk_of_machine(machine), "RESUMED")
}

fn key_of_incident(machine: &StateMachineArn) -> Item {
    key(pk_of_machine(machine), "INCIDENT")
}

impl DynamoStore {
    pub(super) async fn note_failure(
        &self,
        machine: &StateMachineArn,
        end: &End,
        opens: bool,
    ) -> Result<(), CallError> {
        // `last` never goes back: events come in any order.
        if !self.update_incident(machine, end, opens, true).await? {
            self.update_incident(machine, end, opens, false).await?;
        }
        Ok(())
    }

    async fn update_incident(
        &self,
        machine: &StateMachineArn,
        end: &End,
        opens: bool,
        is_last: bool,
    ) -> Result<bool, CallError> {
        let mut sets = "ADD #failures :one SET #expires = :expires".to_owned();
        let mut values = bound([(":one", n(1)), (":expires", n(in_days(end.stopped, KEPT_DAYS)))]);
        let condition = match (is_last, opens) {
            (true, true) => "attribute_not_exists(#last) OR #last < :stopped",
            (true, false) => "#last < :stopped",
            (false, _) => "#last >= :stopped",
        };
        values.insert(":stopped".to_owned(), at(end.stopped));
        if is_last {
            sets.push_str(", #last = :stopped");
        }
        if opens && is_last {
            sets.push_str(
                ", #since = if_not_exists(#since, :stopped), #machine = :machine, #active = :active, #due = :stopped",
            );
            values.insert(":machine".to_owned(), s(machine.as_str()));
            values.insert(":active".to_owned(), s(FAILING));
        }
        self.update(key_of_incident(machine), &sets, condition, values).await
    }

    pub(super) async fn find_incident(&self, machine: &StateMachineArn) -> Result<Option<Incident>, CallError> {
        let item = self.get(key_of_incident(machine)).await?;
        item.map(|item| incident_of(Reader { api: GET, item: &item }))
            .transpose()
    }

    pub(super) async fn claim_recovery(
        &self,
        machine: &StateMachineArn,
        success: &Success,
        now: Timestamp,
    ) -> Result<Begun, CallError> {
        let condition = "#last < :stopped AND (attribute_not_exists(#claimed) OR #claimed <= :before)";
        let values = bound([
            (":stopped", at(success.stopped)),
            (":before", at(now.before(CLAIM_LIFE))),
            (":now", at(now)),
        ]);
        let key = key_of_incident(machine);
        if self.update(key, "SET #claimed = :now", condition, values).await? {
            return Ok(Begun::Mine);
        }
        Ok(match self.find_incident(machine).await? {
            Some(incident) if incident.last < success.stopped => Begun::Busy,
            _ => Begun::Done,
        })
    }

    pub(super) async fn note_resumed(&self, machine: &StateMachineArn, success: &Success) -> Result<(), CallError> {
        let condition = "attribute_not_exists(#at) OR #at < :at";
        let values = bound([
            (":at", at(success.stopped)),
            (":expires", n(in_days(success.stopped, KEPT_DAYS))),
        ]);
        self.update(
            key_of_resumed(machine),
            "SET #at = :at, #expires = :expires",
            condition,
            values,
        )
        .await
        .map(drop)
    }

    pub(super) async fn find_resumed(&self, machine: &StateMachineArn) -> Result<Option<Timestamp>, CallError> {
        let item = self.get(key_of_resumed(machine)).await?;
        item.map(|item| Reader { api: GET, item: &item }.time("at")).transpose()
    }

    pub(super) async fn end_incident(&self, machine: &StateMachineArn, success: &Success) -> Result<(), CallError> {
        let condition = "#last < :stopped AND #claimed > :never";
        let values = [
            (":stopped", at(success.stopped)),
            (":never", at(Timestamp::from_millis(0))),
        ];
        self.delete(key_of_incident(machine), condition, values).await
    }

    pub(super) async fn open_incidents(&self) -> Result<Vec<Incident>, CallError> {
        let ever = Timestamp::from_millis(i64::MAX);
        self.indexed(FAILING, ever, |reader| incident_of(reader).map(Some))
            .await
    }
}

fn incident_of(reader: Reader<'_>) -> Result<Incident, CallError> {
    Ok(Incident {
        machine: machine_in(reader, "machine")?,
        since: reader.time("since")?,
        last: reader.time("last")?,
        failures: reader.number("failures")?,
    })
}
