//! Threads off those that serve, for work in steps that somebody waits for.

use std::io;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Runtime};

/// Threads that share tasks.
///
/// When it is dropped, the tasks are dropped at their next step; nobody waits for that.
#[derive(Debug)]
pub struct Tasks {
    /// Nothing only while it is being dropped.
    runtime: Option<Runtime>,
}

impl Tasks {
    /// Starts `threads` named `name`.
    ///
    /// # Errors
    ///
    /// What the system says if it gives no more threads.
    pub fn new(name: &str, threads: NonZeroUsize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.get())
            .thread_name(name)
            .enable_time()
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Begins `task`, which is to do no more than a millisecond or two of work in each of its steps.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(task));
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // To wait would block a thread that serves.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
