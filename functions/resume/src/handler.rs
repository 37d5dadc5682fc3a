//! The function as it runs on Lambda.

use std::time::Duration;

use serde_json::Value;
use signalbox::config::{
    ConfigError, ECS_LAUNCH_ARN, Environment, LOCK_ACQUIRE_ARN, LOCK_RELEASE_ARN, OVERLAP_GUARD_ARN, RESUME_BUCKET,
    RESUME_RETENTION_DAYS, RESUME_ROLE_ARNS, TABLE_NAME,
};
use signalbox::delivery::Delivery;
use signalbox::ecs::upload;
use signalbox::executions::SfnExecutions;
use signalbox::lock::AwsLocks;
use signalbox::pipeline::DynamoClones;
use signalbox::request::{BadRequest, parse};
use signalbox::runtime::{Handler, Invocation, SWEPT, within};
use signalbox::{aws, clock::SystemClock, lock};

use crate::answer::Answer;
use crate::clone::Fleet;
use crate::error::Error;
use crate::lineage::DynamoLineage;
use crate::machines::SfnMachines;
use crate::plan::Fleets;
use crate::request::{Asked, Request};
use crate::sweep::{Archive, DynamoRecords, Sweeps};
use crate::{Resumes, Settings};

/// The function as it runs on Lambda.
#[derive(Debug)]
pub struct ResumeFunction {
    /// What people ask.
    pub resumes: Resumes<SfnMachines, DynamoLineage, DynamoClones, SfnExecutions, AwsLocks, SystemClock>,
    /// What the schedule does.
    pub sweeps: Sweeps<DynamoRecords, Archive, SystemClock>,
}

impl ResumeFunction {
    /// On AWS, as `template.yaml` sets it up.
    pub fn on_aws(environment: &Environment) -> Result<Self, ConfigError> {
        let config = aws::shared_config(environment);
        let (dynamodb, table) = (aws::dynamodb(&config), environment.required(TABLE_NAME)?);
        let sfn = aws::sfn(&config);
        let fleet = |name| Ok(of_arn(&environment.required(name)?));
        let roles = environment.get(RESUME_ROLE_ARNS).unwrap_or_default().split(',');
        let days = u32::try_from(environment.number(RESUME_RETENTION_DAYS)?).unwrap_or(u32::MAX);
        let sweeps = Sweeps {
            records: DynamoRecords::new(dynamodb.clone(), table.clone()),
            machines: Archive::new(
                sfn.clone(),
                upload::client(&config),
                environment.required(RESUME_BUCKET)?,
            ),
            clock: SystemClock,
            retention: Duration::from_hours(24) * days,
        };
        let resumes = Resumes {
            machines: SfnMachines::new(sfn.clone()),
            lineage: DynamoLineage::new(dynamodb.clone(), table.clone()),
            clones: DynamoClones::new(dynamodb, table),
            executions: SfnExecutions::new(sfn),
            reserves: lock::on_aws(environment, false)?,
            clock: SystemClock,
            settings: Settings {
                fleets: Fleets {
                    lock_acquire: fleet(LOCK_ACQUIRE_ARN)?,
                    lock_release: fleet(LOCK_RELEASE_ARN)?,
                    overlap_guard: fleet(OVERLAP_GUARD_ARN)?,
                    others: fleet(ECS_LAUNCH_ARN)?,
                },
                roles: roles
                    .map(str::trim)
                    .filter(|role| !role.is_empty())
                    .map(str::to_owned)
                    .collect(),
                function: environment
                    .get("AWS_LAMBDA_FUNCTION_NAME")
                    .unwrap_or("resume")
                    .to_owned(),
            },
        };
        Ok(Self { resumes, sweeps })
    }
}

/// A function by its ARN and by its name, as states may call it.
fn of_arn(arn: &str) -> Fleet {
    let name = arn.rsplit(':').next().unwrap_or(arn);
    Fleet::new([arn.to_owned(), name.to_owned()])
}

impl Handler for ResumeFunction {
    type Request = Value;
    type Answer = Answer;
    type Failure = Error;

    async fn handle(&self, request: Value, invocation: &Invocation) -> Result<Answer, Error> {
        let request = match Delivery::read(request)? {
            Err(request) => request,
            Ok(Delivery::Sweep) => {
                invocation.outcome(SWEPT);
                let swept = within(invocation, self.sweeps.sweep(invocation.deadline)).await;
                return Ok(Answer::swept(&swept.ok_or_else(Error::slow)??));
            }
            Ok(Delivery::Batch(_) | Delivery::Event(_)) => {
                let why = "is missing: nobody sends events here but the schedule";
                return Err(BadRequest::new("executionArn", why).into());
            }
        };
        let asked = Asked::try_from(parse::<Request>(request.clone())?)?;
        invocation.about(asked.execution.as_str());
        let work = async {
            if !asked.apply {
                invocation.outcome("planned");
                let planned = self.resumes.plan(&asked, None).await?;
                return Ok(Answer::planned(
                    &asked,
                    &planned,
                    &request,
                    &self.resumes.settings.function,
                ));
            }
            let (planned, applied) = self.resumes.apply(&asked, invocation.deadline).await?;
            invocation.outcome(if applied.before { "appliedBefore" } else { "applied" });
            Ok(Answer::applied(&asked, planned.as_ref(), &applied))
        };
        within(invocation, work).await.unwrap_or_else(|| Err(Error::slow()))
    }
}
