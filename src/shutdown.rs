//! The end of an engine, in the hands of a host.

use std::sync::Arc;

use crate::registry::Registry;
use crate::report::Report;

/// A shutdown that has begun, see [`Engine::begin_shutdown`](crate::Engine::begin_shutdown). Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Shutdown {
    registry: Arc<Registry>,
}

impl Shutdown {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Shutdown { registry }
    }

    /// Waits until all is settled or the deadline has come, and returns the report.
    ///
    /// With a manual clock it runs what is due by that clock, which somebody else has to move.
    pub fn wait(&self) -> Arc<Report> {
        self.registry.wait_for_end()
    }

    /// Returns the report if the engine has ended.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.registry.report()
    }

    /// The same as [`wait`](Self::wait) for async hosts, on any runtime. It is cancel-safe. With a manual clock somebody
    /// else has to call [`Engine::tick`](crate::Engine::tick).
    #[cfg(feature = "async")]
    #[cfg_attr(docsrs, doc(cfg(feature = "async")))]
    pub async fn done(&self) -> Arc<Report> {
        loop {
            let listener = self.registry.listen_for_end();
            // After the listener exists, so that nothing is missed in between.
            if let Some(report) = self.report() {
                return report;
            }
            listener.await;
        }
    }
}
