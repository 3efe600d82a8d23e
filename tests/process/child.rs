//! A child: this program, started anew with a role, and with the region as its standard input.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{self, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use racefree::process::{Share, Shared};

/// What takes longer hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How soon a death is noticed. It takes 50 ms at most, and as long as a busy machine adds.
pub(crate) const NOTICED: Duration = Duration::from_secs(1);

const ROLE: &str = "RACEFREE_PROCESS_ROLE";
const SAYS: &str = "child says ";

/// A child. Killed when dropped.
pub(crate) struct Child {
    process: process::Child,
    lines: Receiver<String>,
}

impl Child {
    /// Starts one, whose role is the body of a test by [`role`].
    pub(crate) fn start(test: &str, role: &str, region: &impl AsFd) -> Self {
        let region = region.as_fd().try_clone_to_owned().unwrap();
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdin(Stdio::from(region))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, said)) = line.split_once(SAYS) {
                    let _ = send.send(said.to_owned());
                }
            }
        });
        Self { process, lines }
    }

    /// The next thing that it says.
    #[track_caller]
    pub(crate) fn hear(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("the child speaks")
    }

    #[track_caller]
    pub(crate) fn expect(&self, said: &str) {
        assert_eq!(self.hear(), said);
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// It makes no step more.
    pub(crate) fn stop(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        // The signal is sent, and each thread stops a little later.
        let is_stopped = |task: io::Result<fs::DirEntry>| {
            let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
            let (_, state) = stat.rsplit_once(") ").unwrap();
            state.starts_with('T')
        };
        let tasks = || fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let limit = Instant::now() + LIMIT;
        while !tasks().all(is_stopped) {
            assert!(Instant::now() < limit, "the child does not stop");
            thread::yield_now();
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn join(mut self) {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "the child failed: {status}");
                return;
            }
            assert!(Instant::now() < limit, "the child hangs");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a child: says something to the parent.
pub(crate) fn say(what: impl std::fmt::Display) {
    use std::io::Write;
    let mut out = io::stdout().lock();
    // A line of its own: the harness prints, too.
    writeln!(out, "\n{SAYS}{what}").unwrap();
    out.flush().unwrap();
}

/// In a child: until the parent kills it.
pub(crate) fn until_killed() -> ! {
    thread::sleep(2 * LIMIT);
    process::exit(1)
}

/// The role of this process, if it is a child.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// In a child: its region.
pub(crate) fn region<T: Share>() -> Shared<T> {
    Shared::attach(&io::stdin()).unwrap()
}

/// What takes no longer than a death takes to be noticed.
#[track_caller]
pub(crate) fn soon<R>(act: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = act();
    let took = start.elapsed();
    assert!(took < NOTICED, "it took {took:?}");
    result
}

/// A test with children: `roles` runs in a child, `parent` in the parent, which is given how to start
/// one.
macro_rules! with_children {
    (fn $name:ident: $region:ty = $new:expr; { $($role:literal => $child:expr,)* } $parent:expr) => {
        #[test]
        fn $name() {
            type Parent = fn(
                &racefree::process::Shared<$region>,
                &dyn Fn(&str) -> $crate::child::Child,
            );
            type Role = fn(racefree::process::Shared<$region>);
            if let Some(role) = $crate::child::role() {
                let roles: &[(&str, Role)] = &[$(($role, $child)),*];
                let found = roles.iter().find(|(name, _)| *name == role);
                return found.expect("a role of this test").1($crate::child::region());
            }
            let region = racefree::process::Shared::create($new).unwrap();
            let test = concat!(module_path!(), "::", stringify!($name));
            let (_, test) = test.split_once("::").unwrap();
            let start = |role: &str| $crate::child::Child::start(test, role, &region);
            let parent: Parent = $parent;
            parent(&region, &start);
        }
    };
}
pub(crate) use with_children;
