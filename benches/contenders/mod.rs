//! What is measured: the engine, the least work there is, and what a team would write in its place.
//!
//! All of them do the same: a user opens a connection to a document and gets edit access while a seat of the limit is
//! free, view access otherwise; the storage is told of the first edit connection of a user to a document and of the end
//! of the last; `info` lists the editors; a drop takes edit access from a user.

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
    /// A document's name as a host has it at hand: checking and making it is no part of any figure.
    type Key: Send + Sync;
    type User: Send + Sync;
    /// An open connection.
    type Handle: Send + Sync;

    fn new(limit: u32) -> Self;
    fn key(number: usize) -> Self::Key;
    fn user(number: usize) -> Self::User;

    /// Opens a connection that asks for edit access; also whether it got it.
    fn open(&self, key: &Self::Key, user: &Self::User) -> (Self::Handle, bool);
    fn close(&self, handle: Self::Handle);
    /// A change by the connection; whether it was accepted.
    fn change(&self, handle: &Self::Handle) -> bool;
    /// Builds the list of editors and tells the storage; how many there are.
    fn info(&self, key: &Self::Key) -> usize;
    /// Takes edit access from a user; how many connections lost it.
    fn drop_user(&self, key: &Self::Key, user: &Self::User) -> usize;
    /// Takes and acknowledges all that waits for the storage; how many messages that were.
    fn drain(&self) -> usize;
    /// What has to be done from time to time.
    fn tick(&self) {}
}
