//! A traffic light is an `Event`: set is green, clear is red. Cars drive on green and wait on red.

use std::thread;
use std::time::{Duration, Instant};

use anstream::println;
use anstyle::AnsiColor;
use clap::{Parser, value_parser};
use racefree::{Event, Lock, Semaphore};

/// Cars at a traffic light, which is an `Event`: green when it is set, red when it is clear.
#[derive(Parser)]
struct Args {
    /// How many cars drive round and round
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=100))]
    cars: u32,

    /// How often the light turns green, and then red
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u32).range(1..=1000))]
    cycles: u32,

    /// Milliseconds of green
    #[arg(long, default_value_t = 800, value_parser = value_parser!(u64).range(0..=60_000))]
    green_ms: u64,

    /// Milliseconds of red
    #[arg(long, default_value_t = 800, value_parser = value_parser!(u64).range(10..=60_000))]
    red_ms: u64,
}

/// Each car has a lane of the output; when there are more cars, they share.
const LANES: u32 = 4;

struct Crossing {
    light: Event,
    /// Set with the last red: a car that waits then goes home after it.
    closing: Event,
    /// Cars that wait at the last red, and those that have gone since.
    arrived: Semaphore,
    gone: Semaphore,
    /// Held by whoever switches the light or looks at it, until that is printed: so a car never
    /// drives below a line that says red.
    scene: Lock,
    start: Instant,
}

fn main() {
    let args = Args::parse();
    let green = Duration::from_millis(args.green_ms);
    let red = Duration::from_millis(args.red_ms);
    let crossing = Crossing {
        light: Event::new(),
        closing: Event::new(),
        arrived: Semaphore::new(0),
        gone: Semaphore::new(0),
        scene: Lock::new(),
        start: Instant::now(),
    };

    println!("The light is an Event: green when it is set, red when it is clear.");
    println!("A car that comes on green drives on; one that comes on red waits: wait().");
    println!();
    thread::scope(|scope| {
        crossing.turn_green();
        for car in 1..=args.cars {
            let crossing = &crossing;
            scope.spawn(move || crossing.drive(car));
        }
        for cycle in 1..=args.cycles {
            thread::sleep(green);
            crossing.turn_red(cycle == args.cycles);
            if cycle < args.cycles {
                thread::sleep(red);
                crossing.turn_green();
            }
        }
        crossing.pulse(args.cars, red);
    });
}

impl Crossing {
    fn turn_green(&self) {
        let _scene = self.scene.guard();
        self.light.set();
        self.say("set(): the light turns green");
    }

    fn turn_red(&self, last: bool) {
        let _scene = self.scene.guard();
        self.light.clear();
        if last {
            self.closing.set();
        }
        self.say("clear(): the light turns red");
    }

    /// Turns the light green and red again when all the cars wait.
    fn pulse(&self, cars: u32, red: Duration) {
        for _ in 0..cars {
            self.arrived.acquire();
        }
        // The last one may have said that it waits, and not yet do so.
        thread::sleep(red);
        {
            let _scene = self.scene.guard();
            self.light.set();
            self.light.clear();
            self.say("set(), clear(): green, and red again at once");
        }
        let patience = Instant::now() + Duration::from_secs(2);
        let gone = (0..cars)
            .take_while(|_| self.gone.acquire_until(patience))
            .count();
        println!();
        println!("{gone} of {cars} waiting cars went, however short the green was.");
        // If one began to wait only after the pulse, it shall not wait for ever.
        self.light.set();
    }

    fn drive(&self, car: u32) {
        // Rounds of different lengths, so that the cars spread.
        let round = Duration::from_millis(160 + 70 * u64::from(car % LANES));
        loop {
            let scene = self.scene.guard();
            let closing = self.closing.is_set();
            if self.light.is_set() {
                self.say_car(car, "drives", AnsiColor::Green);
                drop(scene);
            } else {
                self.say_car(car, "waits", AnsiColor::Red);
                drop(scene);
                self.wait_for_green(car, closing);
                if closing {
                    return;
                }
            }
            thread::sleep(round);
        }
    }

    fn wait_for_green(&self, car: u32, closing: bool) {
        let count = |semaphore: &Semaphore| {
            if closing {
                semaphore.release().expect("there are few cars");
            }
        };
        count(&self.arrived);
        self.light.wait();
        let _scene = self.scene.guard();
        // True even if the light is red again by now: it was green while this car waited.
        self.say_car(car, "goes", AnsiColor::Green);
        count(&self.gone);
    }

    fn say_car(&self, car: u32, what: &str, color: AnsiColor) {
        let lane = ((car - 1) % LANES * 14) as usize;
        let style = color.on_default();
        self.say(&format!("{:lane$}car {car} {style}{what}{style:#}", ""));
    }

    /// Prints a line with the time and the light, for whoever holds `scene`.
    fn say(&self, what: &str) {
        let time = self.start.elapsed().as_secs_f64();
        let (style, light) = if self.light.is_set() {
            (AnsiColor::Black.on(AnsiColor::Green), "green")
        } else {
            (AnsiColor::White.on(AnsiColor::Red), " red ")
        };
        println!("{time:6.2} s {style} {light} {style:#} {what}");
    }
}
