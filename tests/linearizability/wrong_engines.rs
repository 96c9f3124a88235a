//! Histories of engines that break a promise: a true history, in which one answer is exchanged. The checker refuses each.

use coedit::{Access, ConnectionId, EditRequest, Grant, Reason};

use super::call::{Answer, Call, Event};
use super::checker::is_linearizable;
use super::player::{Player, watch};

const ANN: u8 = 0;
const BEN: u8 = 1;
const CLEO: u8 = 2;
const EDITS: Grant = Grant { access: Access::Edit, reason: None };

/// One thread calls an engine with one document and one seat.
struct Story {
    player: Player,
    events: Vec<Event>,
}

impl Story {
    fn new() -> Self {
        let player = Player::new(1, 1, true);
        let events = watch(&player);
        Story { player, events }
    }

    fn call(&mut self, call: Call) -> Answer {
        let event = self.player.play(0, call);
        self.events.push(event);
        self.events.last().unwrap().answer.clone()
    }

    fn open(&mut self, user: u8) -> ConnectionId {
        let Answer::Opened(id, _) = self.call(Call::Open { document: 0, user, asked: Access::Edit }) else {
            panic!("an open was answered with something else");
        };
        id
    }

    fn wait(&mut self, user: u8) -> ConnectionId {
        let id = self.open(user);
        let answer = self.call(Call::RequestEdit(id));
        assert!(matches!(answer, Answer::Requested(Ok(EditRequest::Waiting { .. }))));
        id
    }

    fn has_order(&self) -> bool {
        is_linearizable(&self.player.start, &self.events)
    }

    /// Exchanges the answer of a call, which is counted from the last one.
    fn lie(&mut self, from_the_end: usize, answer: Answer) {
        let at = self.events.len() - 1 - from_the_end;
        self.events[at].answer = answer;
    }

    /// The last call and the one before it were under way at one time.
    fn overlap_the_last_two(&mut self) {
        let [.., one, other] = &mut *self.events else { return };
        std::mem::swap(&mut one.end, &mut other.start);
    }
}

#[test]
fn p3_a_change_accepted_after_a_drop_returned_is_refused() {
    let mut story = Story::new();
    let ann = story.open(ANN);
    story.call(Call::DropUsers { document: 0, users: vec![ANN] });
    story.call(Call::Change(ann));
    assert!(story.has_order());
    story.lie(0, Answer::Changed(Ok(())));
    assert!(!story.has_order());
    story.overlap_the_last_two();
    assert!(story.has_order(), "the change may come before the drop");
}

#[test]
fn p1_two_editors_at_a_limit_of_one_are_refused() {
    let mut story = Story::new();
    story.open(ANN);
    let ben = story.open(BEN);
    assert!(story.has_order());
    story.lie(0, Answer::Opened(ben, EDITS));
    assert!(!story.has_order());
    story.overlap_the_last_two();
    assert!(!story.has_order(), "whichever comes first");
}

#[test]
fn p1_a_refusal_while_a_seat_is_free_is_refused() {
    let mut story = Story::new();
    let ann = story.open(ANN);
    assert!(story.has_order());
    story.lie(0, Answer::Opened(ann, Grant { access: Access::View, reason: Some(Reason::ConnectionLimit) }));
    assert!(!story.has_order());
}

#[test]
fn p11_a_stale_resume_that_is_accepted_is_refused() {
    let mut story = Story::new();
    let token = story.open(ANN);
    let resumed = story.call(Call::Resume { token, attempt: 2 });
    story.call(Call::Resume { token, attempt: 1 });
    assert!(story.has_order());
    let Answer::Resumed(Ok((_, access))) = resumed else { panic!("{resumed:?}") };
    let other = ConnectionId::from_bits(u64::MAX);
    story.lie(0, Answer::Resumed(Ok((other, access))));
    assert!(!story.has_order());
    story.overlap_the_last_two();
    assert!(story.has_order(), "the lower attempt may come first");
}

#[test]
fn p12_a_waiter_who_is_passed_over_is_refused() {
    let mut story = Story::new();
    let ann = story.open(ANN);
    let [ben, cleo] = [BEN, CLEO].map(|user| story.wait(user));
    story.call(Call::Close(ann));
    let accesses = [ben, cleo].map(|id| story.call(Call::Access(id)));
    assert_eq!(accesses, [Access::Edit, Access::View].map(|access| Answer::Access(Some(access))));
    assert!(story.has_order());
    let [first, second] = accesses;
    story.lie(1, second);
    assert!(!story.has_order(), "a seat is free that somebody waits for");
    story.lie(0, first);
    assert!(!story.has_order(), "the second in line has it");
}

#[test]
fn p12_a_newcomer_who_comes_before_a_waiter_is_refused() {
    let mut story = Story::new();
    let ann = story.open(ANN);
    story.wait(BEN);
    story.call(Call::Close(ann));
    let cleo = story.open(CLEO);
    assert!(story.has_order());
    story.lie(0, Answer::Opened(cleo, EDITS));
    assert!(!story.has_order());
    story.overlap_the_last_two();
    assert!(!story.has_order(), "also in the midst of the close");
}
