//! Numbers that stand side by side, many of which a worker begins at once.

use super::*;

/// Publishes the numbers 0, 1, 2 and so on, of two bytes each, as one array, with room for results of four bytes in a block behind them.
fn publish(scene: &Scene, items: u16) {
    let mut jobs = frame::array(2, items).to_vec();
    (0..items).for_each(|n| jobs.extend(n.to_le_bytes()));
    let fill = Fill { items: items.into(), jobs: &jobs, room: u32::from(items) * 9, task: 0, fold: None, cancelled: 0 };
    scene.parent.publish(&[scene.parent.fill(0, fill).unwrap()]).unwrap();
}

fn value(n: u16) -> (OutcomeKind, Vec<u8>) {
    (OutcomeKind::Value, (u32::from(n) * 3).to_le_bytes().to_vec())
}

/// Runs steps and single jobs until `stop` says so before one, and leaves that one in hand: `Err`. The numbers that were begun.
fn run(bundle: &mut Bundle<'_>, mut stop: impl FnMut(u16) -> bool) -> (Vec<u16>, bool) {
    let mut begun = vec![];
    let mut one = |job: &[u8], write: &mut dyn FnMut(&[u8])| {
        let n = u16::from_le_bytes(job.try_into().unwrap());
        begun.push(n);
        if stop(n) {
            return Err(());
        }
        write(&(u32::from(n) * 3).to_le_bytes());
        Ok(())
    };
    loop {
        match bundle.step(2, 4, &mut one) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(()) => return (begun, true),
        }
        let Some(job) = bundle.next_job().map(<[u8]>::to_vec) else { return (begun, false) };
        let mut result = [0; 4];
        if one(&job, &mut |bytes| result.copy_from_slice(bytes)).is_err() {
            return (begun, true);
        }
        bundle.finish(OutcomeKind::Value, &result);
    }
}

/// Starts the bundle and stops in the middle of `at`, as if killed there. The numbers that were begun.
fn killed_at(worker: &Channel, at: u16) -> Vec<u16> {
    let word = start(worker);
    let (mut memory, mut budget, mut waiting) = (vec![], 999, NoRoom);
    let mut bundle = Bundle::open(worker, 0, word, &mut memory, &mut budget, &mut waiting).unwrap();
    let (begun, stopped) = run(&mut bundle, |n| n == at);
    assert!(stopped);
    begun
}

