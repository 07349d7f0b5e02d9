//! The Lease by which one replica at a time works. What to do when is decided by
//! [`bellwether_core::lease`]; here it is done.

use std::time::Duration;

use bellwether_core::lease::{Contender, Input, Observed, Output, Record, Write};
use bellwether_daemon::call::{CallError, TIMEOUT, with_timeout};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::apply::FIELD_MANAGER;
use crate::run::{Clock, Replica};

/// The name of the Lease.
pub const LEASE: &str = "bellwether-controller";

/// Competes for the Lease until `shutdown`. While it is held, what `lead` starts is running; it is
/// told to end, and waited for, before anybody else may hold the Lease.
pub async fn compete(
    client: Client,
    namespace: &str,
    mut contender: Contender,
    replica: Replica,
    shutdown: CancellationToken,
    lead: impl Fn(CancellationToken, Option<Timestamp>) -> JoinHandle<()>,
) {
    let api: Api<Lease> = Api::namespaced(client, namespace);
    let Replica { clock, heartbeat } = replica;
    let mut session: Option<(CancellationToken, JoinHandle<()>)> = None;
    let mut said = None;
    let mut acquired = None;
    let mut renewed = None;
    loop {
        heartbeat.beat();
        while let Some(output) = contender.poll_output() {
            let input = match output {
                Output::Read => {
                    let lease = read(&api, limit(&contender, clock), &mut said).await;
                    if let (Ok(lease), None) = (&lease, &session) {
                        renewed = renewal(lease.as_ref());
                    }
                    lease.map_or(Input::ReadFailed, |lease| Input::Read(lease.map(observed)))
                }
                Output::Write(write) => {
                    if write.acquires {
                        acquired = Some(MicroTime(Timestamp::now()));
                    }
                    let lease = lease(namespace, &write, acquired.clone());
                    perform(&api, &lease, limit(&contender, clock), &mut said).await
                }
                Output::Gained => {
                    tracing::info!("leading");
                    let token = CancellationToken::new();
                    session = Some((token.clone(), lead(token, renewed)));
                    continue;
                }
                Output::Lost(loss) => {
                    tracing::warn!(reason = %loss, "leading no more");
                    if let Some((token, task)) = session.take() {
                        token.cancel();
                        // It ends as soon as it is told to; there is nothing to learn from it.
                        let _ended = task.await;
                    }
                    continue;
                }
            };
            contender.handle(input, clock.now());
        }
        if contender.is_finished() {
            return;
        }
        let pause = contender
            .next_deadline()
            .map_or(Duration::from_secs(1), |deadline| {
                deadline.since(clock.now())
            });
        tokio::select! {
            () = tokio::time::sleep(pause) => contender.on_deadline(clock.now()),
            () = shutdown.cancelled(), if !is_stopping(&contender) => {
                contender.handle(Input::Stop, clock.now());
            }
        }
    }
}

/// A contender that was told to stop waits for nothing any more.
fn is_stopping(contender: &Contender) -> bool {
    contender.next_deadline().is_none()
}

/// How long a request may take: no longer than until something else is due.
fn limit(contender: &Contender, clock: Clock) -> Duration {
    let due = contender
        .next_deadline()
        .map(|deadline| deadline.since(clock.now()));
    due.map_or(TIMEOUT, |due| due.min(TIMEOUT))
}

/// The Lease; what is wrong is said.
async fn read(
    api: &Api<Lease>,
    limit: Duration,
    said: &mut Option<CallError>,
) -> Result<Option<Lease>, ()> {
    match with_timeout(limit, api.get_opt(LEASE)).await {
        Ok(lease) => {
            said.take();
            Ok(lease)
        }
        Err(error) => {
            say(error, said);
            Err(())
        }
    }
}

/// Until when somebody led, by that replica's clock.
fn renewal(lease: Option<&Lease>) -> Option<Timestamp> {
    let spec = lease?.spec.as_ref()?;
    spec.renew_time.as_ref().map(|renewed| renewed.0)
}

/// The Lease as `write` wants it. `acquired` is since when this replica holds it.
fn lease(namespace: &str, write: &Write, acquired: Option<MicroTime>) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(LEASE.to_owned()),
            namespace: Some(namespace.to_owned()),
            resource_version: write.version.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(write.holder.as_deref().unwrap_or_default().to_owned()),
            lease_duration_seconds: i32::try_from(write.duration.as_secs()).ok(),
            lease_transitions: i32::try_from(write.transitions).ok(),
            acquire_time: acquired,
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }),
    }
}

async fn perform(
    api: &Api<Lease>,
    lease: &Lease,
    limit: Duration,
    said: &mut Option<CallError>,
) -> Input {
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let written = if lease.metadata.resource_version.is_some() {
        with_timeout(limit, api.replace(LEASE, &params, lease)).await
    } else {
        with_timeout(limit, api.create(&params, lease)).await
    };
    match written {
        Ok(lease) => {
            said.take();
            Input::Written(observed(lease))
        }
        Err(CallError::Conflict(_) | CallError::AlreadyExists(_) | CallError::NotFound(_)) => {
            Input::Refused
        }
        Err(error) => {
            say(error, said);
            Input::WriteFailed
        }
    }
}

fn observed(lease: Lease) -> Observed {
    let spec = lease.spec.unwrap_or_default();
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    Observed {
        record: Record {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration: Duration::from_secs(seconds.unwrap_or_default()),
            transitions: spec
                .lease_transitions
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or_default(),
            times: format!("{:?} {:?}", spec.acquire_time, spec.renew_time),
        },
        version: lease.metadata.resource_version.unwrap_or_default(),
    }
}

/// The same trouble is said once, not at every try.
fn say(error: CallError, said: &mut Option<CallError>) {
    if said.as_ref() != Some(&error) {
        tracing::warn!(lease = LEASE, %error, "cannot use the Lease; trying again");
        *said = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_says_since_when_the_lease_is_held() {
        let write = Write {
            version: Some("41".to_owned()),
            holder: Some("replica".into()),
            duration: Duration::from_secs(15),
            transitions: 2,
            acquires: false,
        };
        let acquired = Some(MicroTime(Timestamp::UNIX_EPOCH));
        let lease = lease("somewhere", &write, acquired.clone());
        assert_eq!(lease.metadata.resource_version.as_deref(), Some("41"));
        let spec = lease.spec.expect("a spec");
        assert_eq!(spec.acquire_time, acquired);
        assert_eq!(spec.lease_duration_seconds, Some(15));
        assert_eq!(spec.holder_identity.as_deref(), Some("replica"));
    }
}
