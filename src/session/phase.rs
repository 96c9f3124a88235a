//! Where a document stands between its first editor and its saved state.

use super::roster::StayId;
use crate::time::Timestamp;

/// The phase of a session.
///
/// ```text
///            an editor comes          the last one leaves, unchanged
///   Viewed ──────────────────► Edited ──────────────────────────────► Viewed
///                              │   ▲
///      the last leaves, changed│   │an editor comes back
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
    /// Nobody edits; what was changed waits to be saved: for the save delay to pass, or to be tried again.
    Closing {
        /// Whose leave was the last. The storage is not told of it before the save.
        leaver: StayId,
        /// When the save falls due; `None` once it has.
        due: Option<Timestamp>,
        /// How often the save has failed.
        failures: usize,
    },
    /// The save is with the storage. Who asks to edit is answered view-only.
    Saving {
        /// As in `Closing`.
        leaver: StayId,
        /// As in `Closing`.
        failures: usize,
    },
    /// The save was given up, and nobody edits.
    Forgotten,
}

/// What moves a session with unsaved changes to its next phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    FirstEditorCame,
    LastEditorLeft {
        leaver: StayId,
        due: Option<Timestamp>,
    },
    SaveFellDue,
    SaveHandedOut,
    SaveAcknowledged,
    SaveFailed {
        again: Option<Timestamp>,
    },
    SaveGivenUp,
    /// What was forgotten is saved after all, or was deleted.
    Remembered,
}

impl Phase {
    /// The one transition function.
    #[must_use]
    pub(crate) fn after(self, step: Step) -> Phase {
        use Phase::*;
        use Step::*;
        match (self, step) {
            (Closing { .. } | Forgotten, FirstEditorCame) => Edited,
            (Edited, LastEditorLeft { leaver, due }) => Closing { leaver, due, failures: 0 },
            (Closing { leaver, failures, .. }, SaveFellDue) => Closing { leaver, due: None, failures },
            (Closing { leaver, due: None, failures }, SaveHandedOut) => Saving { leaver, failures },
            (Saving { .. }, SaveAcknowledged) => Viewed,
            (Saving { leaver, failures }, SaveFailed { again }) => {
                Closing { leaver, due: again, failures: failures + 1 }
            }
            (Saving { .. }, SaveGivenUp) => Forgotten,
            (Forgotten, Remembered) => Viewed,
            (phase, step) => {
                debug_assert!(false, "no way leads from {phase:?} by {step:?}");
                phase
            }
        }
    }

    /// The leave that the storage is not told of before the save.
    pub(crate) fn withheld(self) -> Option<StayId> {
        match self {
            Phase::Closing { leaver, .. } | Phase::Saving { leaver, .. } => Some(leaver),
            _ => None,
        }
    }

    /// Whether a save is under way: due, with the storage, or failed and to be tried again.
    pub(crate) fn save_under_way(self) -> bool {
        match self {
            Phase::Closing { due, failures, .. } => due.is_none() || failures > 0,
            Phase::Saving { .. } => true,
            _ => false,
        }
    }
}
