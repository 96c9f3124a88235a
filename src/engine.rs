//! The engine: what a host embeds.

use std::sync::Arc;

use crate::access::{Access, Dropped, Forgotten, Grant, Holder, Participant};
use crate::callback::ForceSaveType;
use crate::config::{Config, EXPIRE_DAYS_MAX, limit_fits};
use crate::connection::Connection;
use crate::delivery::{Callbacks, Notices};
use crate::error::{
    ChangeError, ConfigError, ConnectionError, DocumentError, ForceSaveError, ForgottenError, InfoError,
    MetaError, OpenError,
};
use crate::ids::{ConnectionId, DocumentKey, Malformed, TITLE_MAX, USERDATA_MAX, User, UserId, bounded};
use crate::license::{License, Limits, VERSION};
use crate::quota::NamedUsers;
use crate::registry::{Handle, Registry};
use crate::time::Timestamp;
use crate::timer::Timer;
use crate::usage::Usage;

/// Knows who has which document open, and who of them may edit.
///
/// A handle: cheap to clone, `Send + Sync`, every method takes `&self` and never waits for a storage. When the last
/// handle is dropped, owned [`Connection`]s counted in, the engine closes what is still open, lets every save be due
/// at once, and ends its receivers as soon as they have taken what there is.
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

/// Making one, and its parts.
impl Engine {
    /// An engine with nothing open. Errors if a setting is out of its bounds.
    #[expect(clippy::needless_pass_by_value, reason = "a config makes one engine")]
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let registry = Arc::new(Registry::new(&config));
        Ok(Engine { handle: Arc::new(Handle { registry }) })
    }

    fn registry(&self) -> &Registry {
        &self.handle.registry
    }

    /// How many connections have edit access, whatever takes a seat.
    pub(crate) fn editing(&self) -> u32 {
        self.registry().seats().connections(Access::Edit)
    }

    /// The callbacks, for a worker of the document storage. Any number of workers may take from them.
    pub fn callbacks(&self) -> Callbacks {
        Callbacks::new(self.handle.registry.clone())
    }

    /// The notices, for the host's transport. None is kept before the first call of this.
    pub fn notices(&self) -> Notices {
        Notices::new(self.handle.registry.clone())
    }
}

/// Connections.
impl Engine {
    /// Lets `user` into the document with the access `asked` for, or, past a limit, view-only:
    /// [`Connection::granted`] says which and why. One compare-and-swap and one shard lock, whatever else is open; limits
    /// of a user and of named users cost a lock and a lookup more each.
    ///
    /// Errors only if as many connections are open as the [cap](Config::max_connections) allows, or the engine holds as many
    /// connections or documents as it can name (2³²). An error changes nothing.
    #[inline]
    pub fn open(&self, key: &DocumentKey, user: &User, asked: Access) -> Result<Connection, OpenError> {
        let (id, grant) = self.registry().open(key, user, asked)?;
        Ok(Connection::new(self.handle.clone(), id, grant))
    }

    /// The same for a host that keeps books of bare ids: what is admitted closes only by [`close`](Self::close), or with
    /// the engine. Threads do not even meet at the count of the engine's handles.
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
    #[inline]
    pub fn admit(
        &self,
        key: &DocumentKey,
        user: &User,
        asked: Access,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        self.registry().open(key, user, asked)
    }

    /// Takes a bare id back into owned use: the connection closes when the result is dropped. Make one owner only; the
    /// close of a second one does nothing.
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
        let access = self.access(id).ok_or(ConnectionError::Unknown)?;
        Ok(Connection::adopted(self.handle.clone(), id, access))
    }

    /// What the connection may do now; `None` if it is closed.
    pub fn access(&self, id: ConnectionId) -> Option<Access> {
        self.registry().access(id)
    }

    /// Whether the connection may edit now. False if it is closed.
    pub fn may_edit(&self, id: ConnectionId) -> bool {
        self.access(id) == Some(Access::Edit)
    }

    /// The connection changed its document. Accepted only from one that may edit now.
    pub fn change(&self, id: ConnectionId) -> Result<(), ChangeError> {
        self.registry().change(id)
    }

    /// Closes a connection; its seat is free when this returns.
    #[inline]
    pub fn close(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        self.registry().close(id)
    }

    /// The transport of the connection broke. The same as [`close`](Self::close).
    pub fn lost(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        self.registry().close(id)
    }
}

/// Documents.
impl Engine {
    /// Who is in the document, in order of joining; empty if it is not open. Costs its users.
    pub fn participants(&self, key: &DocumentKey) -> Vec<Participant> {
        self.registry().participants(key)
    }

    /// The users who hold edit access to the document, each once, in order of joining. Costs its users. Unlike
    /// [`info`](Self::info) this tells the storage nothing.
    pub fn editors(&self, key: &DocumentKey) -> Vec<UserId> {
        self.registry().editors(key)
    }

