//! Catching up: what the storage is told of joins and leaves that found no room in the outbox.

use super::events::Event;
use super::outbox::Outbox;
use super::participants::{ParticipantId, Participants};

/// Queues what is left of the joins and leaves that were not queued, after pairs have cancelled out: first the joins,
/// then the leaves, so that the document seems empty only if it is. A last leave after which nobody edits, with nothing
/// to save, closes the document. Costs O(participants).
///
/// `withheld` is the last editor, whose leave waits for the save.
pub(super) fn catch_up(
    outbox: &mut Outbox,
    participants: &mut Participants,
    withheld: Option<ParticipantId>,
) {
    if !outbox.take_behind() {
        return;
    }
    let announced = outbox.announced(participants);
    let mut differences = Vec::new();
    for id in participants.in_order(|_| true) {
        let target = i64::from(participants[id].edits()) + i64::from(withheld == Some(id));
        differences.push((id, target - announced.get(&id).copied().unwrap_or(0)));
    }
    for (id, difference) in &differences {
        (0..*difference).for_each(|_| outbox.push(participants, Event::Joined(*id)));
    }
    let mut last_leaver = None;
    for (id, difference) in &differences {
        (*difference..0).for_each(|_| outbox.push(participants, Event::Left(*id)));
        last_leaver = if *difference < 0 { Some(*id) } else { last_leaver };
    }
    if let Some(leaver) = last_leaver
        && participants.editing() == 0
        && withheld.is_none()
        && let Some(last) = outbox.last_event_mut()
    {
        *last = Event::Closed(leaver);
    }
}
