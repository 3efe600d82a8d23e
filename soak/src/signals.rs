//! Signals that interrupt the system calls of those who sleep.

#[cfg(unix)]
mod imp {
    use std::sync::{Mutex, MutexGuard};

    use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

    extern "C" fn receive(_signal: nix::libc::c_int) {}

    /// Without `SA_RESTART`: a system call that is interrupted says so.
    pub(crate) fn install() {
        let handler = SigHandler::Handler(receive);
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing.
        unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a handler for SIGUSR1");
    }

    /// The threads to which signals go.
    #[derive(Default)]
    pub(crate) struct Targets(Mutex<Vec<Pthread>>);

    impl Targets {
        fn lock(&self) -> MutexGuard<'_, Vec<Pthread>> {
            self.0.lock().expect("no panic is survived")
        }

        /// Makes the calling thread a target for as long as the result is kept.
        pub(crate) fn add_this_thread(&self) -> Target<'_> {
            self.lock().push(pthread_self());
            Target(self)
        }

        /// Sends a signal to one of them, if there is any.
        pub(crate) fn send_one(&self, random: &mut fastrand::Rng) -> bool {
            let targets = self.lock();
            // None of them ends before it has left the list.
            let target = random.choice(targets.iter());
            target.is_some_and(|it| pthread_kill(*it, Signal::SIGUSR1).is_ok())
        }
    }

    pub(crate) struct Target<'a>(&'a Targets);

    impl Drop for Target<'_> {
        fn drop(&mut self) {
            let this = pthread_self();
            self.0.lock().retain(|it| *it != this);
        }
    }
}

#[cfg(not(unix))]
mod imp {
    pub(crate) fn install() {}

    #[derive(Default)]
    pub(crate) struct Targets;

    impl Targets {
        pub(crate) fn add_this_thread(&self) {}

        pub(crate) fn send_one(&self, _random: &mut fastrand::Rng) -> bool {
            false
        }
    }
}

pub(crate) use imp::{Targets, install};
