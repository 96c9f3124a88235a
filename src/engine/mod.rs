//! The engine: what a host embeds.

mod command_service;
mod end;
mod limits;
mod staying;
mod time;
mod waiting;

use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::access::{Access, Grant, Participant};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::{ChangeError, ConfigError, ConnectionError, OpenError};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::Notice;
use crate::receive::Callbacks;
use crate::registry::{Handle, Opened, Registry};
use crate::session::Which;

/// Tracks who has which document open, and who of them may edit.
///
/// An `Engine` is a handle. It is cheap to clone and `Send + Sync`. Every method takes `&self`, and no method waits for
/// the document storage.
///
/// Each owned [`Connection`] is a handle too. When the last handle is dropped, the engine [shuts down](Self::shutdown) with
/// [`Config::drop_deadline`]. The drop itself returns at once. Workers that hold [`Callbacks`] get everything that is left,
/// and then the end. What is not saved by then, [`Callbacks::report`] names.
///
/// ```
/// use coedit::{Access, Config, DocumentKey, Engine, Reason, User};
///
/// let engine = Engine::new(Config::new().edit_limit(Some(1)))?;
/// let key = DocumentKey::new("report")?;
/// let ann = engine.open(&key, &User::new("ann")?, Access::Edit)?;
/// let ben = engine.open(&key, &User::new("ben")?, Access::Edit)?;
///
/// assert!(ann.may_edit());
/// assert_eq!((ben.granted().access, ben.granted().reason), (Access::View, Some(Reason::ConnectionLimit)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Engine {
    handle: Arc<Handle>,
}

/// Creation, callbacks and notices.
impl Engine {
    /// Creates an engine with no open documents.
    ///
    /// Returns an error that names the first setting that is out of bounds.
    ///
    /// ```
    /// use coedit::{Config, Engine};
    ///
    /// let error = Engine::new(Config::new().warn_at(101)).unwrap_err();
    /// assert_eq!(error.to_string(), "warn_at must be 1 to 100");
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a config makes one engine")]
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Self::with_registry(&config, Registry::new(&config))
    }

    fn with_registry(config: &Config, registry: Registry) -> Result<Self, ConfigError> {
        let registry = Arc::new(registry);
        if config.timer {
            let no_thread =
                |_| ConfigError { setting: "timer", rule: "false where the system starts no thread" };
            registry.start_timer().map_err(no_thread)?;
        }
        Ok(Engine { handle: Arc::new(Handle { registry }) })
    }

    fn registry(&self) -> &Registry {
        &self.handle.registry
    }

    /// Returns the number of connections with edit access, also if seats count users.
    pub(crate) fn editing(&self) -> u32 {
        self.registry().admission().connections(Access::Edit)
    }

    /// Returns a receiver of the callbacks, for a worker of the document storage.
    ///
    /// All receivers take from the same queue: each callback goes to one of them. Any number of threads and tasks may
    /// take. See [`Callbacks`] for examples.
    pub fn callbacks(&self) -> Callbacks {
        Callbacks::new(self.handle.registry.clone(), Which::All)
    }

    /// Returns a receiver of the callbacks of status 2, 3 and 4 alone, for a worker that is kept free for saves.
    ///
    /// The other workers take these too, before everything else. But where they are all busy, a save waits for none of
    /// them: it waits for what was handed out of its own document, no longer than the
    /// [save patience](Config::save_patience).
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, Status, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let (saves, all) = (engine.save_callbacks(), engine.callbacks());
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// assert!(saves.try_recv().is_err());
    /// all.recv()?.ack(); // ann joined
    /// tab.close();
    /// assert_eq!(saves.recv()?.callback().status, Status::Closed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_callbacks(&self) -> Callbacks {
        Callbacks::new(self.handle.registry.clone(), Which::Saves)
    }

    /// Subscribes to the notices, for the host's transport.
    ///
    /// Each call is a subscription of its own, and gets every notice sent after the call. Clones of one receiver share
    /// its notices. If as many notices as [`Bounds::notices`](crate::Bounds::notices) wait for a subscription, the engine
    /// discards further ones and reports their number with [`Notice::Missed`]. A subscription ends when its last
    /// receiver is dropped. After the last handle of the engine is dropped, a receiver gets what was sent and then an
    /// error.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, Notice, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let notices = engine.notices();
    /// let key = DocumentKey::new("report")?;
    /// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// engine.rename(&key, "Annual report")?;
    /// assert_eq!(notices.recv()?, Notice::Meta { key, title: "Annual report".to_owned() });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notices(&self) -> Receiver<Notice> {
        self.registry().notice_board().subscribe()
    }
}

/// Connections.
impl Engine {
    /// Opens a connection of `user` to the document.
    ///
    /// The connection gets the access it `asked` for or, past a limit, view access. [`Connection::granted`] returns the
    /// access and the reason.
    ///
    /// Takes one shard lock, and a time that does not depend on how many documents and connections are open. A limit of
    /// [a user](Config::user_limit) and of [named users](Config::named_users) takes one more lock and one lookup each.
    ///
    /// Returns an error, and changes nothing, if as many connections are open as
    /// [`max_connections`](Config::max_connections) allows, or if the engine has as many connections or documents as it
    /// can number (2³²).
    pub fn open(&self, key: &DocumentKey, user: &User, asked: Access) -> Result<Connection, OpenError> {
        let opened = self.registry().open(key, user, asked)?;
        Ok(Connection::new(self.handle.clone(), opened))
    }

