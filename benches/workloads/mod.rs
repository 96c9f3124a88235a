//! The workloads, one module a topic.

pub(crate) mod calls;
pub(crate) mod documents;
pub(crate) mod door;
pub(crate) mod limits;
pub(crate) mod memory_latency;
pub(crate) mod one_document;
pub(crate) mod single;
pub(crate) mod staying;
pub(crate) mod tails;
pub(crate) mod threads;
pub(crate) mod ticks;
pub(crate) mod waiting;
