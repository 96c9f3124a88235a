//! Where a document stands between its first editor and its saved state.

use super::participants::ParticipantId;
use crate::time::Timestamp;

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
///                             Viewed            Forgotten ──► Edited (an editor), Viewed (deleted or saved)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody edits and nothing is unsaved.
    Viewed,
    /// Somebody edits.
    Edited,
    /// Nobody edits. The save waits for the save delay, for a retry, or for a worker.
    Closing {
        /// The last editor. The storage hears of this leave with the save.
        leaver: ParticipantId,
        /// When the save falls due. `None` once it is due.
        due: Option<Timestamp>,
        /// How often the save has failed.
        failures: usize,
    },
    /// A worker has the save. Whoever asks to edit gets view access.
    Saving {
        /// As in `Closing`.
        leaver: ParticipantId,
        /// As in `Closing`.
        failures: usize,
    },
    /// The save was given up, and nobody edits.
    Forgotten,
}

/// An event that moves a session with unsaved changes to its next phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    FirstEditorJoined,
    LastEditorLeft {
        leaver: ParticipantId,
        due: Option<Timestamp>,
    },
    SaveFellDue,
    SaveHandedOut,
    SaveAcknowledged,
    SaveFailed {
        again: Option<Timestamp>,
    },
    SaveGivenUp,
    /// A forgotten document was saved after all, or deleted from the list.
    NoLongerForgotten,
}

impl Phase {
    /// The one transition function.
    #[must_use]
    pub(crate) fn after(self, step: Step) -> Phase {
        use Phase::*;
        use Step::*;
        match (self, step) {
            (Closing { .. } | Forgotten, FirstEditorJoined) => Edited,
            (Edited, LastEditorLeft { leaver, due }) => Closing { leaver, due, failures: 0 },
            (Closing { leaver, failures, .. }, SaveFellDue) => Closing { leaver, due: None, failures },
            (Closing { leaver, due: None, failures }, SaveHandedOut) => Saving { leaver, failures },
            (Saving { .. }, SaveAcknowledged) => Viewed,
            (Saving { leaver, failures }, SaveFailed { again }) => {
                Closing { leaver, due: again, failures: failures + 1 }
            }
            (Saving { .. }, SaveGivenUp) => Forgotten,
            (Forgotten, NoLongerForgotten) => Viewed,
            (phase, step) => unreachable!("no transition leads from {phase:?} by {step:?}"),
        }
    }

    /// The last editor, whose leave the storage hears of with the save.
    pub(crate) fn withheld(self) -> Option<ParticipantId> {
        match self {
            Phase::Closing { leaver, .. } | Phase::Saving { leaver, .. } => Some(leaver),
            _ => None,
        }
    }

    /// Returns true if a save is due, with a worker, or waits for a retry.
    pub(crate) fn is_save_under_way(self) -> bool {
        match self {
            Phase::Closing { due, failures, .. } => due.is_none() || failures > 0,
            Phase::Saving { .. } => true,
            _ => false,
        }
    }
}
