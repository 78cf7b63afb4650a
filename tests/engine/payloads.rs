//! Payloads of every size: none, in the slot, in the arena, more than fits.

use crate::harness::list;
use crate::workers::{echo, echo_jobs};
use gristmill::{Mill, PutError};
use std::time::Duration;

list! {
    every_size_up_to_the_arena_comes_back
    one_byte_more_than_the_arena_is_refused_and_comes_back
    a_full_arena_is_waited_for
    large_results_beyond_the_arena_are_there_after_join
    all_room_in_the_arena_comes_back
}

const ARENA: usize = 64 * 1024;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|k| (k * 31 + len) as u8).collect()
}

fn every_size_up_to_the_arena_comes_back() {
    let mill = Mill::builder().arena_size(ARENA).build().unwrap();
    let items = mill.queue::<Vec<u8>>(16).unwrap();
    let jobs = mill.joinable_queue::<Vec<u8>>(16).unwrap();
    let back = mill.queue::<Vec<u8>>(16).unwrap();
    mill.spawn_daemons(1, echo, (&items, &back)).unwrap();
    mill.spawn_daemons(1, echo_jobs, (&jobs, &back)).unwrap();
    let view = crate::view::View::new();
    let inline = view.channel(0).inline_payload();
    assert_eq!(view.channel(1).inline_payload(), inline);
    assert_eq!(view.channel(0).payload_limit(), ARENA);
    let near = [0, 1, 2, 127, 128, 129, inline, 256, 4096, 16_384, ARENA];
    let mut sizes: Vec<usize> = near.iter().flat_map(|&n| [n.saturating_sub(1), n, n + 1]).filter(|&n| n <= ARENA).collect();
    sizes.extend([inline + 255, inline + 257, 1000, 40_000]);
    for size in sizes {
        let item = bytes(size);
        items.put(item.clone()).unwrap();
        assert!(back.get().unwrap() == item, "{size} bytes changed on their way through the queue");
        jobs.put(item.clone()).unwrap();
        assert!(back.get().unwrap() == item, "{size} bytes changed on their way as a job");
        jobs.join().unwrap();
    }
}

fn one_byte_more_than_the_arena_is_refused_and_comes_back() {
    let mill = Mill::builder().arena_size(ARENA).build().unwrap();
    let queue = mill.queue::<Vec<u8>>(2).unwrap();
    let jobs = mill.joinable_queue::<Vec<u8>>(2).unwrap();
    let over = bytes(ARENA + 1);
    let check = |error: PutError<Vec<u8>>| {
        let text = error.to_string();
        assert!(text.contains(&(ARENA + 1).to_string()) && text.contains(&ARENA.to_string()), "both sizes: {text}");
        match error {
            PutError::TooLarge { item, size, limit } => assert!(item == over && size == ARENA + 1 && limit == ARENA),
            other => panic!("{other}"),
        }
    };
    for _ in 0..5 {
        check(queue.put(over.clone()).unwrap_err());
        check(jobs.try_put(over.clone()).unwrap_err());
        check(jobs.put_timeout(over.clone(), Duration::from_secs(1)).unwrap_err());
    }
    // None of that has kept a slot.
    queue.try_put(bytes(ARENA)).unwrap();
    queue.try_put(vec![1]).unwrap();
    jobs.try_put(bytes(ARENA)).unwrap();
    jobs.try_put(vec![2]).unwrap();
    assert_eq!((queue.drain().unwrap().len(), jobs.qsize()), (2, 2));
}

/// Each item takes a third of the arena, so that most puts find it full: both the parent, for jobs, and the workers, for results.
fn a_full_arena_is_waited_for() {
    let mill = Mill::builder().arena_size(ARENA).build().unwrap();
    let jobs = mill.joinable_queue::<Vec<u8>>(64).unwrap();
    let back = mill.queue::<Vec<u8>>(64).unwrap();
    mill.spawn_daemons(2, echo_jobs, (&jobs, &back)).unwrap();
    let view = crate::view::View::new();
    let size = |n: usize| ARENA / 3 - n % 50;
    for n in 0..100 {
        jobs.put(bytes(size(n))).unwrap();
    }
    // Without waiting: the arena is still full of jobs or it is not.
    match jobs.try_put(bytes(ARENA / 2)) {
        Ok(()) => drop(jobs.join()),
        Err(e) => assert!(matches!(e, PutError::Full(_)), "{e}"),
    }
    jobs.join().unwrap();
    let mut got: Vec<Vec<u8>> = back.drain().unwrap();
    got.retain(|item| item.len() != ARENA / 2);
    assert_eq!(got.len(), 100);
    got.iter().for_each(|item| assert!(*item == bytes(item.len()), "bytes changed"));
    drop(view);
}

/// 40 times the arena's room of results; the parent takes them out while it waits in `put` and `join`.
fn large_results_beyond_the_arena_are_there_after_join() {
    let mill = Mill::builder().arena_size(ARENA).build().unwrap();
    let jobs = mill.joinable_queue::<Vec<u8>>(8).unwrap();
    let back = mill.queue::<Vec<u8>>(8).unwrap();
    mill.spawn_daemons(2, echo_jobs, (&jobs, &back)).unwrap();
    for n in 0..160 {
        jobs.put(bytes(ARENA / 4 + n)).unwrap();
    }
    jobs.join().unwrap();
    let mut lengths: Vec<_> = back.drain().unwrap().iter().map(|item| (item.len(), *item == bytes(item.len()))).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, (0..160).map(|n| (ARENA / 4 + n, true)).collect::<Vec<_>>());
}

fn all_room_in_the_arena_comes_back() {
    let mill = Mill::builder().arena_size(ARENA).build().unwrap();
    let jobs = mill.joinable_queue::<Vec<u8>>(16).unwrap();
    let back = mill.queue::<Vec<u8>>(16).unwrap();
    mill.spawn_daemons(2, echo_jobs, (&jobs, &back)).unwrap();
    for n in 0..500 {
        jobs.put(bytes(300 + n * 7)).unwrap();
    }
    jobs.join().unwrap();
    assert_eq!(back.drain().unwrap().len(), 500);
    // One payload may have all of it, in both directions.
    jobs.put_timeout(bytes(ARENA), Duration::from_secs(100)).unwrap();
    assert!(back.get().unwrap() == bytes(ARENA));
    jobs.join().unwrap();
}
