//! A connection in the hands of a host.

use std::sync::Arc;

use crate::access::{Access, Grant};
use crate::error::ChangeError;
use crate::ids::ConnectionId;
use crate::registry::Handle;

/// An open connection: one editor tab. Dropped, it closes.
///
/// It is a handle of its engine as well: as long as one is alive, so is the engine.
///
/// ```
/// use coedit::{Access, ChangeError, Config, DocumentKey, Engine, User};
///
/// let engine = Engine::new(Config::new())?;
/// let key = DocumentKey::new("report")?;
/// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
/// tab.change()?;
/// engine.drop_all(&key)?;
/// assert_eq!(tab.change(), Err(ChangeError::ViewOnly));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a connection that is dropped closes"]
pub struct Connection {
    handle: Arc<Handle>,
    id: ConnectionId,
    grant: Grant,
    /// Whether dropping this closes it.
    owned: bool,
}

impl Connection {
    #[inline]
    pub(crate) fn new(handle: Arc<Handle>, id: ConnectionId, grant: Grant) -> Self {
        Connection { handle, id, grant, owned: true }
    }

    pub(crate) fn adopted(handle: Arc<Handle>, id: ConnectionId, access: Access) -> Self {
        Self::new(handle, id, Grant { access, reason: None })
    }

    /// Its bare name.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// What it got when it was opened (or adopted), and why not more. [`access`](Self::access) says what it has now.
    pub fn granted(&self) -> Grant {
        self.grant
    }

    /// What it may do now; `None` if it was closed by its bare id.
    pub fn access(&self) -> Option<Access> {
        self.handle.registry.access(self.id)
    }

    /// Whether it may edit now.
    pub fn may_edit(&self) -> bool {
        self.access() == Some(Access::Edit)
    }

    /// It changed its document. Accepted only while it may edit.
    pub fn change(&self) -> Result<(), ChangeError> {
        self.handle.registry.change(self.id)
    }

    /// Closes it on purpose. The same as dropping it.
    #[inline]
    pub fn close(self) {}

    /// Its transport broke. The same as [`close`](Self::close).
    #[inline]
    pub fn lost(self) {}

    /// Lets go of it without closing it: from now on the host keeps books.
    pub fn into_id(mut self) -> ConnectionId {
        self.owned = false;
        self.id
    }
}

impl Drop for Connection {
    #[inline]
    fn drop(&mut self) {
        if self.owned {
            // Closed before by its bare id: nothing to do.
            let _ = self.handle.registry.close(self.id);
        }
    }
}
