use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const HOLDERS: [&str; 3] = ["a", "b", "c"];

/// What workers, time and people do to one activity.
#[derive(Debug, Clone)]
enum Step {
    Later(i64),
    Claim(usize),
    Start(usize),
    Renew(usize),
    Release(usize),
    Lose(usize, bool),
    /// Of the attempt that this holder got last, or of one before or after it.
    Commit(usize, i64, Outcome),
    Finish(Outcome),
    Retry(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let holder = 0..HOLDERS.len();
    let outcome = prop_oneof![Just(Outcome::Processed), Just(Outcome::Error)];
    prop_oneof![
        (0_i64..2_500).prop_map(Step::Later),
        holder.clone().prop_map(Step::Claim),
        holder.clone().prop_map(Step::Start),
        holder.clone().prop_map(Step::Renew),
        holder.clone().prop_map(Step::Release),
        (holder.clone(), any::<bool>()).prop_map(|(holder, died)| Step::Lose(holder, died)),
        (holder, -1_i64..=1, outcome.clone())
            .prop_map(|(holder, off, outcome)| Step::Commit(holder, off, outcome)),
        outcome.prop_map(Step::Finish),
        any::<bool>().prop_map(Step::Retry),
    ]
}

const MAX: i64 = 3;
const LEASE: i64 = 1_000;

/// What a watcher knows from the answers alone.
#[derive(Default)]
struct Watcher {
    /// The newest attempt of each holder that was not given back, lost, committed or taken.
    holding: BTreeMap<&'static str, i64>,
    /// How often each attempt was committed.
    commits: BTreeMap<i64, u32>,
    /// The attempt that each holder got last.
    got: [i64; 3],
    newest: i64,
}

fn act(step: &Step, watcher: &Watcher) -> Option<Act<'static>> {
    Some(match *step {
        Step::Later(_) => return None,
        Step::Claim(n) => Act::Claim { holder: HOLDERS[n], lease_ms: LEASE },
        Step::Start(n) => Act::Start { holder: HOLDERS[n], lease_ms: LEASE },
        Step::Renew(n) => Act::Renew { holder: HOLDERS[n], lease_ms: LEASE },
        Step::Release(n) => Act::Release { holder: HOLDERS[n] },
        Step::Lose(n, died) => Act::Lose { holder: HOLDERS[n], died },
        Step::Commit(n, off, outcome) => Act::Commit { attempt: watcher.got[n] + off, outcome },
        Step::Finish(outcome) => Act::Finish { outcome },
        Step::Retry(reset) => Act::Retry { reset },
    })
}

