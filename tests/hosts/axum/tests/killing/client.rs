//! A client: one person with one tab, who works on two documents by turns.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use coedit::Access;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, from_value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::world::{Process, Seat, World};
use super::{DOCUMENTS, GRACE, PATIENCE, document_key};
use crate::random::Random;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The line broke.
#[derive(Debug)]
struct Broken;

/// How a visit goes on.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    Stays,
    Leaves,
}

#[derive(Debug)]
pub struct Client {
    number: usize,
    random: Random,
    world: Arc<World>,
    http: reqwest::Client,
    key: String,
    changes: u64,
    edits: bool,
    /// It gives its access back: until the host says so, what it hears of its access is old.
    gives_back: bool,
    /// How long it stays away when it has left.
    away: Duration,
    /// The line that it leaves when it has resumed on another.
    twin: Option<Socket>,
}

impl Client {
    pub fn new(number: usize, random: Random, world: Arc<World>) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("an HTTP client");
        let (key, away) = (String::new(), Duration::ZERO);
        let (changes, edits, gives_back, twin) = (0, false, false, None);
        Self { number, random, world, http, key, changes, edits, gives_back, away, twin }
    }

    /// Works with each process until that is dead.
    pub async fn run(mut self) {
        let world = Arc::clone(&self.world);
        let mut processes = world.process.subscribe();
        loop {
            world.park(1);
            let Ok(process) = processes.wait_for(Option::is_some).await.map(|process| process.clone()) else {
                return;
            };
            world.park(-1);
            let Some(process) = process else { continue };
            tokio::select! {
                biased;
                _ = processes.wait_for(Option::is_none) => {}
                () = self.live(&process) => {}
            }
            self.twin = None;
        }
    }

    async fn live(&mut self, process: &Process) {
        loop {
            self.away = self.up_to(30);
            let _ = self.visit(process).await; // the line may break at any moment
            sleep(self.away).await;
        }
    }

    fn up_to(&mut self, millis: usize) -> Duration {
        Duration::from_millis(self.random.below(millis) as u64)
    }

    /// Opens or resumes its tab, and works until it leaves or the line breaks.
    async fn visit(&mut self, process: &Process) -> Result<(), Broken> {
        (self.edits, self.gives_back) = (false, false);
        let url = format!("ws://{}/ws", process.address);
        let mut socket = connect_async(url).await.map_err(|_| Broken)?.0;
        let back = self.world.seat(self.number);
        say(&mut socket, &self.hello(back)).await?;
        let first = self.hear(&mut socket).await?;
        self.comes_in(process, back, &first)?;
        while self.work(process, &mut socket).await? == Then::Stays {
            self.world.operated();
        }
        self.world.operated();
        Ok(())
    }

    fn comes_in(&mut self, process: &Process, back: Option<Seat>, first: &Value) -> Result<(), Broken> {
        if first["welcome"].is_object() {
            self.welcomed(process, back, &first["welcome"]);
            return Ok(());
        }
        self.turned_away(process, back, first);
        Err(Broken)
    }

    fn hello(&mut self, back: Option<Seat>) -> Value {
        if let Some(seat) = back {
            self.world.update(self.number, |seat| seat.attempt += 1);
            return json!({"resume": {"token": seat.token, "attempt": seat.attempt + 1}});
        }
        // Always the same two, so that its seat, if an old snapshot brings it back, is its own again.
        self.key = document_key((self.number + self.random.below(2)) % DOCUMENTS).to_string();
        let mode = if self.random.one_in(6) { "view" } else { "edit" };
        json!({"open": {"key": self.key, "user": self.user(), "mode": mode}})
    }

    fn user(&self) -> String {
        format!("user-{}", self.number)
    }

    /// The access that the host has to give to one who comes back, if it may not be turned away.
    fn promised(&self, process: &Process, seat: &Seat) -> Option<Access> {
        if seat.process == process.number {
            return (seat.heard.elapsed() < GRACE).then_some(seat.access);
        }
        let access = process.promised.get(&self.number).copied();
        access.filter(|_| Instant::now() < process.promised_until)
    }

    fn welcomed(&mut self, process: &Process, back: Option<Seat>, welcome: &Value) {
        let access: Access = from_value(welcome["access"].clone()).expect("an access");
        if let Some(seat) = back {
            let promised = self.promised(process, &seat);
            if promised.is_some_and(|promised| access < promised) {
                self.fault(process, &format!("{promised:?} was promised, but it got {access:?}"));
            }
            if seat.process != process.number {
                if !process.promised.contains_key(&self.number) {
                    self.fault(process, "its token was accepted, but is not in the snapshot");
                }
                self.world.count(|counts| {
                    counts.came_back += 1;
                    counts.late += u64::from(promised.is_none());
                    counts.came_back_to_edit += u64::from(access == Access::Edit);
                });
            }
        }
        let token = from_value(welcome["token"].clone()).expect("a token");
        let attempt = back.map_or(0, |seat| seat.attempt + 1);
        let (since, heard) = (SystemTime::now(), Instant::now());
        let seat = Seat { token, attempt, access, since, process: process.number, heard };
        self.world.take_seat(self.number, Some(seat));
        self.has(process, access);
    }

    fn turned_away(&mut self, process: &Process, back: Option<Seat>, answer: &Value) {
        let Some(seat) = back else {
            return self.fault(process, &format!("its open was answered {answer}"));
        };
        if let Some(promised) = self.promised(process, &seat) {
            self.fault(process, &format!("{promised:?} was promised, but its resume was answered {answer}"));
        }
        if seat.process != process.number {
            self.world.count(|counts| counts.turned_away += 1);
        }
        self.world.take_seat(self.number, None);
    }

    fn fault(&self, process: &Process, what: &str) {
        let seat = self.world.seat(self.number);
        self.world.fault(format!("client {} of process {}: {what}; {seat:?}", self.number, process.number));
    }

    /// It was told its access.
    fn has(&mut self, process: &Process, access: Access) {
        if self.gives_back && access == Access::Edit {
            return;
        }
        (self.gives_back, self.edits) = (false, access == Access::Edit);
        self.world.update(self.number, |seat| (seat.access, seat.since) = (access, SystemTime::now()));
        if self.edits {
            self.world.gains(self.number, process.number);
        } else {
            self.world.loses(self.number);
        }
    }

    /// Does one thing.
    async fn work(&mut self, process: &Process, socket: &mut Socket) -> Result<Then, Broken> {
        match self.random.below(40) {
            0 => return self.closes(socket).await,
            1 | 2 => return Ok(self.cuts()),
            3 => return self.resumes_on_another_line(process, socket).await,
            4 | 5 if self.edits => self.gives_back(process, socket).await?,
            6..=9 if self.edits => say(socket, &json!({"save": true})).await?,
            4..=15 if !self.edits => {
                self.world.count(|counts| counts.asked_to_edit += 1);
                say(socket, &json!({"requestEdit": true})).await?;
            }
            10..=29 if self.edits => self.changes(process, socket).await?,
            _ => {}
        }
        self.listens(process, socket).await?;
        Ok(Then::Stays)
    }

    /// The line that it leaves is still alive when it resumes.
    async fn resumes_on_another_line(
        &mut self,
        process: &Process,
        socket: &mut Socket,
    ) -> Result<Then, Broken> {
        self.world.loses(self.number);
        self.world.update(self.number, |seat| seat.heard = Instant::now());
        let other = connect_async(format!("ws://{}/ws", process.address)).await.map_err(|_| Broken)?.0;
        self.twin = Some(std::mem::replace(socket, other));
        let back = self.world.seat(self.number);
        say(socket, &self.hello(back)).await?;
        let first = self.hear(socket).await?;
        self.twin = None;
        self.comes_in(process, back, &first).map(|()| Then::Stays)
    }

    /// Closes its tab on purpose, and waits until the host has heard it.
    async fn closes(&mut self, socket: &mut Socket) -> Result<Then, Broken> {
        self.world.loses(self.number);
        self.world.take_seat(self.number, None);
        say(socket, &json!({"close": true})).await?;
        let end = async { while socket.next().await.is_some_and(|message| message.is_ok()) {} };
        if timeout(PATIENCE, end).await.is_err() {
            self.world.fault("the host does not close".to_owned());
        }
        Ok(Then::Leaves)
    }

    /// Loses the line. Mostly it comes back while it has its seat.
    fn cuts(&mut self) -> Then {
        self.world.loses(self.number);
        self.world.update(self.number, |seat| seat.heard = Instant::now());
        self.away = if self.random.one_in(10) { GRACE } else { self.up_to(150) };
        Then::Leaves
    }

    /// Gives its edit access back, or is dropped at its own wish.
    async fn gives_back(&mut self, process: &Process, socket: &mut Socket) -> Result<(), Broken> {
        self.world.loses(self.number);
        self.gives_back = true;
        self.world.update(self.number, |seat| (seat.access, seat.since) = (Access::View, SystemTime::now()));
        if self.random.one_in(2) {
            say(socket, &json!({"releaseEdit": true})).await?;
        } else {
            let drop = json!({"c": "drop", "key": self.key, "users": [self.user()]});
            let url = format!("http://{}/command", process.address);
            self.http.post(url).body(drop.to_string()).send().await.map_err(|_| Broken)?;
        }
        while self.gives_back {
            let message = self.hear(socket).await?;
            self.note(process, &message)?;
        }
        Ok(())
    }

    async fn changes(&mut self, process: &Process, socket: &mut Socket) -> Result<(), Broken> {
        self.changes += 1;
        let text = format!("change {} of {}: {}", self.changes, self.user(), "A line. ".repeat(500));
        self.world.history(|history| history.sends(&self.key, &text));
        say(socket, &json!({"change": {"text": text}})).await?;
        loop {
            let message = self.hear(socket).await?;
            if message["changed"] == true {
                self.world.history(|history| history.hears(&text));
                self.world.count(|counts| counts.changes += 1);
                return Ok(());
            }
            if message["refused"].is_string() && message["text"].is_string() {
                self.fault(process, &format!("it may edit, but hears {}", message["refused"]));
                return Err(Broken);
            }
            self.note(process, &message)?;
        }
    }

    /// Hears what there is for a while.
    async fn listens(&mut self, process: &Process, socket: &mut Socket) -> Result<(), Broken> {
        let pause = sleep(self.up_to(30));
        tokio::pin!(pause);
        loop {
            let message = tokio::select! {
                () = &mut pause => return Ok(()),
                message = next(socket) => message?,
            };
            self.world.update(self.number, |seat| seat.heard = Instant::now());
            self.note(process, &message)?;
        }
    }

    fn note(&mut self, process: &Process, message: &Value) -> Result<(), Broken> {
        if let Ok(access) = from_value(message["access"]["access"].clone()) {
            self.has(process, access);
        }
        if message["end"].is_object() {
            self.world.loses(self.number);
            self.fault(process, &format!("the host ended its tab: {message}"));
            return Err(Broken);
        }
        Ok(())
    }

    /// The next message, which has to come.
    async fn hear(&mut self, socket: &mut Socket) -> Result<Value, Broken> {
        let Ok(message) = timeout(PATIENCE, next(socket)).await else {
            self.world.fault(format!("client {} hears nothing", self.number));
            return Err(Broken);
        };
        let message = message?;
        if message["welcome"].is_null() && message["end"].is_null() {
            self.world.update(self.number, |seat| seat.heard = Instant::now());
        }
        Ok(message)
    }
}

async fn say(socket: &mut Socket, message: &Value) -> Result<(), Broken> {
    socket.send(Message::text(message.to_string())).await.map_err(|_| Broken)
}

async fn next(socket: &mut Socket) -> Result<Value, Broken> {
    loop {
        match socket.next().await.ok_or(Broken)?.map_err(|_| Broken)? {
            Message::Text(text) => return serde_json::from_str(&text).map_err(|_| Broken),
            Message::Close(_) => return Err(Broken),
            _ => {}
        }
    }
}
