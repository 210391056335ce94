//! Single flight: calls with one key share one run; a finished run is remembered, a failed one is not; a run
//! that nobody waits for any more is dropped, and its request to the daemon with it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;

type Run<V, E> = Shared<BoxFuture<'static, Result<V, E>>>;

enum Slot<V, E> {
    Done(V),
    Running { run: Run<V, E>, waiters: usize, generation: u64 },
}

struct State<K, V, E> {
    slots: HashMap<K, Slot<V, E>>,
    generation: u64,
}

/// A memo with single flight. `V` and `E` are cheap to clone.
pub(crate) struct Flights<K, V, E> {
    state: Arc<Mutex<State<K, V, E>>>,
}

impl<K, V, E> Flights<K, V, E>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self { state: Arc::new(Mutex::new(State { slots: HashMap::new(), generation: 0 })) }
    }

    /// The remembered value of a key.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        match self.state.lock().slots.get(key) {
            Some(Slot::Done(value)) => Some(value.clone()),
            _ => None,
        }
    }

    /// Remembers a value under a key, unless one is remembered already.
    pub(crate) fn put(&self, key: K, value: V) {
        let mut state = self.state.lock();
        if !matches!(state.slots.get(&key), Some(Slot::Done(_))) {
            state.slots.insert(key, Slot::Done(value));
        }
    }

    /// The value of a key: remembered, awaited, or made by `start`.
    pub(crate) async fn run(
        &self,
        key: K,
        start: impl FnOnce() -> BoxFuture<'static, Result<V, E>>,
    ) -> Result<V, E> {
        let (run, generation) = {
            let mut state = self.state.lock();
            match state.slots.get_mut(&key) {
                Some(Slot::Done(value)) => return Ok(value.clone()),
                Some(Slot::Running { run, waiters, generation }) => {
                    *waiters += 1;
                    (run.clone(), *generation)
                }
                None => {
                    state.generation += 1;
                    let generation = state.generation;
                    let run = start().shared();
                    state
                        .slots
                        .insert(key.clone(), Slot::Running { run: run.clone(), waiters: 1, generation });
                    (run, generation)
                }
            }
        };
        let waiter = Waiter { state: self.state.clone(), key, generation };
        let result = run.await;
        waiter.finished(&result);
        result
    }
}

/// One waiter of a run. Dropping it before the run is finished may drop the run.
struct Waiter<K: Eq + Hash, V, E> {
    state: Arc<Mutex<State<K, V, E>>>,
    key: K,
    generation: u64,
}

impl<K: Eq + Hash + Clone, V: Clone, E> Waiter<K, V, E> {
    fn finished(&self, result: &Result<V, E>) {
        let mut state = self.state.lock();
        if let Some(Slot::Running { generation, .. }) = state.slots.get(&self.key)
            && *generation == self.generation
        {
            match result {
                Ok(value) => {
                    state.slots.insert(self.key.clone(), Slot::Done(value.clone()));
                }
                Err(_) => {
                    state.slots.remove(&self.key);
                }
            }
        }
    }
}

impl<K: Eq + Hash, V, E> Drop for Waiter<K, V, E> {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        let Some(Slot::Running { waiters, generation, .. }) = state.slots.get_mut(&self.key) else { return };
        if *generation != self.generation {
            return;
        }
        *waiters -= 1;
        if *waiters == 0 {
            // The run is dropped outside the lock: its own drop may come back here.
            let slot = state.slots.remove(&self.key);
            drop(state);
            drop(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn equal_keys_share_a_run_and_failures_are_forgotten() {
        let flights: Flights<&str, u32, &str> = Flights::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let start = |result: Result<u32, &'static str>| {
            let runs = runs.clone();
            move || {
                async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    result
                }
                .boxed()
            }
        };
        let (a, b) = tokio::join!(flights.run("k", start(Err("no"))), flights.run("k", start(Ok(9))));
        assert_eq!((a, b, runs.load(Ordering::SeqCst)), (Err("no"), Err("no"), 1));
        assert_eq!(flights.run("k", start(Ok(1))).await, Ok(1));
        assert_eq!(flights.run("k", start(Ok(2))).await, Ok(1));
        assert_eq!((flights.get(&"k"), runs.load(Ordering::SeqCst)), (Some(1), 2));
    }

    #[tokio::test]
    async fn a_run_without_waiters_is_dropped() {
        struct Flag(Arc<AtomicUsize>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let flights: Flights<u8, (), ()> = Flights::new();
        let dropped = Arc::new(AtomicUsize::new(0));
        let flag = Flag(dropped.clone());
        let mut waiting = Box::pin(flights.run(1, || {
            async move {
                let _flag = flag;
                std::future::pending::<()>().await;
                Ok(())
            }
            .boxed()
        }));
        assert!(futures::poll!(&mut waiting).is_pending());
        let mut second = Box::pin(flights.run(1, || unreachable!("joins the first run")));
        assert!(futures::poll!(&mut second).is_pending());
        drop(waiting);
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        drop(second);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert_eq!(flights.run(1, || async { Ok(()) }.boxed()).await, Ok(()));
    }
}
