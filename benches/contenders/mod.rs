//! The contenders: the engine, a lower bound, and what a team would write itself.
//!
//! All of them implement the same rules. An open gets edit access while the limit has a free seat, and view access
//! otherwise. The storage gets a callback when a user's first edit connection to a document opens and when the last one
//! closes. `info` lists the editors. A drop takes edit access from a user.

mod ablation;
mod afternoon;
mod coedit;
mod floor;
mod mutex;
mod room;

pub(crate) use ablation::Ablation;
pub(crate) use afternoon::Afternoon;
pub(crate) use coedit::{Coedit, Owned};
pub(crate) use floor::Floor;
pub(crate) use mutex::OneMutex;

pub(crate) trait Contender: Send + Sync + Sized + 'static {
    const NAME: &'static str;
    /// The key of a document, already checked. Making it is not part of any figure.
    type Key: Send + Sync;
    type User: Send + Sync;
    /// An open connection.
    type Handle: Send + Sync;

    fn new(limit: u32) -> Self;
    fn key(number: usize) -> Self::Key;
    fn user(number: usize) -> Self::User;

    /// Opens a connection that asks for edit access. Also returns true if it got edit access.
    fn open(&self, key: &Self::Key, user: &Self::User) -> (Self::Handle, bool);
    fn close(&self, handle: Self::Handle);
    /// Reports a change by the connection. Returns true if it was accepted.
    fn change(&self, handle: &Self::Handle) -> bool;
    /// Lists the editors and queues a callback. Returns the number of editors.
    fn info(&self, key: &Self::Key) -> usize;
    /// Takes edit access from a user. Returns the number of connections that lost it.
    fn drop_user(&self, key: &Self::Key, user: &Self::User) -> usize;
    /// Takes and acknowledges all callbacks that wait. Returns their number.
    fn drain(&self) -> usize;
    /// Runs what has fallen due. Only the engine has deadlines.
    fn tick(&self) {}
}
