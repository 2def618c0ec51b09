//! Work on blocks by several threads with bounded memory.
//!
//! [`each`] is for units that stand alone (compare and write in place), [`ordered`] for writers that need results in the order
//! of the disk, [`add_data`] for those that go through its data. All stop at the first error, and within one unit when they are asked to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::VolumeError;
use super::WriteProgress;
use super::grid::Grid;

/// What may lie between reading and writing in [`ordered`], in bytes of the disk. A unit is in memory at most twice, as read and
/// as compressed, so that a writer stays within 64 MiB.
const WINDOW_BYTES: u64 = 24 << 20;

/// Fewer threads do not overlap reading with writing.
const MIN_THREADS: usize = 2;

/// More threads help no disk; each has buffers.
const MAX_THREADS: usize = 16;

fn threads(limit: usize) -> usize {
    let cores = thread::available_parallelism().map_or(MIN_THREADS, usize::from);
    cores.clamp(MIN_THREADS, limit.clamp(MIN_THREADS, MAX_THREADS))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` once for every unit, on at most `limit` threads and in no order. `buffers` makes what one thread reuses.
pub(super) fn each<B>(
    units: impl Iterator<Item = u64> + Send,
    limit: usize,
    progress: &WriteProgress,
    buffers: impl Fn() -> B + Sync,
    work: impl Fn(u64, &mut B) -> Result<(), VolumeError> + Sync,
) -> Result<(), VolumeError> {
    struct State<I> {
        units: I,
        failed: Option<VolumeError>,
    }
    let state = Mutex::new(State {
        units,
        failed: None,
    });
    thread::scope(|scope| {
        for _ in 0..threads(limit) {
            scope.spawn(|| {
                let mut mine = buffers();
                loop {
                    let unit = {
                        let mut state = lock(&state);
                        if state.failed.is_some() {
                            return;
                        }
                        match state.units.next() {
                            Some(unit) => unit,
                            None => return,
                        }
                    };
                    let done = progress.check().and_then(|()| work(unit, &mut mine));
                    if let Err(error) = done {
                        lock(&state).failed.get_or_insert(error);
                        return;
                    }
                }
            });
        }
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

struct Queue<I, T> {
    units: I,
    /// Units given out so far; the place of the next one in the order.
    given: u64,
    /// Results handed to the sink so far.
    taken: u64,
    ready: BTreeMap<u64, (u64, Result<T, VolumeError>)>,
    /// Set once all units are given out.
    ended: bool,
    stopped: bool,
}

/// A thread that panics would leave the others waiting for its result for ever; this wakes them, and the scope passes the panic on.
struct WakeOnPanic<'a, I, T> {
    queue: &'a Mutex<Queue<I, T>>,
    changed: &'a Condvar,
}

impl<I, T> Drop for WakeOnPanic<'_, I, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            lock(self.queue).stopped = true;
            self.changed.notify_all();
        }
    }
}

/// Prepares the parts of a disk that hold data on several threads, and gives them to `add` on this one, in the order of the disk.
/// Counts what was added as written, and it and the holes before it as done.
pub(super) fn add_data<T: Send>(
    grid: &Grid<'_>,
    progress: &WriteProgress,
    prepare: impl Fn(Vec<u8>) -> Result<T, VolumeError> + Sync,
    mut add: impl FnMut(Range<u64>, T) -> Result<(), VolumeError>,
) -> Result<(), VolumeError> {
    let mut gone_through = 0;
    ordered(
        grid.data_units(),
        grid.unit_bytes,
        progress,
        |unit| prepare(grid.read(unit)?),
        |unit, prepared| {
            let range = grid.range(unit);
            add(range.clone(), prepared)?;
            progress.add_written(range.end - range.start);
            progress.add_done(range.end - gone_through);
            gone_through = range.end;
            Ok(())
        },
    )?;
    progress.add_done(grid.size_bytes - gone_through);
    Ok(())
}

/// Runs `work` on the units, each standing for up to `unit_bytes` of the disk, on several threads, and gives the results to
/// `sink` on this one, in the order of the units.
pub(super) fn ordered<T: Send>(
    units: impl Iterator<Item = u64> + Send,
    unit_bytes: u64,
    progress: &WriteProgress,
    work: impl Fn(u64) -> Result<T, VolumeError> + Sync,
    mut sink: impl FnMut(u64, T) -> Result<(), VolumeError>,
) -> Result<(), VolumeError> {
    let window = (WINDOW_BYTES / unit_bytes.max(1)).clamp(2, 64);
    let queue = Mutex::new(Queue {
        units,
        given: 0,
        taken: 0,
        ready: BTreeMap::new(),
        ended: false,
        stopped: false,
    });
    let changed = Condvar::new();
    thread::scope(|scope| {
        for _ in 0..threads(window as usize) {
            scope.spawn(|| {
                let _wake = WakeOnPanic {
                    queue: &queue,
                    changed: &changed,
                };
                run_worker(&queue, &changed, window, &work);
            });
        }
        let _wake = WakeOnPanic {
            queue: &queue,
            changed: &changed,
        };
        let outcome = drain(&queue, &changed, progress, &mut sink);
        lock(&queue).stopped = true;
        changed.notify_all();
        outcome
    })
}

fn run_worker<I: Iterator<Item = u64>, T>(
    queue: &Mutex<Queue<I, T>>,
    changed: &Condvar,
    window: u64,
    work: &impl Fn(u64) -> Result<T, VolumeError>,
) {
    loop {
        let (place, unit) = {
            let mut queue = lock(queue);
            while !queue.stopped && queue.given >= queue.taken + window {
                queue = changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.stopped || queue.ended {
                return;
            }
            let Some(unit) = queue.units.next() else {
                queue.ended = true;
                changed.notify_all();
                return;
            };
            queue.given += 1;
            (queue.given - 1, unit)
        };
        let result = work(unit);
        lock(queue).ready.insert(place, (unit, result));
        changed.notify_all();
    }
}

fn drain<I, T>(
    queue: &Mutex<Queue<I, T>>,
    changed: &Condvar,
    progress: &WriteProgress,
    sink: &mut impl FnMut(u64, T) -> Result<(), VolumeError>,
) -> Result<(), VolumeError> {
    loop {
        progress.check()?;
        let (unit, result) = {
            let mut queue = lock(queue);
            loop {
                let place = queue.taken;
                if let Some(ready) = queue.ready.remove(&place) {
                    queue.taken += 1;
                    changed.notify_all();
                    break ready;
                }
                if queue.stopped || (queue.ended && queue.taken == queue.given) {
                    return Ok(());
                }
                queue = changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        };
        sink(unit, result?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn results_come_in_the_order_of_the_units() {
        let mut seen = Vec::new();
        ordered(
            (0..500).filter(|unit| unit % 3 != 0),
            1 << 20,
            &WriteProgress::new(),
            |unit| {
                if unit % 7 == 0 {
                    thread::yield_now();
                }
                Ok(unit * 2)
            },
            |unit, doubled| {
                assert_eq!(doubled, unit * 2);
                seen.push(unit);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(
            seen,
            (0..500).filter(|unit| unit % 3 != 0).collect::<Vec<_>>()
        );
    }

    #[test]
    fn no_more_units_are_read_ahead_than_the_window_holds() {
        let given = AtomicU64::new(0);
        let mut taken = 0;
        ordered(
            0..200,
            12 << 20,
            &WriteProgress::new(),
            |_| {
                given.fetch_add(1, Ordering::SeqCst);
                Ok(())
            },
            |_, ()| {
                taken += 1;
                assert!(given.load(Ordering::SeqCst) <= taken + 2);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(taken, 200);
    }

    #[test]
    fn the_first_error_in_order_ends_it() {
        let mut sunk = 0;
        let outcome = ordered(
            0..100,
            1 << 20,
            &WriteProgress::new(),
            |unit| {
                if unit >= 10 {
                    return Err(VolumeError::Cancelled);
                }
                Ok(())
            },
            |_, ()| {
                sunk += 1;
                Ok(())
            },
        );
        assert!(matches!(outcome, Err(VolumeError::Cancelled)));
        assert_eq!(sunk, 10);
    }

    #[test]
    fn work_stops_when_it_is_cancelled() {
        let progress = WriteProgress::new();
        let done = AtomicU64::new(0);
        let outcome = each(
            0..1_000_000,
            4,
            &progress,
            || (),
            |_, ()| {
                if done.fetch_add(1, Ordering::SeqCst) == 20 {
                    progress.cancel();
                }
                Ok(())
            },
        );
        assert!(matches!(outcome, Err(VolumeError::Cancelled)));
        assert!(done.load(Ordering::SeqCst) < 100);
    }
}
