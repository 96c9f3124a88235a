//! The owned handle of one open connection.

use std::sync::Arc;
use std::time::Duration;

use crate::access::{Access, EditRequest, Grant};
use crate::error::{ChangeError, RequestError, TransportError};
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::registry::{Handle, Opened};
use crate::token::ResumeToken;

/// An open connection: one editor tab. The connection closes when this is dropped.
///
/// It is also a handle of its [`Engine`](crate::Engine): the engine lives as long as any of its connections. Every method
/// takes one shard lock, except [`id`](Self::id), [`granted`](Self::granted) and [`into_id`](Self::into_id), which take
/// none.
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
    /// Whether the connection closes when this is dropped.
    owned: bool,
}

impl Connection {
    pub(crate) fn new(handle: Arc<Handle>, opened: Opened) -> Self {
        let Opened { id, grant, .. } = opened;
        Connection { handle, id, grant, owned: true }
    }

    /// Returns the id, for the methods of [`Engine`](crate::Engine) that take one.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Returns the access that the connection got when it was opened, and the reason if it got less than it asked for.
    ///
    /// [`grant`](Self::grant) returns the access that it has now. After [`Engine::adopt`](crate::Engine::adopt) this is
    /// what it had at that time.
    pub fn granted(&self) -> Grant {
        self.grant
    }

    /// Returns the access that the connection has now, or `None` if it was closed by its id.
    pub fn access(&self) -> Option<Access> {
        self.handle.registry.access(self.id)
    }

    /// Returns the access that the connection has now, and the reason if it is less than it asked for. `None` if it was closed
    /// by its id.
    pub fn grant(&self) -> Option<Grant> {
        self.handle.registry.grant(self.id)
    }

    /// Returns the document and the user of the connection, for a host that has only the token of a client that
    /// [resumes](crate::Engine::resume). `None` if it was closed by its id.
    pub fn owner(&self) -> Option<(DocumentKey, UserId)> {
        self.handle.registry.owner(self.id)
    }

    /// Returns true if the connection has edit access now.
    pub fn may_edit(&self) -> bool {
        self.handle.registry.may_edit(self.id)
    }

    /// Returns the token by which a client can [resume](crate::Engine::resume) the connection once it is
    /// [lost](Self::lost). `None` without a [reconnect grace](crate::Config::reconnect_grace), and once the connection is
    /// closed or resumed elsewhere.
    pub fn token(&self) -> Option<ResumeToken> {
        self.handle.registry.token(self.id)
    }

    /// Says that the connection is active. The same as [`Engine::touch`](crate::Engine::touch).
    pub fn touch(&self) -> Result<(), TransportError> {
        self.handle.registry.touch(self.id)
    }

    /// Records that the connection changed its document. The same as [`Engine::change`](crate::Engine::change).
    ///
    /// Returns [`ChangeError::ViewOnly`] if the connection has no edit access now, and [`ChangeError::Unknown`] if it was
    /// closed by its id.
    pub fn change(&self) -> Result<(), ChangeError> {
        self.handle.registry.change(self.id)
    }

    /// Asks for edit access, at once or as soon as it is this connection's turn. The same as
    /// [`Engine::request_edit`](crate::Engine::request_edit).
    pub fn request_edit(&self) -> Result<EditRequest, RequestError> {
        self.handle.registry.request_edit(self.id)
    }

    /// Gives edit access back, or the place in the line. The same as
    /// [`Engine::release_edit`](crate::Engine::release_edit).
    pub fn release_edit(&self) -> Result<(), RequestError> {
        self.handle.registry.release_edit(self.id)
    }

    /// Returns the place in its line, from 1 on. `None` if the connection does not wait for edit access.
    pub fn position(&self) -> Option<u32> {
        self.handle.registry.position(self.id)
    }

    /// Closes the connection. The same as dropping it.
    pub fn close(self) {}

    /// Reports that the transport of the connection broke. The same as [`Engine::lost`](crate::Engine::lost): with a
    /// reconnect grace the connection keeps its seat for so long, which is returned, and else it is closed.
    pub fn lost(mut self) -> Result<Option<Duration>, TransportError> {
        self.owned = false;
        self.handle.registry.lost(self.id)
    }

    /// Returns the id and leaves the connection open. Close it with [`Engine::close`](crate::Engine::close), or own it
    /// again with [`Engine::adopt`](crate::Engine::adopt).
    pub fn into_id(mut self) -> ConnectionId {
        self.owned = false;
        self.id
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.owned {
            // An error means that it was closed by its id before.
            let _ = self.handle.registry.close(self.id);
        }
    }
}