    /// Opens a connection as [`open`](Self::open) does, and returns its id instead of an owned [`Connection`].
    ///
    /// For hosts that keep ids in tables of their own. The connection stays open until [`close`](Self::close), or until
    /// the last handle of the engine is dropped. Saves the two atomic operations that count an owned connection as a
    /// handle.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let (id, grant) = engine.admit(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// assert_eq!((engine.access(id), grant.reason), (Some(Access::Edit), None));
    /// engine.close(id)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn admit(
        &self,
        key: &DocumentKey,
        user: &User,
        asked: Access,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        let Opened { id, grant, .. } = self.registry().open(key, user, asked)?;
        Ok((id, grant))
    }

    /// Makes an owned [`Connection`] of an id: the connection closes when the result is dropped.
    ///
    /// Returns [`ConnectionError::Unknown`] if no such connection is open. The engine does not check that there is only
    /// one owner: the first one that is dropped closes the connection.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let id = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?.into_id();
    /// assert_eq!(engine.access(id), Some(Access::Edit));
    /// drop(engine.adopt(id)?);
    /// assert_eq!(engine.access(id), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt(&self, id: ConnectionId) -> Result<Connection, ConnectionError> {
        let grant = self.registry().grant(id).ok_or(ConnectionError::Unknown)?;
        Ok(Connection::new(
            self.handle.clone(),
            Opened { id, grant, token: None, instead_of: None, position: None },
        ))
    }

    /// Returns the access that the connection has now, or `None` if it is not open. Takes one shard lock.
    pub fn access(&self, id: ConnectionId) -> Option<Access> {
        self.registry().access(id)
    }

    /// Returns the access that the connection has now, and the reason if it is less than it asked for, or `None` if it is not
    /// open. Takes one shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, Grant, Reason, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let key = DocumentKey::new("report")?;
    /// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// engine.drop_all(&key)?;
    /// let dropped = Grant { access: Access::View, reason: Some(Reason::Dropped) };
    /// assert_eq!(engine.grant(tab.id()), Some(dropped));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grant(&self, id: ConnectionId) -> Option<Grant> {
        self.registry().grant(id)
    }

    /// Returns the document and the user of the connection, or `None` if it is not open. Takes one shard lock.
    pub fn owner(&self, id: ConnectionId) -> Option<(DocumentKey, UserId)> {
        self.registry().owner(id)
    }

    /// Returns true if the connection is open and not lost, and has edit access now. Takes one shard lock.
    pub fn may_edit(&self, id: ConnectionId) -> bool {
        self.registry().may_edit(id)
    }

    /// Records that the connection changed its document, which then needs a save.
    ///
    /// Call it before the host applies the change, and apply the change only if this returns `Ok`. Returns
    /// [`ChangeError::ViewOnly`] if the connection has no edit access now. Takes one shard lock.
    pub fn change(&self, id: ConnectionId) -> Result<(), ChangeError> {
        self.registry().change(id)
    }

    /// Closes the connection. Its seat is free when this returns.
    ///
    /// If it was the last one with edit access and the document has unsaved changes, the save is due after
    /// [`Config::save_delay`]. Returns [`ConnectionError::Unknown`] if the connection is not open. Takes one shard lock.
    pub fn close(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        self.registry().close(id)
    }
}

/// Documents.
impl Engine {
    /// Returns every user with a connection to the document, in order of arrival. The list is empty if the document is
    /// not open. Takes time in proportion to its connections.
    pub fn participants(&self, key: &DocumentKey) -> Vec<Participant> {
        self.registry().participants(key)
    }

    /// Returns the users with edit access to the document, each once, in the order in which they began to edit.
    ///
    /// Unlike [`info`](Self::info) it queues no callback. Takes time in proportion to the users of the document.
    pub fn editors(&self, key: &DocumentKey) -> Vec<UserId> {
        self.registry().editors(key)
    }

    /// Returns true if anybody has a connection to the document, or a save of it is pending.
    pub fn is_open(&self, key: &DocumentKey) -> bool {
        self.registry().is_open(key)
    }

    /// Opens a connection that nobody owns, as [`admit`](Self::admit) does.
    pub(crate) fn open_by_id(
        &self,
        key: &DocumentKey,
        user: &User,
        asked: Access,
    ) -> Result<Opened, OpenError> {
        self.registry().open(key, user, asked)
    }

    /// Returns true if nothing of the document is unsaved, and the storage has acknowledged everything that it is told.
    pub(crate) fn is_settled(&self, key: &DocumentKey) -> bool {
        self.registry().is_settled(key)
    }

    /// Returns true if the document has changes that no acknowledged save holds, of status 2 or 6: whether to show "unsaved".
    /// Takes one shard lock.
    ///
    /// Ask under the lock under which [`change`](Self::change) is called, at a change and at each
    /// [`Notice::Saved`]. After a force save this is false although the document is still among
    /// [`unsaved`](Self::unsaved), since its closing save is to come.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let (key, storage) = (DocumentKey::new("report")?, engine.callbacks());
    /// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// storage.recv()?.ack(); // ann joined
    /// tab.change()?;
    /// assert!(engine.is_unsaved(&key));
    /// engine.press_save(tab.id())?;
    /// storage.recv()?.ack();
    /// assert!(!engine.is_unsaved(&key) && engine.unsaved()[0].force_saved);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_unsaved(&self, key: &DocumentKey) -> bool {
        self.registry().is_exposed(key)
    }

    /// Returns true if a worker holds a callback of the document that it has not settled.
    pub fn is_outstanding(&self, key: &DocumentKey) -> bool {
        self.registry().is_outstanding(key)
    }

    /// Returns the number of open documents. Locks each shard in turn.
    pub fn documents(&self) -> usize {
        self.registry().open_documents()
    }
}
