//! What keeps an engine alive.

use std::sync::Arc;

use super::Registry;

/// Counts the handles of an engine: the last one shuts its registry down, which receivers and deliveries keep beyond.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) registry: Arc<Registry>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.registry.shut_down();
    }
}
