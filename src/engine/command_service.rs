//! The command service.

use std::sync::Arc;

use super::Engine;
use crate::access::{Dropped, Forgotten};
use crate::callback::ForceSaveType;
use crate::error::{
    ConnectionError, DocumentError, ForceSaveError, ForgottenError, InfoError, MetaError, RetryError,
};
use crate::ids::{ConnectionId, DocumentKey, Malformed, TITLE_MAX, USERDATA_MAX, UserId, bounded};
use crate::license::License;

/// The command service.
impl Engine {
    /// Returns the users with edit access, each once, in the order in which they began to edit, and queues a callback
    /// with the given `userdata` of at most 4,096 bytes.
    ///
    /// The callback has status 1, or 4 if nobody edits and nothing is unsaved. Returns an error if the document is not
    /// open, if `userdata` is too long, or if a [bound](crate::Bounds) of waiting requests is reached.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User, UserId};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let key = DocumentKey::new("report")?;
    /// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// assert_eq!(engine.info(&key, Some("for the dashboard"))?, [UserId::new("ann")?]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn info(&self, key: &DocumentKey, userdata: Option<&str>) -> Result<Vec<UserId>, InfoError> {
        self.registry().info(key, owned_userdata(userdata)?)
    }

    /// Ends the edit and live-view access of these users to the document.
    ///
    /// Their connections stay open with view access. The engine accepts no change of theirs that begins after this
    /// returned, and sends a [`Notice::Dropped`](crate::Notice::Dropped) for each connection. If nobody edits any more, a save that is needed is
    /// due at once.
    ///
    /// Returns the connections that lost access, and the ids that match no user of the document. Returns
    /// [`DocumentError::NotOpen`] if the document is not open. Takes time in proportion to the users and their
    /// connections, under one shard lock. Of more than 256 ids it looks first, some at a time, which are in the document: who
    /// comes meanwhile may be left out.
    ///
    /// ```
    /// use coedit::{Access, ChangeError, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let key = DocumentKey::new("report")?;
    /// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// let dropped = engine.drop_users(&key, &["ann".parse()?, "ben".parse()?])?;
    /// assert_eq!((dropped.connections, dropped.unmatched), (vec![tab.id()], vec!["ben".parse()?]));
    /// assert_eq!(tab.change(), Err(ChangeError::ViewOnly));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drop_users(&self, key: &DocumentKey, users: &[UserId]) -> Result<Dropped, DocumentError> {
        self.registry().drop_access(key, Some(users))
    }

    /// Ends the edit and live-view access of everybody in the document, as [`drop_users`](Self::drop_users) does.
    pub fn drop_all(&self, key: &DocumentKey) -> Result<Dropped, DocumentError> {
        self.registry().drop_access(key, None)
    }

    /// Ends the edit or live-view access of one connection, as [`drop_users`](Self::drop_users) does. Returns
    /// [`ConnectionError::Unknown`] if the connection is not open.
    pub fn drop_connection(&self, id: ConnectionId) -> Result<Dropped, ConnectionError> {
        self.registry().drop_connection(id)
    }

    /// Queues a force save of type 0: a callback of status 6 with the given `userdata` of at most 4,096 bytes.
    ///
    /// The save contains the changes made before this call. Returns [`ForceSaveError::NotChanged`] if there are none
    /// since the last save, and an error if the document is not open, if `userdata` is too long, or if as many requests
    /// as [`Bounds::asked`](crate::Bounds::asked) wait.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, ForceSaveError, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let key = DocumentKey::new("report")?;
    /// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// assert_eq!(engine.force_save(&key, None), Err(ForceSaveError::NotChanged));
    /// tab.change()?;
    /// assert_eq!(engine.force_save(&key, None), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn force_save(&self, key: &DocumentKey, userdata: Option<&str>) -> Result<(), ForceSaveError> {
        self.registry().force_save(key, owned_userdata(userdata)?)
    }

    /// Queues a force save of type 1, because the user of the connection pressed the save button. Otherwise the same as
    /// [`force_save`](Self::force_save).
    pub fn press_save(&self, id: ConnectionId) -> Result<(), ForceSaveError> {
        self.registry().force_save_by(id, ForceSaveType::Button)
    }

    /// Queues a force save of type 3, because the user of the connection submitted a form. Otherwise the same as
    /// [`force_save`](Self::force_save).
    pub fn submit_form(&self, id: ConnectionId) -> Result<(), ForceSaveError> {
        self.registry().force_save_by(id, ForceSaveType::Form)
    }

    /// Sends a [`Notice::Meta`](crate::Notice::Meta) with the new title of the document, at most 4,096 bytes. The engine does not keep the
    /// title, and the document need not be open. Returns an error if the title is too long.
    pub fn rename(&self, key: &DocumentKey, title: &str) -> Result<(), MetaError> {
        let title = bounded(title, TITLE_MAX, Malformed::Title)?.to_owned();
        self.registry().rename(key, title);
        Ok(())
    }

    /// Returns the version that the host [configured](crate::Config::version), or that of coedit.
    pub fn version(&self) -> &str {
        self.registry().version()
    }

    /// Returns the limits in force and the named users, with the field names of the command service. Takes time in
    /// proportion to the named users.
    pub fn license(&self) -> License {
        License::of(self.limits(), self.registry().named_users())
    }

    /// Returns the documents whose last save was given up, sorted by key. Locks each shard in turn, for
    /// at most 256 documents at one time.
    pub fn forgotten(&self) -> Vec<Forgotten> {
        self.registry().forgotten()
    }

    /// Returns the URL at which the host keeps the file of a forgotten document, as
    /// [`Delivery::kept_at`](crate::Delivery::kept_at) recorded it, or `None` if the host gave none. Returns
    /// [`ForgottenError::NotForgotten`] if the document is not listed.
    pub fn forgotten_at(&self, key: &DocumentKey) -> Result<Option<Arc<str>>, ForgottenError> {
        self.registry().forgotten_at(key)
    }

    /// Makes the save of a forgotten document due again, for a storage that has recovered.
    ///
    /// The callback of status 2 names no action. If it is given up again, the document stays forgotten. Returns
    /// [`RetryError::NotForgotten`] if the document is not listed, and [`RetryError::UnderWay`] while somebody edits it or a
    /// save of it is under way: then that save contains the changes.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, ManualClock, RetryError, Status, User};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let config = Config::new().retry_pauses([]).save_delay(Duration::ZERO);
    /// let engine = Engine::new(config.clock(Arc::new(ManualClock::default())))?;
    /// let (callbacks, key) = (engine.callbacks(), DocumentKey::new("report")?);
    /// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// tab.change()?;
    /// tab.close();
    /// callbacks.recv()?.ack(); // ann joined
    /// callbacks.recv()?.fail(); // the save
    /// callbacks.recv()?.ack(); // the storage was told that it failed
    /// engine.retry_forgotten(&key)?;
    /// assert_eq!(engine.retry_forgotten(&key), Err(RetryError::UnderWay));
    /// callbacks.recv()?.ack();
    /// assert!(engine.forgotten().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_forgotten(&self, key: &DocumentKey) -> Result<(), RetryError> {
        self.registry().retry_forgotten(key)
    }

    /// Removes a document from the list of forgotten ones.
    ///
    /// Its unsaved changes are discarded, unless somebody edits it again: then they stay unsaved and the next save
    /// contains them. Returns [`ForgottenError::NotForgotten`] if the document is not listed.
    pub fn delete_forgotten(&self, key: &DocumentKey) -> Result<(), ForgottenError> {
        self.registry().delete_forgotten(key)
    }
}

/// Returns a shared copy of `userdata`, or an error if it is too long.
fn owned_userdata(userdata: Option<&str>) -> Result<Option<Arc<str>>, Malformed> {
    userdata.map(|userdata| Ok(bounded(userdata, USERDATA_MAX, Malformed::Userdata)?.into())).transpose()
}
