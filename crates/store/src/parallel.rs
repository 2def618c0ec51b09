//! Work on many tasks by a few threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of documents that one thread scans at a time.
pub(crate) const RANGE_BYTES: u64 = 4 << 20;
/// Most threads of one call.
const MAX_THREADS: usize = 8;

/// Does `step` for all tasks, on as many threads as there are processors; each thread has a result of its
/// own. Stops a thread at its first error.
pub(crate) fn in_parallel<Task: Sync, Part: Send, Error: Send>(
    tasks: &[Task],
    new: impl Fn() -> Part + Sync,
    step: impl Fn(&mut Part, &Task) -> Result<(), Error> + Sync,
) -> Result<Vec<Part>, Error> {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS)
        .min(tasks.len());
    let next = AtomicUsize::new(0);
    let work = || -> Result<Part, Error> {
        let mut part = new();
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            step(&mut part, task)?;
        }
        Ok(part)
    };
    if threads <= 1 {
        return Ok(vec![work()?]);
    }
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles
            .into_iter()
            .map(|handle| match handle.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}
