//! The story: people work, the host is killed and starts again, and what its snapshot promised is asked for.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use coedit::{DocumentKey, DocumentState, LimitUses, Remaining};
use rustix::process::{Signal, kill_process};
use serde_json::{from_value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::client::Client;
use super::kept::Kept;
use super::storage::Storage;
use super::world::{Process, Seat, World};
use super::{CLIENTS, DOCUMENTS, EDITORS, GRACE, PATIENCE, SNAPSHOTS, document_key, head, settings};
use crate::random::Random;
use crate::support::host::Host;
use crate::support::until;

#[derive(Clone, Copy, Default)]
struct Figures {
    seed: u64,
    kills: u32,
    restores: u32,
    while_writing: u32,
    while_starting: u32,
    own_snapshot: u32,
    known: usize,
    unsaved: usize,
    forgotten: usize,
    saved_since: usize,
    listed: usize,
    texts: usize,
    from_storage: usize,
}

pub struct Story {
    random: Random,
    world: std::sync::Arc<World>,
    storage: Storage,
    host: Host,
    /// When the process that runs was started.
    started: SystemTime,
    /// The last snapshot of the process that was killed.
    kept: Option<Kept>,
    /// When the file was written that a killed process left beside the snapshot.
    left_over: Option<SystemTime>,
    figures: Figures,
}

impl Story {
    pub async fn begin(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let storage = Storage::start(Random::new(random.next())).await;
        let settings = settings(&storage.url);
        let started = SystemTime::now();
        let host = Host::start(&settings.iter().map(String::as_str).collect::<Vec<_>>()).await;
        storage.keep_in(host.data());
        let world = World::new();
        for client in 0..CLIENTS {
            tokio::spawn(Client::new(client, Random::new(random.next()), world.clone()).run());
        }
        let figures = Figures { seed, ..Figures::default() };
        let (kept, left_over) = (None, None);
        let mut story = Self { random, world, storage, host, started, kept, left_over, figures };
        story.lets_in(Instant::now());
        story
    }

    /// Lets the clients into the process that runs.
    fn lets_in(&mut self, promised_until: Instant) {
        let promised = self.kept.take().map(|kept| kept.promised).unwrap_or_default();
        let address = self.host.url("").trim_start_matches("http://").to_owned();
        self.world.up(Process { number: self.figures.kills + 1, address, promised, promised_until });
    }

    /// Waits until the clients have done so much. All the time no limit is exceeded.
    pub async fn works(&mut self) {
        let most = *self.random.pick(&[1, 200, 600, 1500]);
        let enough = self.world.operations() + self.random.below(most) as u64;
        let start = Instant::now();
        while self.world.operations() < enough {
            assert!(self.host.runs(), "the host has ended by itself");
            assert!(start.elapsed() < PATIENCE, "the clients do nothing");
            self.looks_at_the_limit().await;
            self.world.check();
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn looks_at_the_limit(&self) {
        let reply = self.host.command(json!({"c": "limits"})).await;
        let uses: LimitUses = from_value(reply).expect("the limits");
        assert!(uses.edit.in_use <= EDITORS && uses.edit.limit == Some(EDITORS), "{:?}", uses.edit);
    }

    /// Kills the process: at a random moment, or while it writes a snapshot.
    pub async fn is_killed(&mut self) {
        let (id, data) = (self.host.id(), self.host.data());
        let delay = Duration::from_micros(self.random.below(3_000) as u64);
        if self.random.one_in(2) {
            let kill = move || {
                wait_for_writing(&data);
                let seen = Instant::now();
                while seen.elapsed() < delay / 2 {}
                kill_process(id, Signal::KILL)
            };
            spawn_blocking(kill).await.expect("no panic").expect("the host is killed");
        } else {
            sleep(delay).await;
            kill_process(id, Signal::KILL).expect("the host is killed");
        }
        self.host.killed().await;
        self.figures.kills += 1;
        self.storage.host_is_dead();
        self.world.down();
        self.notes_what_it_wrote();
        let parked = async || if self.world.all_parked() { Ok(()) } else { Err("not all".to_owned()) };
        until("the clients have lost the line", parked).await;
        self.world.check();
        let seats = self.world.seats();
        self.reads_the_snapshot(&seats);
        if let Some(kept) = &self.kept {
            self.figures.known += kept.has_those_who_were_there(&seats, self.figures.kills);
        }
    }

    fn reads_the_snapshot(&mut self, seats: &[(usize, Seat)]) {
        self.kept = Kept::read(&self.host.data().join("state.json"), seats);
        let time = self.kept.as_ref().map_or(SystemTime::UNIX_EPOCH, Kept::sure);
        self.world.history(|history| history.goes_back_to(time));
    }

    fn notes_what_it_wrote(&mut self) {
        let (left_over, snapshot) = (self.modified("new"), self.modified("state.json"));
        self.figures.while_writing += u32::from(left_over.is_some() && left_over != self.left_over);
        self.figures.own_snapshot += u32::from(snapshot.is_some_and(|written| written > self.started));
        self.left_over = left_over;
    }

    fn modified(&self, name: &str) -> Option<SystemTime> {
        self.host.data().join(name).metadata().and_then(|file| file.modified()).ok()
    }

    /// Starts the host again and asks it before anybody comes back.
    pub async fn starts_again(&mut self) {
        if self.random.one_in(5) {
            let time = Duration::from_millis(self.random.below(60) as u64);
            self.host.start_and_kill(time).await;
            self.storage.host_is_dead();
            self.figures.kills += 1;
            self.figures.while_starting += 1;
            self.left_over = self.modified("new");
            self.reads_the_snapshot(&self.world.seats());
        }
        let interval: &&str = self.random.pick(&SNAPSHOTS);
        self.host.set("--snapshot-ms", interval);
        let storage_answers = self.random.one_in(2);
        self.storage.open(storage_answers);
        self.started = SystemTime::now();
        let promised_until = Instant::now() + GRACE;
        self.host.start_elsewhere().await;
        self.figures.restores += 1;
        self.looks_at_the_limit().await;
        if let Some(kept) = self.kept.take() {
            let listed = self.listed().await;
            self.looks_at_the_list(&kept, &listed);
            self.looks_at_the_texts(&kept, &listed).await;
            self.looks_at_the_changes(&kept).await;
            self.kept = Some(kept);
        }
        self.storage.open(true);
        self.lets_in(promised_until);
    }

    /// The documents that the host lists as unsaved or forgotten.
    async fn listed(&self) -> BTreeSet<DocumentKey> {
        let remaining = self.remaining().await.documents.into_iter();
        remaining.filter(|one| one.state != DocumentState::Telling).map(|one| one.key).collect()
    }

    async fn remaining(&self) -> Remaining {
        from_value(self.host.command(json!({"c": "remaining"})).await).expect("what remains")
    }

    /// What was unsaved is listed, or this process has saved it meanwhile.
    fn looks_at_the_list(&mut self, kept: &Kept, listed: &BTreeSet<DocumentKey>) {
        self.figures.forgotten += kept.forgotten.iter().filter(|key| listed.contains(*key)).count();
        let acknowledged = self.storage.acknowledged();
        for key in &kept.unsaved {
            let mut saves = acknowledged.iter().filter(|save| save.key == *key);
            let saved_since = saves.clone().any(|save| save.at >= kept.time);
            let saved_now = saves.any(|save| save.kills == self.figures.kills);
            assert!(listed.contains(key) || saved_now, "{key} was unsaved, and is not listed: {listed:?}");
            self.figures.unsaved += 1;
            self.figures.saved_since += usize::from(saved_since);
            self.figures.listed += usize::from(listed.contains(key));
        }
        let invented: Vec<_> = listed.difference(&kept.unsaved).collect();
        assert!(invented.is_empty(), "{invented:?} was saved, and is listed");
    }

    /// Each text is that of the snapshot, or the storage's if that is later. If the storage has another, it is to be saved.
    async fn looks_at_the_texts(&mut self, kept: &Kept, listed: &BTreeSet<DocumentKey>) {
        for key in kept.texts.keys() {
            let before = self.storage.file(key);
            let text = self.host.text(key.as_str()).await;
            let expected = kept.expected(key, before.as_ref());
            let (is, should_be) = (head(&text), head(expected));
            assert!(text == expected, "{key} is {is:?}, not {should_be:?}, kept at {}", kept.time);
            self.figures.texts += 1;
            let file = self.storage.file(key);
            self.figures.from_storage += usize::from(text != kept.texts[key].text);
            let is_saved = file.as_ref().map_or(text.is_empty(), |file| file.text == text);
            assert!(is_saved || listed.contains(key), "{key} is not saved, and is not listed");
        }
    }

    /// What a client was told to be changed before the snapshot is not undone.
    async fn looks_at_the_changes(&mut self, kept: &Kept) {
        for key in (0..DOCUMENTS).map(document_key) {
            let file = self.storage.file(&key);
            let text = if kept.texts.contains_key(&key) {
                self.host.text(key.as_str()).await
            } else {
                file.map(|file| file.text).unwrap_or_default()
            };
            let undone = self.world.history(|history| history.undone(key.as_str(), &text, kept.sure()));
            assert!(undone.is_none(), "{key} is {:?}, after {undone:?}, kept at {}", head(&text), kept.time);
        }
    }

    /// Returns true if everything that is promised was asked for at least once.
    pub fn tried_enough(&self) -> bool {
        let (figures, counts) = (&self.figures, self.world.counts());
        figures.unsaved > 0
            && figures.known > 0
            && counts.came_back_to_edit > 0
            && counts.most_editors == EDITORS as usize
    }

    /// The storage is well, and everything gets saved.
    pub async fn ends(&mut self) {
        self.works().await;
        self.is_killed().await;
        self.storage.get_well();
        self.starts_again().await;
        self.works().await;
        self.is_killed().await;
        self.host.start_elsewhere().await;
        until("everything is saved", async || {
            let remaining = self.remaining().await;
            for document in &remaining.documents {
                if document.state == DocumentState::Forgotten {
                    self.host.command(json!({"c": "retryForgotten", "key": document.key})).await;
                }
            }
            if remaining == Remaining::default() { Ok(()) } else { Err(format!("{remaining:?}")) }
        })
        .await;
        let kept = Kept::read(&self.host.data().join("state.json"), &[]).expect("a snapshot");
        for key in kept.texts.keys() {
            let (text, file) = (self.host.text(key.as_str()).await, self.storage.file(key));
            let file = file.map(|file| file.text).unwrap_or_default();
            assert!(file == text, "{key} is {:?}, and its file {:?}", head(&text), head(&file));
        }
        println!("{self}");
    }
}

/// Waits until a file appears beside the snapshot, or the snapshot itself is another.
fn wait_for_writing(data: &Path) {
    let snapshot = || data.join("state.json").metadata().ok().map(|file| (file.len(), file.modified().ok()));
    let (before, start) = (snapshot(), Instant::now());
    while !data.join("new").exists() && snapshot() == before && start.elapsed() < PATIENCE {}
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { kills, restores, while_writing, while_starting, own_snapshot, .. } = self.figures;
        let Figures { unsaved, forgotten, listed, saved_since, .. } = self.figures;
        let Figures { texts, from_storage, known, .. } = self.figures;
        let counts = self.world.counts();
        write!(f, "{kills} kills, {while_writing} of them while a snapshot was written, ")?;
        writeln!(f, "{while_starting} while the host started; {own_snapshot} processes left a snapshot")?;
        write!(
            f,
            "{restores} restores: {unsaved} documents were unsaved at the snapshot, {listed} of them were "
        )?;
        writeln!(f, "listed, {forgotten} as forgotten; {saved_since} had been saved since the snapshot")?;
        writeln!(f, "{texts} texts, {from_storage} of them from the storage, ahead of the snapshot")?;
        write!(
            f,
            "{} tabs came back, {} to edit, with {} ",
            counts.came_back, counts.came_back_to_edit, known
        )?;
        write!(f, "that were surely in the snapshot; {} could have been turned away; ", counts.late)?;
        writeln!(f, "{} were, which had come after the snapshot", counts.turned_away)?;
        write!(
            f,
            "{} changes; at most {} clients could edit at once, ",
            counts.changes, counts.most_editors
        )?;
        write!(f, "of {EDITORS} allowed; {} requests to edit", counts.asked_to_edit)
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Figures { seed, kills, .. } = self.figures;
            println!("a promise was broken after {kills} kills with COEDIT_SEED={seed}");
        }
    }
}
