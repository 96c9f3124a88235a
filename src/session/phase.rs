//! Where a document stands between its first editor and its saved state.

use super::participants::ParticipantId;
use crate::time::Moment;

/// The phase of a session.
///
/// ```text
///            an editor joins          the last one leaves, unchanged
///   Viewed ──────────────────► Edited ──────────────────────────────► Viewed
///                              │   ▲
///      the last leaves, changed│   │an editor joins again
///                              ▼   │
///                             Closing ◄──────────── failed ───┐
///                              │ due, handed out              │
///                              ▼                              │
///                             Saving ─────────────────────────┤
///                    acknowledged│          given up│         │
///                                ▼                  ▼
///                             Viewed            Forgotten ──► Edited (an editor), Viewed (deleted or saved),
///                                                             Closing (to be tried again)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody edits and nothing is unsaved.
    Viewed,
    /// Somebody edits.
    Edited,
    /// Nobody edits. The save waits for the save delay, for a retry, or for a worker.
    Closing {
        /// The last editor. The storage hears of this leave with the save. `None` for a forgotten document that is
        /// tried again.
        leaver: Option<ParticipantId>,
        /// When the save falls due, or fell due.
        due: Moment,
        turn: Turn,
        /// Whether a worker had the save before, which failed.
        tried: bool,
        /// How often it has failed, as far as the next pause goes by it.
        failures: usize,
    },
    /// A worker has the save. Whoever asks to edit gets view access.
    Saving {
        /// As in `Closing`.
        leaver: Option<ParticipantId>,
        /// As in `Closing`.
        failures: usize,
    },
    /// The save was given up, and nobody edits.
    Forgotten,
}

/// When a save is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is not due yet.
    Later,
    /// It is due. What happened before is handed out first.
    AfterTheRest,
    /// It is due, and the next to be handed out.
    Next,
}

/// An event that moves a session with unsaved changes to its next phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    FirstEditorJoined,
    LastEditorLeft {
        leaver: ParticipantId,
        due: Moment,
    },
    SaveFellDue {
        now: Moment,
    },
    /// The save does not wait for the rest any longer.
    RestSuperseded,
    SaveHandedOut,
    SaveAcknowledged,
    SaveFailed {
        again: Moment,
    },
    SaveGivenUp,
    /// The engine shuts down: the pauses between attempts begin again.
    PausesBeginAgain,
    /// A forgotten document was deleted from the list.
    NoLongerForgotten,
    /// The save of a forgotten document is to be tried again.
    TriedAgain {
        now: Moment,
    },
}

impl Phase {
    /// The one transition function.
    #[must_use]
    pub(crate) fn after(self, step: Step) -> Phase {
        use Phase::*;
        use Step::*;
        match (self, step) {
            (Closing { .. } | Forgotten, FirstEditorJoined) => Edited,
            (Edited, LastEditorLeft { leaver, due }) => {
                Closing { leaver: Some(leaver), due, turn: Turn::Later, tried: false, failures: 0 }
            }
            (Closing { leaver, due, turn: Turn::Later, tried, failures }, SaveFellDue { now }) => {
                // What was asked for since the first attempt comes after the save.
                let turn = if tried { Turn::Next } else { Turn::AfterTheRest };
                Closing { leaver, due: due.min(now), turn, tried, failures }
            }
            (Closing { leaver, due, turn: Turn::AfterTheRest, tried, failures }, RestSuperseded) => {
                Closing { leaver, due, turn: Turn::Next, tried, failures }
            }
            (Closing { leaver, turn: Turn::AfterTheRest | Turn::Next, failures, .. }, SaveHandedOut) => {
                Saving { leaver, failures }
            }
            (Saving { leaver, failures }, SaveFailed { again }) => {
                Closing { leaver, due: again, turn: Turn::Later, tried: true, failures: failures + 1 }
            }
            (Closing { .. } | Saving { .. } | Forgotten, SaveAcknowledged) => Viewed,
            (Saving { .. }, SaveGivenUp) => Forgotten,
            (Closing { leaver, due, turn, tried, .. }, PausesBeginAgain) => {
                Closing { leaver, due, turn, tried, failures: 0 }
            }
            (Saving { leaver, .. }, PausesBeginAgain) => Saving { leaver, failures: 0 },
            (phase, PausesBeginAgain) => phase,
            (Forgotten, NoLongerForgotten) => Viewed,
            (Forgotten, TriedAgain { now }) => {
                Closing { leaver: None, due: now, turn: Turn::AfterTheRest, tried: false, failures: 0 }
            }
            (phase, step) => unreachable!("no transition leads from {phase:?} by {step:?}"),
        }
    }

    /// The last editor, whose leave the storage hears of with the save.
    pub(crate) fn withheld(self) -> Option<ParticipantId> {
        match self {
            Phase::Closing { leaver, .. } | Phase::Saving { leaver, .. } => leaver,
            _ => None,
        }
    }

    /// How often the save has failed, as far as the next pause goes by it.
    pub(crate) fn failures(self) -> usize {
        match self {
            Phase::Closing { failures, .. } | Phase::Saving { failures, .. } => failures,
            _ => 0,
        }
    }

    /// Returns true if a save is due, with a worker, or waits for a retry.
    pub(crate) fn is_save_under_way(self) -> bool {
        match self {
            Phase::Closing { turn, tried, .. } => turn != Turn::Later || tried,
            Phase::Saving { .. } => true,
            _ => false,
        }
    }

    /// Returns true if a save was handed out and nobody edited since: it is with a worker, or waits for its next attempt, or
    /// was given up and is to be tried again.
    pub(crate) fn was_tried(self) -> bool {
        match self {
            Phase::Closing { tried, leaver, .. } => tried || leaver.is_none(),
            Phase::Saving { .. } => true,
            _ => false,
        }
    }
}
