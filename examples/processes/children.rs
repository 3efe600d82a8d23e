//! Children: started, joined, and killed with their handle.

use std::env;
use std::ffi::OsStr;
use std::ops::{Deref, DerefMut};
use std::process::{self, Command, ExitStatus, Stdio};

use racefree::process::{Share, Shared};

use crate::Outcome;

/// A child process. It is killed when its handle is dropped, as a daemon of Python's at the end of
/// its parent.
pub(crate) struct Child(process::Child);

impl Child {
    /// Starts a child that shares nothing.
    pub(crate) fn start(role: &[impl AsRef<OsStr>]) -> Outcome<Self> {
        Self::spawn(role, Stdio::null())
    }

    /// Starts a child with a region, which it finds by [`region`].
    pub(crate) fn with<T: Share>(role: &[impl AsRef<OsStr>], region: &Shared<T>) -> Outcome<Self> {
        Self::spawn(role, Stdio::from(region.as_file()?))
    }

    fn spawn(role: &[impl AsRef<OsStr>], input: Stdio) -> Outcome<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("child").args(role).stdin(input);
        Ok(Self(command.spawn()?))
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// It failed.
    pub(crate) fn join(&mut self) -> Outcome {
        let status = self.0.wait()?;
        self.check_end(status)
    }

    /// Fails if it has ended with a failure.
    pub(crate) fn check(&mut self) -> Outcome {
        match self.0.try_wait()? {
            Some(status) => self.check_end(status),
            None => Ok(()),
        }
    }

    fn check_end(&self, status: ExitStatus) -> Outcome {
        if status.success() {
            Ok(())
        } else {
            Err(format!("process {} failed: {status}", self.0.id()).into())
        }
    }
}

impl Deref for Child {
    type Target = process::Child;

    fn deref(&self) -> &process::Child {
        &self.0
    }
}

impl DerefMut for Child {
    fn deref_mut(&mut self) -> &mut process::Child {
        &mut self.0
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if it has been joined.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In a child: its region.
pub(crate) fn region<T: Share>() -> Outcome<Shared<T>> {
    Ok(Shared::attach(&std::io::stdin())?)
}
