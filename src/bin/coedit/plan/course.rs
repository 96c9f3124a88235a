//! The course of a recording under one limit: how many connections are open, and how many of them are view-only.

use coedit::Timestamp;
use coedit::capacity::{Interval, Observed, ObservedConnection};

use super::read::Recording;
use super::read::recording::{Connections, EventKind};

/// Two recordings of the same time: all connections that asked for edit access, and those of them that are view-only.
pub(super) struct Course {
    pub(super) all: Observed,
    pub(super) view_only: Observed,
    pub(super) limit: u32,
}

/// An open connection of a course.
pub(super) struct CourseConnection {
    all: ObservedConnection,
    view_only: Option<ObservedConnection>,
}

impl Course {
    /// Begins a course. `utc_offset` is local time minus UTC, in minutes.
    pub(super) fn new(limit: u32, utc_offset: i32, from: Timestamp) -> Self {
        let (all, view_only) = (Observed::with_utc_offset(utc_offset), Observed::new());
        let mut course = Course { all, view_only, limit };
        course.extend(from);
        course
    }

    /// Returns the course of the file of `--trace`.
    pub(super) fn of_recording(recording: &Recording, limit: u32, utc_offset: i32) -> Self {
        match recording {
            Recording::Connections(connections) => Course::of_connections(connections, limit, utc_offset),
            Recording::Levels(levels) => Course::of_levels(&levels.samples, limit, utc_offset),
        }
    }

    fn of_connections(connections: &Connections, limit: u32, utc_offset: i32) -> Self {
        let from = connections.events.first().map_or(connections.end, |event| event.at);
        let mut course = Course::new(limit, utc_offset, from);
        let mut open: Vec<Option<CourseConnection>> = Vec::new();
        open.resize_with(connections.identities.len(), || None);
        for event in &connections.events {
            let index = event.connection as usize;
            let user = connections.identities.get(index).and_then(|identity| identity.user);
            let Some(slot) = open.get_mut(index) else { continue };
            match event.kind {
                EventKind::Open => *slot = Some(course.open(event.at, user)),
                EventKind::Change => {}
                EventKind::Close => {
                    if let Some(connection) = slot.take() {
                        course.close(connection, event.at);
                    }
                }
            }
        }
        course.extend(connections.end);
        course
    }

    fn of_levels(samples: &[(Timestamp, u32)], limit: u32, utc_offset: i32) -> Self {
        let from = samples.first().map_or(Timestamp::default(), |(at, _)| *at);
        let mut course = Course::new(limit, utc_offset, from);
        let mut open = Vec::new();
        for &(at, level) in samples {
            while open.len() < level as usize {
                open.push(course.open(at, None));
            }
            while open.len() > level as usize {
                if let Some(connection) = open.pop() {
                    course.close(connection, at);
                }
            }
            course.extend(at);
        }
        course
    }

    /// Records an open.
    pub(super) fn open(&mut self, at: Timestamp, user: Option<u32>) -> CourseConnection {
        let all = match user {
            Some(user) => self.all.record_open_by(user.into(), at),
            None => self.all.record_open(at),
        };
        // A limit refuses exactly the connections with higher numbers.
        let view_only = (all.number() > self.limit).then(|| self.view_only.record_open(at));
        CourseConnection { all, view_only }
    }

    /// Records a close.
    pub(super) fn close(&mut self, connection: CourseConnection, at: Timestamp) {
        self.all.record_close(connection.all, at);
        if let Some(connection) = connection.view_only {
            self.view_only.record_close(connection, at);
        }
    }

    /// Extends the course to `at` without an event.
    pub(super) fn extend(&mut self, at: Timestamp) {
        self.all.extend(at);
        self.view_only.extend(at);
    }

    /// Returns the course in at most 2,000 steps.
    pub(super) fn steps(&mut self) -> Vec<Step> {
        // Both recordings begin and end together, so that their intervals are the same.
        let end = self.all.span().map_or(Timestamp::default(), |(_, end)| end);
        self.extend(end);
        let step = |(all, view_only): (Interval, Interval)| Step {
            from: all.from,
            open: all.peak,
            view_only: view_only.peak,
        };
        self.all.intervals().zip(self.view_only.intervals()).map(step).collect()
    }
}

/// A step of a course. It ends where the next one begins.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) from: Timestamp,
    /// The most connections that were open at one time, were none refused.
    pub(super) open: u32,
    /// The most connections that were view-only at one time.
    pub(super) view_only: u32,
}

impl Step {
    /// The connections that were not view-only.
    pub(super) fn editing(&self) -> u32 {
        self.open.saturating_sub(self.view_only)
    }
}
