//! The primitives through which threads synchronise. With `--cfg shuttle` a model checker's take their place, so that it
//! runs the engine's real code in every interleaving that it picks.

#[cfg(not(shuttle))]
mod primitives {
    pub(crate) use crossbeam_channel as channel;
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use std::thread::{JoinHandle, current};

    pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(name.to_owned()).spawn(run)
    }
}

#[cfg(shuttle)]
mod primitives {
    //! The same interfaces over shuttle. A wait with a time-out yields once and ends, since time is not checked.
    #![allow(clippy::unwrap_used, reason = "a poisoned lock is a failed check")]

    use std::ops::{Deref, DerefMut};
    use std::time::Duration;

    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use shuttle::thread::{JoinHandle, current};

    pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        shuttle::thread::Builder::new().name(name.to_owned()).spawn(run)
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    /// `None` only while its condition variable waits.
    pub(crate) struct MutexGuard<'a, T>(Option<shuttle::sync::MutexGuard<'a, T>>, &'a Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().unwrap()), self)
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().unwrap()
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().unwrap()
        }
    }

    #[derive(Debug)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Condvar(shuttle::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            guard.0 = guard.0.take().map(|inner| self.0.wait(inner).unwrap());
        }

        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _pause: Duration) {
            guard.0 = None;
            shuttle::thread::yield_now();
            guard.0 = Some(guard.1.0.lock().unwrap());
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    pub(crate) mod channel {
        //! An unbounded channel with the part of crossbeam's interface that the engine uses.

        use std::collections::VecDeque;
        use std::sync::Arc;
        use std::time::{Duration, Instant};

        use super::{Condvar, Mutex};

        #[derive(Debug)]
        struct Shared<T> {
            values: Mutex<VecDeque<T>>,
            arrived: Condvar,
        }

        #[derive(Debug)]
        pub(crate) struct Sender<T>(Arc<Shared<T>>);

        #[derive(Debug)]
        pub(crate) struct Receiver<T>(Arc<Shared<T>>);

        #[derive(Debug)]
        pub(crate) struct Disconnected;

        pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
            let shared = Arc::new(Shared { values: Mutex::new(VecDeque::new()), arrived: Condvar::new() });
            (Sender(shared.clone()), Receiver(shared))
        }

        impl<T> Sender<T> {
            pub(crate) fn send(&self, value: T) -> Result<(), Disconnected> {
                self.0.values.lock().push_back(value);
                self.0.arrived.notify_one();
                Ok(())
            }
        }

        impl<T> Receiver<T> {
            pub(crate) fn try_recv(&self) -> Result<T, Disconnected> {
                self.0.values.lock().pop_front().ok_or(Disconnected)
            }

            pub(crate) fn recv(&self) -> Result<T, Disconnected> {
                let mut values = self.0.values.lock();
                loop {
                    match values.pop_front() {
                        Some(value) => return Ok(value),
                        None => self.0.arrived.wait(&mut values),
                    }
                }
            }

            pub(crate) fn recv_deadline(&self, _deadline: Instant) -> Result<T, Disconnected> {
                let mut values = self.0.values.lock();
                if values.is_empty() {
                    self.0.arrived.wait_for(&mut values, Duration::ZERO);
                }
                values.pop_front().ok_or(Disconnected)
            }

            pub(crate) fn is_empty(&self) -> bool {
                self.len() == 0
            }

            pub(crate) fn len(&self) -> usize {
                self.0.values.lock().len()
            }
        }
    }
}

pub(crate) use primitives::*;

/// Keeps a value on cache lines of its own, so that threads that write it do not slow down those that read its
/// neighbours. 128 bytes, since processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(T);

impl<T> Apart<T> {
    pub(crate) fn new(value: T) -> Self {
        Apart(value)
    }
}

impl<T> std::ops::Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
