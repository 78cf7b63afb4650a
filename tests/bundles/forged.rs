//! A job that writes over what the region says about it and then kills its worker: the parent has counted.

use super::*;
use gristmill::layout::Progress;

/// What a job writes before its worker dies.
type Forge = fn(&Scene);

/// Deaths until the job that kills its workers in this way is over, and what the parent gets then.
fn deaths_until_over(forge: Forge) -> (u32, Vec<OutcomeKind>) {
    let scene = Scene::new();
    scene.publish(2);
    let mut given_up = 0;
    for deaths in 1..=1000 {
        let worker = &scene.workers[deaths as usize % 2];
        let mut jobs = vec![];
        let (killed, left) = with(worker, start(worker), 99, |bundle| {
            while let Some(job) = bundle.next_job() {
                if job[0] == 0 {
                    return true;
                }
                jobs.push(job[0]);
                bundle.finish(OutcomeKind::Value, b"");
            }
            false
        });
        if !killed {
            assert!(matches!(left, Left::Finished(_)) && jobs == [1], "the other job is done: {jobs:?}");
            assert_eq!(given_up, 1);
            return (deaths - 1, scene.outcomes().into_iter().map(|o| o.0).collect());
        }
        forge(&scene);
        given_up += scene.recover(deaths as u16 % 2, || ()).unwrap().given_up;
    }
    panic!("it is run again for ever");
}

#[test]
fn whatever_a_job_writes_about_itself_it_kills_no_more_workers_than_it_may() {
    let forgeries: [Forge; 5] = [
        |_| (),
        |scene| scene.heads().1.charged.store(77, Relaxed),
        |scene| scene.heads().1.ends.store(77, Relaxed),
        |scene| scene.parent.desc().attempts.store(u32::MAX, Relaxed),
        |scene| {
            let word = &scene.heads().0.word;
            word.store(SlotWord(word.load(Relaxed)).uncharged().0, Relaxed);
        },
    ];
    for (n, forge) in forgeries.into_iter().enumerate() {
        assert_eq!(deaths_until_over(forge), (2, vec![OutcomeKind::Died, OutcomeKind::Value]), "{n}");
    }
}

/// "I have not begun": then it costs nobody an attempt, but not for ever.
#[test]
fn a_job_that_hides_that_it_was_in_hand_is_over_after_a_hundred_workers() {
    let (deaths, outcomes) = deaths_until_over(|scene| {
        let progress = &scene.heads().1.progress;
        progress.store(Progress(progress.load(Relaxed)).let_go().0, Relaxed);
    });
    assert_eq!((deaths, outcomes), (101, vec![OutcomeKind::Died, OutcomeKind::Value]));
}

/// Jobs that were done come undone: nothing of that region can be believed.
#[test]
fn fewer_jobs_done_than_before_end_the_region() {
    let scene = Scene::new();
    scene.publish(4);
    let before = scene.heads().1.progress.load(Relaxed);
    stop_in_hand(&scene.workers[0], 2);
    scene.dies(0, || ());
    start(&scene.workers[1]);
    scene.heads().1.progress.store(before, Relaxed);
    assert_eq!(scene.recover(1, || ()), Err(Stop::Corrupt));
    assert_eq!(scene.parent.check(), Err(Stop::Corrupt));
}
