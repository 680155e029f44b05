//! The second store's own thread: its connections, the rules over its rows and every comparison are there, so that one
//! that blocks, panics or keeps the processor busy does so where nobody waits for it.

use std::io;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Ends when it is dropped; what is under way there ends with it.
pub(super) struct Thread {
    handle: Handle,
    /// Its end ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Thread {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("shadow".to_owned()).spawn(move || {
            // Never sent: the other end is dropped.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _stop: stop })
    }

    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }
}
