//! People: they open, change, lose the line, come back and close.

use coedit::{
    Access, ChangeError, Clock, Connection, OpenError, Reason, ResumeError, ResumeToken, Status,
    TransportError,
};

use super::book::{Tab, USERS};
use super::{Host, InHand, millis};

impl Host {
    pub(super) fn open(&mut self) {
        self.clock.advance(millis(1));
        self.expire();
        let document = self.random.below(self.keys.len());
        let number = self.random.below(USERS);
        let asked = *self.random.pick(&[Access::Edit, Access::Edit, Access::Edit, Access::View]);
        let refused = self.refusal(document, number, asked);
        let is_full = self.book.is_full(&self.limits);
        let for_a_seat =
            is_full || refused.is_some_and(|one| !matches!(one, Reason::Fenced | Reason::Saving));
        let takes_over = asked == Access::Edit && for_a_seat && self.book.lost_editing(document, number);
        let opened = self.engine().open(&self.keys[document], &self.users[number], asked);
        if is_full && !takes_over {
            assert_eq!(opened.err(), Some(OpenError::TooMany), "P1");
            return;
        }
        let connection = opened.unwrap();
        let granted = connection.granted();
        let reason = refused.filter(|_| !takes_over);
        let access = if reason.is_some() { Access::View } else { asked };
        assert_eq!((granted.access, granted.reason), (access, reason), "P1, P2 {:?}", self.book.tabs);
        let token = connection.token();
        assert_eq!(token.is_some(), self.limits.grace.is_some());
        self.tokens.extend(token);
        let opened = self.now();
        let id = connection.id();
        let tab = Tab { id, document, user: number, access, token, attempt: 0, opened, lost_until: None };
        if takes_over {
            let is_gone = |tab: &Tab| tab.lost_until.is_some() && self.engine().access(tab.id).is_none();
            let gone: Vec<usize> =
                (0..self.book.tabs.len()).filter(|place| is_gone(&self.book.tabs[*place])).collect();
            assert_eq!(gone.len(), 1, "one seat is taken over");
            self.book.tabs[gone[0]] = tab;
            self.count("seats taken over", 1);
        } else {
            self.book.join(tab, self.step);
        }
        self.keep(connection);
    }

    /// Why somebody who asks for this access gets less.
    fn refusal(&self, document: usize, user: usize, asked: Access) -> Option<Reason> {
        let saving = |one: &InHand| {
            let callback = one.delivery.callback();
            callback.status == Status::Save
                && callback.key == self.keys[document]
                && one.delivery.deadline().is_some()
        };
        if asked == Access::View {
            None
        } else if self.book.is_fenced(document, user) {
            Some(Reason::Fenced)
        } else if self.in_hand.iter().any(saving) {
            Some(Reason::Saving)
        } else {
            self.book.limit_reached((document, user), &self.limits)
        }
    }

    /// Keeps the handle, or only the id.
    pub(super) fn keep(&mut self, connection: Connection) {
        if self.random.one_in(3) {
            self.handles.insert(connection.id(), connection);
        } else {
            let _ = connection.into_id();
        }
    }

    pub(super) fn a_tab(&mut self) -> Option<usize> {
        let count = self.book.tabs.len();
        (count > 0).then(|| self.random.below(count))
    }

    pub(super) fn close(&mut self) {
        self.tick();
        let Some(place) = self.a_tab() else { return };
        let tab = self.book.leave(place);
        match self.handles.remove(&tab.id) {
            Some(handle) => drop(handle),
            None => self.engine().close(tab.id).unwrap(),
        }
    }

    pub(super) fn lose(&mut self) {
        self.tick();
        let Some(place) = self.a_tab() else { return };
        let (id, grace) = (self.book.tabs[place].id, self.limits.grace);
        if let Some(handle) = self.handles.remove(&id) {
            let _ = handle.into_id();
        }
        let lost = self.engine().lost(id);
        let tab = &mut self.book.tabs[place];
        if tab.lost_until.is_some() {
            assert_eq!(lost, Err(TransportError::Lost));
        } else if let (Some(grace), Some(_)) = (grace, tab.token) {
            assert_eq!(lost, Ok(Some(grace)));
            tab.lost_until = Some(self.clock.now().after(grace));
        } else {
            assert_eq!(lost, Ok(None));
            self.book.leave(place);
        }
    }

    /// Somebody comes back with a token, which may have ended.
    pub(super) fn resume(&mut self) {
        self.expire();
        if self.tokens.is_empty() {
            return;
        }
        let mut token = *self.random.pick(&self.tokens);
        if let Some(place) = self.a_tab()
            && self.random.below(5) > 0
        {
            token = self.book.tabs[place].token.unwrap_or(token);
        }
        let attempt = self.random.below(3) as u64;
        self.come_back(token, attempt);
    }

    pub(super) fn come_back(&mut self, token: ResumeToken, attempt: u64) {
        let Some(place) = self.book.with_token(&token) else {
            assert_eq!(self.engine().resume(&token, attempt).err(), Some(ResumeError::Unknown));
            return;
        };
        if attempt < self.book.tabs[place].attempt {
            assert_eq!(self.engine().resume(&token, attempt).err(), Some(ResumeError::Stale));
            return;
        }
        let back = self.engine().resume(&token, attempt).expect("P11: it comes back in time");
        let tab = &mut self.book.tabs[place];
        assert_eq!(back.granted().access, tab.access, "P11: a seat was lost, or won");
        assert_eq!(back.token(), Some(token), "the token stays the same");
        (tab.attempt, tab.lost_until) = (attempt, None);
        let old = std::mem::replace(&mut tab.id, back.id());
        self.handles.remove(&old);
        assert_eq!(self.engine().change(old), Err(ChangeError::Unknown), "P11: the old one is refused");
        self.count("resumes", 1);
        self.keep(back);
    }

    pub(super) fn change(&mut self) {
        self.clock.advance(millis(1));
        self.tick();
        let Some(place) = self.a_tab() else { return };
        let tab = &self.book.tabs[place];
        let expected = match (tab.lost_until, tab.access) {
            (Some(_), _) => Err(ChangeError::Lost),
            (None, Access::Edit) => Ok(()),
            (None, _) => Err(ChangeError::ViewOnly),
        };
        assert_eq!(self.engine().change(tab.id), expected, "P3");
        if expected.is_ok() {
            self.book.documents[tab.document].changed = self.clock.now();
        }
    }
}