    /// Whether anybody is in the document or a save of it is still to come.
    pub fn is_open(&self, key: &DocumentKey) -> bool {
        self.registry().is_open(key)
    }

    /// How many documents are open. Costs the shards.
    pub fn documents(&self) -> usize {
        self.registry().open_documents()
    }
}

/// The command service.
impl Engine {
    /// The users who hold edit access, each once, in order of joining. Also queues one callback of status 1 (or 4
    /// where nobody edits and nothing was changed) with the given `userdata` of at most 4,096 bytes.
    pub fn info(&self, key: &DocumentKey, userdata: Option<&str>) -> Result<Vec<UserId>, InfoError> {
        self.registry().info(key, owned_userdata(userdata)?)
    }

    /// Makes every edit and live-view connection of these users on the document view-only; when this returns no change
    /// of them is accepted any more. They stay in the document. The unmatched ids come back.
    pub fn drop_users(&self, key: &DocumentKey, users: &[UserId]) -> Result<Dropped, DocumentError> {
        self.registry().drop_access(key, Some(users))
    }

    /// The same for everybody in the document.
    pub fn drop_all(&self, key: &DocumentKey) -> Result<Dropped, DocumentError> {
        self.registry().drop_access(key, None)
    }

    /// The same for one connection.
    pub fn drop_connection(&self, id: ConnectionId) -> Result<Dropped, ConnectionError> {
        self.registry().drop_connection(id)
    }

    /// Asks the storage for a force save of type 0, a callback of status 6 with the given `userdata` of at most 4,096
    /// bytes. What is changed later than this call is not in it.
    pub fn force_save(&self, key: &DocumentKey, userdata: Option<&str>) -> Result<(), ForceSaveError> {
        self.registry().force_save(key, owned_userdata(userdata)?)
    }

    /// The same for the save button that the user of a connection pressed, type 1.
    pub fn press_save(&self, id: ConnectionId) -> Result<(), ForceSaveError> {
        self.registry().force_save_by(id, ForceSaveType::Button, None)
    }

    /// The same for the form that the user of a connection submitted, type 3.
    pub fn submit_form(&self, id: ConnectionId) -> Result<(), ForceSaveError> {
        self.registry().force_save_by(id, ForceSaveType::Form, None)
    }

    /// Tells every connection of the document its new title of at most 4,096 bytes, by a notice.
    pub fn rename(&self, key: &DocumentKey, title: &str) -> Result<(), MetaError> {
        let title = bounded(title, TITLE_MAX, Malformed::Title)?.to_owned();
        self.registry().rename(key, title).map_err(|_| MetaError::NotOpen)
    }

    /// The version of coedit.
    pub fn version(&self) -> &'static str {
        VERSION
    }

    /// The limits in force, as the command service tells them.
    pub fn license(&self) -> License {
        License::of(self.limits(), self.registry().named_users())
    }

    /// The documents whose last save was given up, by key. Costs the shards and those documents.
    pub fn forgotten(&self) -> Vec<Forgotten> {
        self.registry().forgotten()
    }

    /// Where the host said that it put the file of a forgotten document; `None` if it said nothing.
    pub fn forgotten_at(&self, key: &DocumentKey) -> Result<Option<Arc<str>>, ForgottenError> {
        self.registry().forgotten_at(key)
    }

    /// Takes a document off the list of forgotten ones. Unless it was opened for editing again, its changes are gone.
    pub fn delete_forgotten(&self, key: &DocumentKey) -> Result<(), ForgottenError> {
        self.registry().delete_forgotten(key)
    }
}

/// Limits.
impl Engine {
    /// The limits in force and how much of them is used.
    pub fn limits(&self) -> Limits {
        self.registry().limits()
    }

    /// Changes the limit of edit connections. Whoever is in stays in; past a lower limit nobody else gets in until
    /// enough have gone.
    pub fn set_edit_limit(&self, limit: Option<u32>) -> Result<(), ConfigError> {
        check_limit(limit, "edit_limit")?;
        self.registry().set_limit(Access::Edit, limit);
        Ok(())
    }

    /// Changes the limit of live-view connections, as [`set_edit_limit`](Self::set_edit_limit) does.
    pub fn set_live_limit(&self, limit: Option<u32>) -> Result<(), ConfigError> {
        check_limit(limit, "live_limit")?;
        self.registry().set_limit(Access::LiveView, limit);
        Ok(())
    }

    /// Changes the limit of edit connections to one document, as [`set_edit_limit`](Self::set_edit_limit) does.
    pub fn set_document_limit(&self, limit: Option<u32>) -> Result<(), ConfigError> {
        check_limit(limit, "document_limit")?;
        self.registry().seats().set_document_limit(limit);
        Ok(())
    }

