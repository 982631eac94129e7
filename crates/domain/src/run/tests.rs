use proptest::prelude::*;

use super::*;

fn exit(reason: Reason) -> Exit {
    Exit { reason, code: None, signal: None, message: None, launched_at: None, ended_at: Millis(9) }
}

fn any_reason() -> impl Strategy<Value = Reason> {
    prop::sample::select(vec![
        Reason::Completed,
        Reason::Error,
        Reason::Signaled,
        Reason::OOMKilled,
        Reason::TimeLimitExceeded,
        Reason::LaunchFailed,
        Reason::RunnerKilled,
        Reason::BackendFailed,
    ])
}

fn any_cause() -> impl Strategy<Value = Cause> {
    let text = || "[a-z]{0,5}".prop_map(String::from);
    prop_oneof![
        3 => Just(Cause::JobMade),
        1 => text().prop_map(|reason| Cause::JobRefused { reason }),
        2 => Just(Cause::Submitted),
        2 => Just(Cause::Pending { reason: None }),
        3 => Just(Cause::Started),
        2 => Just(Cause::TerminateSent),
        2 => Just(Cause::Terminating),
        2 => any_reason().prop_map(|reason| Cause::Ended { exit: exit(reason) }),
        1 => text().prop_map(|reason| Cause::Lost { reason }),
        1 => any::<bool>().prop_map(|running| Cause::Found { running }),
        1 => (1i64..600_000, text()).prop_map(|(grace_ms, by)| Cause::Stop { grace_ms, by }),
        1 => text().prop_map(|by| Cause::Restart { by }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_sequence_of_causes_leaves_the_table(
        left in 0i64..3,
        causes in prop::collection::vec(any_cause(), 0..40),
    ) {
        let on = vec![RetryOn::Failed, RetryOn::Oom, RetryOn::Lost];
        let mut life = Life::new(Retries { left, on });
        for (tick, cause) in causes.iter().enumerate() {
            let now = Millis(tick as i64);
            let before = life.clone();
            let Ok(change) = apply(&life, cause, now) else { continue };
            let mut at = before.status;
            for entry in &change.entries {
                let kept = entry.status == at && matches!(cause, Cause::Stop { .. });
                prop_assert!(kept || entry.status.may_follow(at), "{at} -> {} on {cause:?}", entry.status);
                at = entry.status;
            }
            prop_assert_eq!(at, change.life.status, "the status is the last entry's");
            prop_assert!(change.life.epoch >= before.epoch, "an epoch never falls");
            if change.entries.is_empty() {
                prop_assert_eq!(&change.life, &before, "no entry, no change");
            }
            if let (Some(old), Some(new)) = (before.stop, change.life.stop) {
                prop_assert!(new.deadline <= old.deadline, "a stop is never put off");
            }
            if before.stop.is_some() && !before.status.is_terminal() && change.life.status.is_terminal() {
                prop_assert_eq!(change.life.status, Status::JobTerminated);
            }
            // A repeated message changes nothing, except a restart, which is a new wish.
            if !matches!(cause, Cause::Restart { .. } | Cause::Ended { .. }) {
                match apply(&change.life, cause, now) {
                    Ok(again) => prop_assert!(again.entries.is_empty(), "{cause:?} repeated on {at}"),
                    Err(refused) => prop_assert!(
                        !matches!(cause, Cause::Started | Cause::Submitted | Cause::Pending { .. } | Cause::JobMade),
                        "{refused}"
                    ),
                }
            }
            life = change.life;
        }
    }
}

fn running() -> Life {
    let life = Life::new(Retries::default());
    let life = apply(&life, &Cause::JobMade, Millis(0)).unwrap().life;
    apply(&life, &Cause::Started, Millis(0)).unwrap().life
}

fn statuses(change: &Change) -> Vec<Status> {
    change.entries.iter().map(|entry| entry.status).collect()
}

#[test]
fn a_stop_decides_the_outcome_even_when_the_program_exits_with_0() {
    let stop = Cause::Stop { grace_ms: 1000, by: "ann".into() };
    let life = apply(&running(), &stop, Millis(5)).unwrap().life;
    let ended = apply(&life, &Cause::Ended { exit: exit(Reason::Completed) }, Millis(6)).unwrap();
    assert_eq!(ended.life.status, Status::JobTerminated);
}

#[test]
fn a_second_stop_may_only_shorten_the_grace() {
    let stop = |grace_ms| Cause::Stop { grace_ms, by: "ann".into() };
    let life = apply(&running(), &stop(1000), Millis(0)).unwrap().life;
    let longer = apply(&life, &stop(5000), Millis(1)).unwrap();
    assert!(longer.entries.is_empty());
    let shorter = apply(&life, &stop(100), Millis(1)).unwrap();
    assert_eq!(shorter.life.stop.unwrap().deadline, Millis(101));
    assert_eq!(shorter.life.status, life.status);
}

#[test]
fn a_run_without_a_job_is_stopped_at_once() {
    let life = Life::new(Retries::default());
    let stop = Cause::Stop { grace_ms: 1000, by: "ann".into() };
    let change = apply(&life, &stop, Millis(0)).unwrap();
    assert_eq!(statuses(&change), [Status::RunStopRequested, Status::JobTerminated]);
}

#[test]
fn a_runner_that_reports_before_the_controller_has_noted_the_start_fills_in_the_way() {
    let life = apply(&Life::new(Retries::default()), &Cause::JobMade, Millis(0)).unwrap().life;
    let change = apply(&life, &Cause::Started, Millis(0)).unwrap();
    assert_eq!(statuses(&change), [Status::JobSubmitted, Status::JobPending, Status::JobRunning]);
}

#[test]
fn a_lost_job_is_unknown_and_its_late_exit_is_still_the_truth() {
    let lost = apply(&running(), &Cause::Lost { reason: "node away".into() }, Millis(1)).unwrap().life;
    assert_eq!(lost.status, Status::JobUnknown);
    let ended = apply(&lost, &Cause::Ended { exit: exit(Reason::Completed) }, Millis(2)).unwrap();
    assert_eq!(ended.life.status, Status::JobCompleted);
}

#[test]
fn restarting_raises_the_epoch_before_anything_else() {
    let lost = apply(&running(), &Cause::Lost { reason: "node away".into() }, Millis(1)).unwrap().life;
    let change = apply(&lost, &Cause::Restart { by: "ann".into() }, Millis(2)).unwrap();
    assert_eq!((change.life.epoch, change.life.has_job), (2, false));
    let refused = apply(&running(), &Cause::Restart { by: "ann".into() }, Millis(2)).unwrap_err();
    assert_eq!(refused, Refused::Active(Status::JobRunning));
}

#[test]
fn a_failure_is_retried_as_often_as_was_asked_and_only_for_the_reasons_given() {
    let retries = Retries { left: 1, on: vec![RetryOn::Oom] };
    let life = Life { retries, ..running() };
    let error = apply(&life, &Cause::Ended { exit: exit(Reason::Error) }, Millis(1)).unwrap();
    assert_eq!(error.life.status, Status::JobFailed);
    let oom = apply(&life, &Cause::Ended { exit: exit(Reason::OOMKilled) }, Millis(1)).unwrap();
    assert_eq!(statuses(&oom), [Status::JobFailed, Status::RunRestartRequested]);
    assert_eq!((oom.life.epoch, oom.life.retries.left), (2, 0));
}