/// Notes what an accepted act means and checks what must never happen.
fn watch(watcher: &mut Watcher, step: &Step, before: &Activity, after: &Activity, effect: Effect) {
    match (step, effect) {
        (Step::Claim(n) | Step::Start(n), Effect::HandedOut) => {
            assert!(after.attempt > watcher.newest, "an attempt was handed out twice");
            watcher.newest = after.attempt;
            watcher.got[*n] = after.attempt;
            // Whoever had it before has lost it: it must have been free.
            watcher.holding.clear();
            watcher.holding.insert(HOLDERS[*n], after.attempt);
        }
        (Step::Commit(n, off, _), Effect::Committed) => {
            let attempt = watcher.got[*n] + off;
            assert_eq!(
                watcher.holding.values().copied().collect::<Vec<_>>(),
                [attempt],
                "a commit from a lost lease was accepted"
            );
            *watcher.commits.entry(attempt).or_default() += 1;
            watcher.holding.clear();
        }
        (Step::Finish(_), Effect::Committed) => {
            *watcher.commits.entry(before.attempt).or_default() += 1;
            watcher.holding.clear();
        }
        (Step::Release(_) | Step::Lose(..), _) | (_, Effect::SetAside) => watcher.holding.clear(),
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_interleaving_keeps_one_holder_and_one_commit_per_attempt(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let (mut now, mut activity, mut watcher) = (Millis(0), Activity::default(), Watcher::default());
        for step in steps {
            if let Step::Later(ms) = step {
                now = now.plus(ms);
                continue;
            }
            let Some(act) = act(&step, &watcher) else { continue };
            let Ok((after, effect)) = apply(&activity, &act, MAX, now) else { continue };
            watch(&mut watcher, &step, &activity, &after, effect);
            prop_assert_eq!(after.lease.is_some(), after.state == State::Started);
            prop_assert!(after.attempt >= activity.attempt, "the fencing token fell");
            prop_assert!(watcher.holding.len() <= 1);
            prop_assert!(watcher.commits.values().all(|count| *count == 1));
            if effect == Effect::Repeated {
                prop_assert_eq!(&after, &activity, "a repeat changed something");
            }
            // A lease that has not run out is only ended by its holder, its end, or a result.
            if let Some(lease) = activity.lease.as_ref().filter(|lease| lease.until >= now)
                && let Step::Claim(_) | Step::Start(_) = step
            {
                prop_assert!(false, "{} was taken from {} at {:?}", lease.until.0, lease.holder, now);
            }
            activity = after;
        }
    }

    #[test]
    fn an_element_that_kills_every_worker_is_set_aside_after_the_stated_number(max in 1_i64..20, by_job in any::<bool>()) {
        let (mut now, mut activity, mut handed_out) = (Millis(0), Activity::default(), 0);
        loop {
            let claim = Act::Claim { holder: "a", lease_ms: LEASE };
            let (next, effect) = apply(&activity, &claim, max, now).unwrap();
            activity = next;
            if effect == Effect::SetAside {
                break;
            }
            handed_out += 1;
            if by_job {
                activity = apply(&activity, &Act::Lose { holder: "a", died: true }, max, now).unwrap().0;
                if activity.state == State::Error {
                    break;
                }
            }
            now = now.plus(LEASE + 1);
        }
        prop_assert_eq!((handed_out, activity.state, activity.lost), (max, State::Error, max));
    }
}

fn started(attempt: i64) -> Activity {
    let lease = Some(Lease { holder: "a".into(), until: Millis(1_000) });
    Activity { state: State::Started, attempt, lost: 0, lease }
}

fn refusal(activity: &Activity, act: &Act<'_>) -> String {
    apply(activity, act, MAX, Millis(500)).unwrap_err().to_string()
}

#[test]
fn a_refusal_says_what_the_state_is_and_what_to_do() {
    let start = Act::Start { holder: "b", lease_ms: LEASE };
    assert_eq!(refusal(&started(1), &start), "the element is started: `a` holds it until 1000");
    let done = Activity { state: State::Processed, attempt: 1, ..Activity::default() };
    assert_eq!(
        refusal(&done, &start),
        "an activity that is processed cannot become started: it is done; retry it to do it again"
    );
    let finish = Act::Finish { outcome: Outcome::Processed };
    assert_eq!(
        refusal(&Activity::default(), &finish),
        "an activity that is queued cannot become processed: start it first"
    );
    let failed = Activity { state: State::Error, ..done.clone() };
    assert_eq!(refusal(&failed, &finish), "an activity that is error cannot become processed");
    let commit = |attempt| Act::Commit { attempt, outcome: Outcome::Processed };
    assert!(refusal(&started(3), &commit(2)).contains("`a` has attempt 3 now; drop the result"));
    assert!(refusal(&started(3), &commit(4)).contains("was never handed out: the newest is 3"));
    assert!(refusal(&failed, &commit(1)).contains("was committed as error already"));
    assert!(refusal(&Activity { attempt: 2, ..Activity::default() }, &commit(2)).contains("queued again"));
}

#[test]
fn what_workers_without_attempts_say_twice_changes_nothing() {
    for outcome in [Outcome::Processed, Outcome::Error] {
        let (once, effect) = apply(&started(1), &Act::Finish { outcome }, MAX, Millis(500)).unwrap();
        assert_eq!((once.state, effect), (outcome.state(), Effect::Committed));
        let twice = apply(&once, &Act::Finish { outcome }, MAX, Millis(500)).unwrap();
        assert_eq!(twice, (once, Effect::Repeated));
    }
}

#[test]
fn an_element_that_failed_may_be_started_again_and_one_that_is_done_may_not() {
    let start = Act::Start { holder: "b", lease_ms: LEASE };
    let failed = Activity { state: State::Error, attempt: 4, lost: 3, lease: None };
    let (again, _) = apply(&failed, &start, MAX, Millis(0)).unwrap();
    assert_eq!((again.state, again.attempt, again.lost), (State::Started, 5, 0));
    let (taken, _) = apply(&started(1), &start, MAX, Millis(1_001)).unwrap();
    assert_eq!((taken.attempt, taken.lease.unwrap().holder.as_str()), (2, "b"));
}

#[test]
fn who_is_one_loss_from_being_set_aside_is_a_suspect() {
    let lost = |lost| Activity { lost, ..Activity::default() };
    let suspects: Vec<i64> = (0..4).filter(|n| lost(*n).is_suspect(3, Millis(0))).collect();
    assert_eq!(suspects, [2, 3]);
    let expired = Activity { lost: 1, ..started(2) };
    assert!(!expired.is_suspect(3, Millis(1_000)) && expired.is_suspect(3, Millis(1_001)));
    assert!(!lost(0).is_suspect(1, Millis(0)), "with one attempt only, nothing could be handed out together");
}