/// The story: a worker has begun a hundred numbers by one step and is killed in the middle of one. Those before it have been run, and no CAS
/// says so; those behind it have not.
#[test]
fn a_death_within_a_step_costs_the_number_in_hand_and_no_other() {
    for items in [1, 2, 5, 40, 300] {
        // Steps begin 4, 8, 16 and so on, if nothing else runs: their ends are among these.
        let ends = [0, 1, 2, 3, 4, 5, 11, 12, 13, 27, 28, 29, 38, 39, 59, 60, 61, 123, 124, 251, 252, 298, 299];
        for at in ends.into_iter().filter(|at| *at < items) {
            let scene = Scene::new();
            let [first, second] = &scene.workers;
            publish(&scene, items);
            assert!(killed_at(first, at).into_iter().eq(0..=at));
            assert_eq!(scene.dies(0, || ()).attempt(), 1, "{at} of {items}");
            assert_eq!(scene.outcomes(), (0..at).map(value).collect::<Vec<_>>());
            // The next one is killed there, too: that one is over, and not run again.
            assert_eq!(killed_at(second, at), [at]);
            assert_eq!(scene.dies(1, || ()).attempt(), 2);
            let ((begun, _), left) = with(first, start(first), 999, |bundle| run(bundle, |_| false));
            assert!(begun.into_iter().eq(at + 1..items) && matches!(left, Left::Finished(_)), "{at} of {items}");
            let expected = (0..items).map(|n| if n == at { died(2) } else { value(n) });
            assert_eq!(scene.outcomes(), expected.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_number_that_ends_otherwise_ends_alone_within_a_step() {
    let scene = Scene::new();
    let [first, _] = &scene.workers;
    publish(&scene, 60);
    let bad = |n: u16| n % 7 == 3 || n == 59;
    // As many as the worker may run: what is begun and put back is not counted twice.
    let (begun, left) = with(first, start(first), 60, |bundle| {
        let mut begun = vec![];
        loop {
            let (some, stopped) = run(bundle, bad);
            begun.extend(some);
            if !stopped {
                return begun;
            }
            assert!(bundle.has_in_hand());
            bundle.finish(OutcomeKind::Panicked, b"a long story of what has gone wrong");
        }
    });
    assert!(begun.into_iter().eq(0..60) && matches!(left, Left::Finished(_)));
    let panicked = (OutcomeKind::Panicked, b"a long story of what has gone wrong".to_vec());
    let expected = (0..60).map(|n| if bad(n) { panicked.clone() } else { value(n) });
    assert_eq!(scene.outcomes(), expected.collect::<Vec<_>>());
    assert_eq!(first.region().arena(1).used(), 0, "no block is left of those that did not fit");
}

/// What has been begun is run, and nothing behind it; both sides agree on where that is.
#[test]
fn what_is_cut_within_a_step_ends_with_the_step() {
    let scene = Scene::new();
    let [first, _] = &scene.workers;
    publish(&scene, 200);
    let mut cut = 0..0;
    let ((begun, _), left) = with(first, start(first), 999, |bundle| {
        run(bundle, |n| {
            if n == 60 {
                cut = scene.parent.cut(0);
            }
            false
        })
    });
    assert!(cut.start > 60 && cut.end == 200, "{cut:?}");
    assert!(begun.into_iter().eq(0..cut.start as u16) && matches!(left, Left::Finished(_)));
    assert_eq!(scene.outcomes(), (0..cut.start as u16).map(value).collect::<Vec<_>>());
}

#[test]
fn no_more_are_begun_than_the_worker_may_run() {
    let scene = Scene::new();
    let [first, second] = &scene.workers;
    publish(&scene, 100);
    let word = start(first);
    let ((begun, _), left) = with(first, word, 33, |bundle| run(bundle, |_| false));
    assert!(begun.into_iter().eq(0..33) && left == Left::Rest);
    first.put_rest_back(0, word).unwrap();
    let ((begun, _), left) = with(second, start(second), 999, |bundle| run(bundle, |_| false));
    assert!(begun.into_iter().eq(33..100) && matches!(left, Left::Finished(_)));
    assert_eq!(scene.outcomes(), (0..100).map(value).collect::<Vec<_>>());
}

/// Jobs with a deadline are begun one by one: the parent condemns the one that is overdue, and must know which.
#[test]
fn of_a_timed_array_only_one_is_in_hand() {
    let scene = Scene::new();
    let [first, _] = &scene.workers;
    scene.parent.desc().timed.store(1, Relaxed);
    publish(&scene, 50);
    killed_at(first, 20);
    assert_eq!((scene.parent.progress(0).done(), scene.parent.progress(0).hand()), (20, 1));
    assert!(scene.parent.condemn(0, 20) && !scene.parent.condemn(0, 21));
}

/// The numbers of a dead worker's last step are what it wrote into shared memory: whatever stands there, nothing is read outside.
#[test]
fn a_forged_step_of_a_dead_worker_ends_the_region_and_nothing_else() {
    for (ran, width, sound) in [(5, 4, true), (u16::MAX, 4, true), (5, u16::MAX, false), (u16::MAX, u16::MAX, false)] {
        let scene = Scene::new();
        publish(&scene, 30);
        killed_at(&scene.workers[0], 2);
        let head = scene.heads().1;
        head.ran.store(ran, Relaxed);
        head.width.store(width, Relaxed);
        let recovered = scene.recover(0, || ());
        assert!(!sound || recovered.is_ok(), "{recovered:?}");
        assert_eq!(scene.parent.check(), if sound { Ok(()) } else { Err(Stop::Corrupt) }, "{ran} {width}");
    }
}
