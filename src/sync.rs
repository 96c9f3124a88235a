//! The primitives through which threads synchronise. With `--cfg shuttle` a model checker's take their place, so that it
//! runs the engine's real code in every interleaving that it picks.

#[cfg(not(shuttle))]
mod primitives {
    use std::time::Instant;

    use crossbeam_channel::{Receiver, Select, Sender, unbounded};
    #[cfg(not(feature = "count-work"))]
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    // They count what is worked through under them.
    #[cfg(feature = "count-work")]
    pub(crate) use crate::work::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use std::thread::JoinHandle;

    pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(name.to_owned()).spawn(run)
    }

    /// Unbounded channels side by side. Whoever receives takes from the first one that holds anything.
    #[derive(Debug)]
    pub(crate) struct Lanes<T, const N: usize>([Lane<T>; N]);

    #[derive(Debug)]
    struct Lane<T> {
        sender: Sender<T>,
        receiver: Receiver<T>,
        /// How many values it holds, or a few more. A look into an empty channel costs a full fence.
        len: AtomicUsize,
    }

    impl<T, const N: usize> Lanes<T, N> {
        pub(crate) fn new() -> Self {
            let lane = |(sender, receiver)| Lane { sender, receiver, len: AtomicUsize::new(0) };
            Lanes(std::array::from_fn(|_| lane(unbounded())))
        }

        pub(crate) fn send(&self, lane: usize, value: T) {
            let Lane { sender, len, .. } = &self.0[lane];
            // Before the value is there, so that whoever sees no value has missed none.
            len.fetch_add(1, Ordering::SeqCst);
            sender.send(value).expect("the receiver is kept beside the sender");
        }

        /// Takes from the first `count` lanes. Also returns from which.
        pub(crate) fn try_recv(&self, count: usize) -> Option<(usize, T)> {
            self.0[..count].iter().enumerate().find_map(|(number, lane)| {
                let value =
                    (lane.len.load(Ordering::SeqCst) > 0).then(|| lane.receiver.try_recv().ok())??;
                lane.len.fetch_sub(1, Ordering::SeqCst);
                Some((number, value))
            })
        }

        /// The same, but waits, at most until `deadline`.
        pub(crate) fn recv(&self, count: usize, deadline: Option<Instant>) -> Option<(usize, T)> {
            loop {
                if let Some(taken) = self.try_recv(count) {
                    return Some(taken);
                }
                let mut select = Select::new();
                for lane in &self.0[..count] {
                    select.recv(&lane.receiver);
                }
                match deadline {
                    None => drop(select.ready()),
                    Some(deadline) => drop(select.ready_deadline(deadline).ok()?),
                }
            }
        }

        pub(crate) fn len(&self, lane: usize) -> usize {
            self.0[lane].len.load(Ordering::SeqCst)
        }
    }
}

#[cfg(shuttle)]
mod primitives {
    //! The same interfaces over shuttle. A wait with a time-out yields once and ends, since time is not checked.
    #![allow(clippy::unwrap_used, reason = "a poisoned lock is a failed check")]

    use std::collections::VecDeque;
    use std::ops::{Deref, DerefMut};
    use std::time::{Duration, Instant};

    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use shuttle::thread::JoinHandle;

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

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// Unbounded channels side by side, with the interface of the real ones.
    #[derive(Debug)]
    pub(crate) struct Lanes<T, const N: usize> {
        lanes: Mutex<[VecDeque<T>; N]>,
        arrived: Condvar,
    }

    impl<T, const N: usize> Lanes<T, N> {
        pub(crate) fn new() -> Self {
            Lanes { lanes: Mutex::new(std::array::from_fn(|_| VecDeque::new())), arrived: Condvar::new() }
        }

        pub(crate) fn send(&self, lane: usize, value: T) {
            self.lanes.lock()[lane].push_back(value);
            self.arrived.notify_all();
        }

        pub(crate) fn try_recv(&self, count: usize) -> Option<(usize, T)> {
            take(&mut self.lanes.lock()[..count])
        }

        pub(crate) fn recv(&self, count: usize, deadline: Option<Instant>) -> Option<(usize, T)> {
            let mut lanes = self.lanes.lock();
            loop {
                match take(&mut lanes[..count]) {
                    Some(taken) => return Some(taken),
                    None if deadline.is_none() => self.arrived.wait(&mut lanes),
                    None => {
                        self.arrived.wait_for(&mut lanes, Duration::ZERO);
                        return take(&mut lanes[..count]);
                    }
                }
            }
        }

        pub(crate) fn len(&self, lane: usize) -> usize {
            self.lanes.lock()[lane].len()
        }
    }

    fn take<T>(lanes: &mut [VecDeque<T>]) -> Option<(usize, T)> {
        lanes.iter_mut().enumerate().find_map(|(lane, values)| values.pop_front().map(|value| (lane, value)))
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
