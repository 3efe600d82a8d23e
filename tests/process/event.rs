//! `Event`.

use std::thread;
use std::time::Duration;

use racefree::process::{Event, Shared, shared};

use crate::child::{LIMIT, say, until_killed, with_children};

shared! {
    struct Two {
        here: Event,
        there: Event,
    }
}

with_children! {
    fn there_and_back: Two = Two { here: Event::new(), there: Event::new() };
    {
        "answers" => |two| for _ in 0..500 {
            assert!(two.there.wait_timeout(LIMIT));
            two.there.clear();
            two.here.set();
        },
    }
    |two, start| {
        let child = start("answers");
        for _ in 0..500 {
            two.there.set();
            assert!(two.here.wait_timeout(LIMIT));
            two.here.clear();
        }
        child.join();
    }
}

with_children! {
    fn who_waits_is_released_by_a_set_that_is_undone: Two = Two { here: Event::new(), there: Event::new() };
    { "waits" => |two| { say("waits"); assert!(two.here.wait_timeout(LIMIT)); say("set"); }, }
    |two, start| {
        let child = start("waits");
        child.expect("waits");
        thread::sleep(Duration::from_millis(170));
        two.here.set();
        two.here.clear();
        child.expect("set");
        child.join();
        assert!(!two.here.is_set());
    }
}

with_children! {
    fn a_waiter_that_dies_leaves_nothing: Two = Two { here: Event::new(), there: Event::new() };
    { "waits" => |two| { say("waits"); two.here.wait(); until_killed() }, }
    |two, start| {
        let mut child = start("waits");
        child.expect("waits");
        thread::sleep(Duration::from_millis(20));
        child.kill();
        assert!(!two.here.wait_timeout(Duration::from_millis(20)));
        two.here.set();
        two.here.set();
        two.here.wait();
        two.here.clear();
        assert!(!two.here.is_set());
    }
}

#[test]
fn a_timeout() {
    let event = Shared::create(Event::new()).unwrap();
    let start = std::time::Instant::now();
    assert!(!event.wait_timeout(Duration::from_millis(120)));
    assert!(start.elapsed() >= Duration::from_millis(120));
}
