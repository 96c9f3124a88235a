//! The users whom a limit refused edit access, from a record of what happened to them.

use std::collections::BTreeMap;

use coedit::{DocumentKey, Reason, UserId};

/// A user on a document.
pub type Participant = (DocumentKey, UserId);

/// Every user of every document, and whether it edits there.
pub type Present = BTreeMap<Participant, bool>;

/// A user who comes back within this time is the same case.
const RETURN: u64 = 15 * 60_000;

/// Everything that happened to refused users.
#[derive(Default)]
pub struct Denials {
    cases: Vec<Case>,
    refused: Vec<(u64, Reason)>,
    /// When users got edit access, and after how long.
    granted: Vec<(u64, u64)>,
    left: Vec<u64>,
    returned: Vec<u64>,
    /// The times in which users were there without edit access.
    lost: Vec<(u64, u64, Reason)>,
}

struct Case {
    user: Participant,
    since: u64,
    limit: Reason,
    /// Since when the user is there.
    here: Option<u64>,
    left_at: u64,
}

impl Denials {
    pub fn refuse(&mut self, at: u64, user: Participant, reason: Reason, present: &Present) {
        let limits = [Reason::ConnectionLimit, Reason::DocumentLimit, Reason::UserLimit, Reason::UserQuota];
        if !limits.contains(&reason) || present[&user] {
            return;
        }
        self.forget(at);
        match self.cases.iter_mut().find(|case| case.user == user) {
            Some(case) if case.here.is_none() => {
                case.here = Some(at);
                self.returned.push(at);
            }
            Some(_) => {}
            None => {
                self.refused.push((at, reason));
                self.cases.push(Case { user, since: at, limit: reason, here: Some(at), left_at: 0 });
            }
        }
    }

    pub fn follow(&mut self, at: u64, present: &Present) {
        self.forget(at);
        for mut case in std::mem::take(&mut self.cases) {
            match (present.get(&case.user), case.here) {
                (Some(true), here) => {
                    self.granted.push((at, at - case.since));
                    match here {
                        Some(here) => self.lost.push((here, at, case.limit)),
                        None => self.returned.push(at),
                    }
                    continue;
                }
                (None, Some(here)) => {
                    self.lost.push((here, at, case.limit));
                    self.left.push(at);
                    (case.here, case.left_at) = (None, at);
                }
                _ => {}
            }
            self.cases.push(case);
        }
    }

    /// Who was there and is there again goes on, and who is not has left. Who had left before is forgotten.
    pub fn restart(&mut self, at: u64, present: &Present) {
        self.cases.retain(|case| case.here.is_some());
        let gone = self.cases.iter().filter(|case| !present.contains_key(&case.user)).count();
        self.left.extend(std::iter::repeat_n(at, gone));
        for case in &self.cases {
            self.lost.push((case.here.expect("it was there"), at, case.limit));
        }
        self.cases.retain(|case| present.contains_key(&case.user));
        self.cases.iter_mut().for_each(|case| case.here = Some(at));
        self.follow(at, present);
    }

    fn forget(&mut self, at: u64) {
        self.cases.retain(|case| case.here.is_some() || at - case.left_at <= RETURN);
    }

    pub fn check(&self, reported: &coedit::Denials, from: u64, to: u64) {
        let mut refused = BTreeMap::new();
        for (_, reason) in self.refused.iter().filter(|(at, _)| *at >= from) {
            *refused.entry(*reason).or_default() += 1_u64;
        }
        assert_eq!(reported.refused, refused, "refused from {from}");
        let within = |least: u64, most: u64| {
            let times = self.granted.iter().filter(|(at, _)| *at >= from);
            times.filter(|(_, time)| (least..=most).contains(time)).count()
        };
        let count = |times: &[u64]| times.iter().filter(|at| **at >= from).count();
        let here = self.cases.iter().filter(|case| case.here.is_some()).count();
        let never = count(&self.left).saturating_sub(count(&self.returned));
        let expected = [within(0, 60_000), within(60_001, 300_000), within(300_001, u64::MAX), never, here];
        let coedit::Denials { within_minute, within_five_minutes, later, never, undecided, .. } = *reported;
        let counts = [within_minute, within_five_minutes, later, never, undecided];
        assert_eq!(counts.map(|count| count as usize), expected, "{reported:?} from {from}");
        self.check_minutes(reported, from, to);
    }

    fn check_minutes(&self, reported: &coedit::Denials, from: u64, to: u64) {
        let mut lost = BTreeMap::<Reason, u64>::new();
        let open = self.cases.iter().filter_map(|case| Some((case.here?, to, case.limit)));
        for (begin, end, limit) in self.lost.iter().copied().chain(open) {
            *lost.entry(limit).or_default() += end.saturating_sub(begin.max(from));
        }
        lost.retain(|_, millis| *millis > 0);
        assert_eq!(reported.minutes_lost.len(), lost.len(), "{reported:?}, {lost:?} from {from}");
        for (limit, millis) in lost {
            #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
            let minutes = millis as f64 / 60_000.0;
            assert!(
                (reported.minutes_lost[&limit] - minutes).abs() < 1e-9,
                "{reported:?}, {minutes} {limit}"
            );
        }
    }
}
