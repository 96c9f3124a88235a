//! The limits, who holds them, and how much they were used.

use super::Engine;
use crate::access::{Access, Grant, Holder};
use crate::config::{check_limit, check_named_users};
use crate::error::{ConfigError, OpenError};
use crate::ids::{DocumentKey, UserId};
use crate::limits::{LimitUses, Limits, NamedUsers};
use crate::usage::Usage;

/// Limits.
impl Engine {
    /// Returns the limits in force and how much of each is in use.
    pub fn limits(&self) -> Limits {
        self.registry().admission().limits()
    }

    /// Returns every limit with its use and with how many wait for it, for an administrator's page.
    ///
    /// Other than [`limits`](Self::limits) it tells how full the fullest document is, and what the user with the most edit
    /// connections has. So it reads every open document, by slices of about 256 documents and users under one hold of a
    /// shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new().document_limit(Some(20)))?;
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// let document = engine.limit_uses().document;
    /// assert_eq!((document.limit, document.in_use, document.waiting), (Some(20), 1, Some(0)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn limit_uses(&self) -> LimitUses {
        self.registry().limit_uses()
    }

    /// Changes the limit of edit connections of the whole engine; `None` removes it. At most 4,294,967,294.
    ///
    /// Nobody who has edit access loses it. If more seats are in use than a lower limit allows, the engine grants none
    /// until enough are released. Takes a lock of the limit's own, which an open takes only when the level changes. Returns
    /// an error, and changes nothing, if the limit is out of bounds.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new().edit_limit(Some(2)))?;
    /// let key = DocumentKey::new("report")?;
    /// let ann = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// engine.set_edit_limit(Some(1))?;
    /// assert!(ann.may_edit());
    /// assert!(!engine.open(&key, &User::new("ben")?, Access::Edit)?.may_edit());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_edit_limit(&self, limit: Option<u32>) -> Result<(), ConfigError> {
        check_limit(limit, "edit_limit")?;
        self.registry().set_limit(Access::Edit, limit);
        Ok(())
    }

    /// Changes the limit of live-view connections. Otherwise the same as [`set_edit_limit`](Self::set_edit_limit).
    pub fn set_live_limit(&self, limit: Option<u32>) -> Result<(), ConfigError> {
        check_limit(limit, "live_limit")?;
        self.registry().set_limit(Access::LiveView, limit);
        Ok(())
    }

    /// Changes the limit of edit connections to one document. Otherwise the same as
    /// [`set_edit_limit`](Self::set_edit_limit).
    pub fn set_document_limit(&self, limit: Option<u32>) -> Result<(), ConfigError> {
        check_limit(limit, "document_limit")?;
        self.registry().set_document_limit(limit);
        Ok(())
    }

    /// Changes the limit of one user's edit connections over all documents. Otherwise the same as
    /// [`set_edit_limit`](Self::set_edit_limit), except for the cost.
    ///
    /// The engine counts the connections of users only while there is such a limit. So a call that sets the first limit,
    /// and one that removes it, visit every document, by slices of about 256 documents and users under one hold of a shard lock.
    pub fn set_user_limit(&self, limit: Option<u32>) -> Result<(), ConfigError> {
        check_limit(limit, "user_limit")?;
        self.registry().set_user_limit(limit);
        Ok(())
    }

    /// Changes the most connections that may be open at one time, viewers included. Open connections stay open.
    /// Otherwise the same as [`set_edit_limit`](Self::set_edit_limit).
    pub fn set_max_connections(&self, cap: Option<u32>) -> Result<(), ConfigError> {
        check_limit(cap, "max_connections")?;
        self.registry().admission().set_cap(cap);
        Ok(())
    }

    /// Changes the limits of named users. Bounds: see [`NamedUsers`].
    ///
    /// A user who counts already keeps the day of expiry that its first access fixed. If a limit is removed, its users no
    /// longer count. A new limit counts a user from the next time the user is given access, so it does not count the
    /// connections that are open already. Returns an error, and changes nothing, if a value is out of bounds.
    pub fn set_named_users(&self, quota: NamedUsers) -> Result<(), ConfigError> {
        self.change_named_users(|_| quota)
    }

    /// Changes some of the limits of named users.
    pub(crate) fn change_named_users(
        &self,
        change: impl FnOnce(NamedUsers) -> NamedUsers,
    ) -> Result<(), ConfigError> {
        self.registry().change_named_users(|quota| {
            let quota = change(quota);
            check_named_users(quota).map(|()| quota)
        })
    }

    /// Returns what [`open`](Self::open) would grant now, without opening a connection.
    ///
    /// The answer reserves nothing: a later `open` may get another one. Costs and errors are those of `open`.
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

    /// Returns at most `most` holders of edit and live-view access, the longest idle first, one entry for each document,
    /// user and access.
    ///
    /// It is meant for an administrator's page. It reads every open document, by slices of about 256 documents and users
    /// under one hold of a shard lock.
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

    /// Returns how much the engine was used in the last hour, day, week, month and year, or `None` if [`Config::usage`](crate::Config::usage)
    /// is off.
    ///
    /// Locks each shard in turn. Takes up to 8 ms if very many users opened documents.
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
}
