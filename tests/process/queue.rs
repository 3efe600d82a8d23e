//! `Queue`, `BytesQueue` and `Value`.

use std::thread;
use std::time::Duration;

use racefree::process::{BytesQueue, Empty, Full, Queue, Shared, Value};

use crate::child::{LIMIT, say, soon, until_killed, with_children};

type Numbers = Queue<[u32; 3], 5>;

const ITEMS: u32 = 3000;

with_children! {
    fn each_item_arrives_in_order: Numbers = Queue::new();
    {
        "puts" => |queue| for number in 0..ITEMS {
            queue.put_timeout([number, number + 1, number + 2], LIMIT).unwrap();
        },
    }
    |queue, start| {
        let child = start("puts");
        for number in 0..ITEMS {
            assert_eq!(queue.get_timeout(LIMIT), Ok([number, number + 1, number + 2]));
        }
        child.join();
        assert!(queue.empty());
    }
}

#[test]
fn full_and_empty() {
    let queue = Shared::create(Queue::<u8, 3>::new()).unwrap();
    assert_eq!(queue.get_nowait(), Err(Empty));
    for round in 0..10_u8 {
        for item in 0..3 {
            assert!(!queue.full());
            queue.put_nowait(round + item).unwrap();
        }
        assert!(queue.full());
        assert_eq!(queue.put_nowait(9), Err(Full));
        assert_eq!(queue.put_timeout(9, Duration::from_millis(1)), Err(Full));
        for item in 0..3 {
            assert_eq!(queue.get_nowait(), Ok(round + item));
        }
        assert_eq!(queue.get_timeout(Duration::from_millis(1)), Err(Empty));
        queue.put(0);
        assert_eq!(queue.get(), 0);
    }
}

with_children! {
    fn the_dead_do_not_stop_it: Numbers = Queue::new();
    {
        "puts" => |queue| {
            queue.put([1, 2, 3]);
            say("put");
            queue.put([4, 5, 6]);
            say("put");
            loop { queue.put([7, 8, 9]); }
        },
        "gets" => |queue| {
            say("gets");
            loop { let _ = queue.get(); }
        },
    }
    |queue, start| {
        let mut producer = start("puts");
        producer.expect("put");
        producer.expect("put");
        thread::sleep(Duration::from_millis(60));
        assert!(queue.full());
        // It waits for a place.
        producer.kill();
        assert_eq!(soon(|| queue.get()), [1, 2, 3]);
        assert_eq!(soon(|| queue.get()), [4, 5, 6]);
        let mut consumer = start("gets");
        consumer.expect("gets");
        thread::sleep(Duration::from_millis(60));
        consumer.kill();
        assert!(queue.empty());
        queue.put([9; 3]);
        assert_eq!(soon(|| queue.get()), [9; 3]);
    }
}

type Lines = BytesQueue<20>;

fn line(number: usize) -> Vec<u8> {
    vec![number as u8; number % (Lines::MAX_LENGTH + 1)]
}

with_children! {
    fn bytes_of_each_length: Lines = BytesQueue::new();
    { "puts" => |queue| (0..2000).for_each(|it| queue.put_timeout(&line(it), LIMIT).unwrap()), }
    |queue, start| {
        let child = start("puts");
        for number in 0..2000 {
            assert_eq!(queue.get_timeout(LIMIT), Ok(line(number)));
        }
        child.join();
        assert!(queue.empty());
        assert_eq!(queue.qsize(), 0);
        assert_eq!(queue.put(&[0; Lines::MAX_LENGTH + 1]), Err(Full));
    }
}

with_children! {
    fn a_value_is_never_half_changed: Value<[u64; 20]> = Value::new([0; 20]);
    {
        "changes" => |value| {
            say("changes");
            loop { value.update(|it| it.iter_mut().for_each(|it| *it += 1)); }
        },
    }
    |value, start| {
        let mut last = 0;
        for _ in 0..10 {
            let mut child = start("changes");
            child.expect("changes");
            for _ in 0..1000 {
                let seen = value.get();
                assert_eq!(seen, [seen[0]; 20]);
                assert!(seen[0] >= last);
                last = seen[0];
            }
            child.kill();
            let seen = soon(|| value.update(|it| *it));
            assert_eq!(seen, [seen[0]; 20]);
        }
        assert!(last > 0);
    }
}

with_children! {
    fn a_process_that_dies_while_it_changes_a_value: Value<u32> = Value::new(7);
    {
        "changes" => |value| value.update(|it| { *it = 8; say("changes"); until_killed() }),
    }
    |value, start| {
        let mut child = start("changes");
        child.expect("changes");
        assert_eq!(value.get(), 7, "nobody waits to read it");
        thread::scope(|scope| {
            let waiter = scope.spawn(|| value.update(|it| *it += 10));
            thread::sleep(Duration::from_millis(100));
            assert!(!waiter.is_finished());
            soon(|| { child.kill(); waiter.join().unwrap(); });
        });
        assert_eq!(value.get(), 17);
    }
}

#[test]
fn a_change_that_panics_changes_nothing() {
    let value = Shared::create(Value::new(7)).unwrap();
    let panics = std::panic::AssertUnwindSafe(|| {
        value.update(|it| {
            *it = 8;
            panic!("no")
        })
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(value.update(|it| *it), 7);
}