    /// Changes the limit of one user's edit connections over all documents, as
    /// [`set_edit_limit`](Self::set_edit_limit) does. The first limit and the last cost a walk over all documents, shard by
    /// shard under its lock: without one, users are not counted.
    pub fn set_user_limit(&self, limit: Option<u32>) -> Result<(), ConfigError> {
        check_limit(limit, "user_limit")?;
        self.registry().set_user_limit(limit);
        Ok(())
    }

    /// Changes the cap of all connections, viewers counted in. Whoever is in stays in. Costs the shards.
    pub fn set_max_connections(&self, cap: Option<u32>) -> Result<(), ConfigError> {
        check_limit(cap, "max_connections")?;
        self.registry().set_max_connections(cap);
        Ok(())
    }

    /// Changes the limits of named users. Who counts goes on counting to the end that was fixed at its first access; a
    /// limit that was lifted forgets its users, and one that is new counts nobody yet, not even who edits already.
    pub fn set_named_users(&self, quota: NamedUsers) -> Result<(), ConfigError> {
        check_limit(quota.edit, "named_users.edit")?;
        check_limit(quota.live, "named_users.live")?;
        if quota.expire_days > EXPIRE_DAYS_MAX {
            return Err(ConfigError { setting: "named_users.expire_days", rule: "at most 36,500" });
        }
        self.registry().set_named_users(quota);
        Ok(())
    }

    /// What [`open`](Self::open) would answer now, without opening. Others may come before whoever asks.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, Reason, UserId};
    ///
    /// let engine = Engine::new(Config::new().edit_limit(Some(0)))?;
    /// let grant = engine.would_admit(&DocumentKey::new("report")?, &UserId::new("ann")?, Access::Edit)?;
    /// assert_eq!(grant.reason, Some(Reason::ConnectionLimit));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn would_admit(&self, key: &DocumentKey, user: &UserId, asked: Access) -> Result<Grant, OpenError> {
        self.registry().would_admit(key, user, asked)
    }

    /// Who holds seats of edit and live-view access, by document and user, the longest idle first, at most so many. For an
    /// admin's page: it looks at everything that is open, some documents at a time, and keeps nobody waiting for more.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// let holders = engine.holders(10);
    /// assert_eq!((holders.len(), holders[0].user.as_str(), holders[0].connections), (1, "ann", 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holders(&self, most: usize) -> Vec<Holder> {
        self.registry().holders(most)
    }

    /// How much the engine was used in the last hour, day, week, month and year; `None` if
    /// [`Config::usage`](crate::Config::usage) is off. Costs the shards and up to some tenths of a millisecond.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// drop(engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?);
    /// let hour = engine.usage().unwrap().hour;
    /// assert_eq!((hour.opens, hour.edit.max, hour.users), (1, 1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn usage(&self) -> Option<Usage> {
        self.registry().usage()
    }

    /// Gives out no edit access any more (reason [`Draining`](crate::Reason::Draining)) and lets every save be due as
    /// soon as the last editor is gone, those that wait for their delay now. For a host about to stop.
    pub fn drain(&self) {
        self.registry().drain();
    }

    /// Whether [`drain`](Self::drain) was called.
    pub fn is_draining(&self) -> bool {
        self.registry().is_draining()
    }
}

/// Time.
impl Engine {
    /// Lets all that is due by now fall due: saves after their delay, retries, timed force saves. Returns when to call
    /// it next; that may be too early, never too late, and may change with any other call. Takes no lock where nothing
    /// is due.
    pub fn tick(&self) -> Option<Timestamp> {
        self.registry().tick()
    }

    /// When [`tick`](Self::tick) is to be called next; `None` while nothing has a deadline.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.registry().next_deadline()
    }

    /// Starts a thread that calls [`tick`](Self::tick) when it is time, until the result is dropped or the last handle
    /// is. For a clock that runs at the speed of the machine's; a manual clock is ticked by whoever moves it.
    ///
    /// Errors if the engine has one already, or the system has no thread to give.
    pub fn spawn_timer(&self) -> std::io::Result<Timer> {
        Timer::spawn(self.handle.registry.clone())
    }

    /// Recounts every total from scratch and says the first that does not hold. For tests: costs everything that is
    /// open. May be called at any moment; the seats of all shards are compared only if no other thread changed
    /// anything meanwhile.
    pub fn validate(&self) -> Result<(), String> {
        self.registry().validate()
    }

    /// Whether a callback of this document is with a worker.
    pub fn is_outstanding(&self, key: &DocumentKey) -> bool {
        self.registry().is_outstanding(key)
    }
}

fn check_limit(limit: Option<u32>, setting: &'static str) -> Result<(), ConfigError> {
    if limit_fits(limit) { Ok(()) } else { Err(ConfigError { setting, rule: "at most 4,294,967,294" }) }
}

fn owned_userdata(userdata: Option<&str>) -> Result<Option<Arc<str>>, Malformed> {
    userdata.map(|userdata| Ok(bounded(userdata, USERDATA_MAX, Malformed::Userdata)?.into())).transpose()
}
