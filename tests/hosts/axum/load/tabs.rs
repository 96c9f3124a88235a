//! The tabs: each is one task with one WebSocket at a time.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(10);

/// When what is opened.
#[derive(Clone, Debug)]
pub struct Plan {
    pub address: String,
    pub documents: u32,
    pub users: u32,
    pub start: Instant,
    pub all_open: Instant,
    pub end: Instant,
}

/// What the tabs saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// How long opens took while the tabs were opened, and afterwards.
    ramp: Vec<Duration>,
    steady: Vec<Duration>,
    edits: u64,
    sent: u64,
    texts: u64,
    refused: u64,
    broken: u64,
}

impl Plan {
    pub fn tabs(&self) -> u32 {
        self.documents * self.users
    }

    /// The moment at which a tab is opened first: one after the other, evenly.
    fn turn(&self, tab: u32) -> Instant {
        self.start + (self.all_open - self.start) * tab / self.tabs()
    }

    /// How long a tab that does not type stays: 10 to 30 s, spread so that the tabs do not move together.
    fn stay(tab: u32, visit: u32) -> Duration {
        Duration::from_secs(10) + Duration::from_millis(u64::from((tab * 7_919 + visit * 104_729) % 20_000))
    }
}

/// Starts a task for every tab. The first user of each document comes first, and is the one who types.
pub fn open_all(plan: &Plan) -> Vec<JoinHandle<Seen>> {
    (0..plan.tabs()).map(|tab| tokio::spawn(visits(plan.clone(), tab))).collect()
}

/// Opens a tab again and again until the end.
async fn visits(plan: Plan, tab: u32) -> Seen {
    let mut seen = Seen::default();
    let types = tab < plan.documents;
    sleep_until(plan.turn(tab).into()).await;
    for visit in 0.. {
        let until = if types { plan.end } else { plan.end.min(Instant::now() + Plan::stay(tab, visit)) };
        if let Err(error) = stay(&plan, tab, types, until, &mut seen).await {
            seen.broken += 1;
            eprintln!("tab {tab}: {error}");
        }
        if Instant::now() >= plan.end {
            break;
        }
    }
    seen
}

/// Opens the tab, stays until the moment, and closes it.
async fn stay(plan: &Plan, tab: u32, types: bool, until: Instant, seen: &mut Seen) -> Result<(), Error> {
    let (mut socket, _) = connect_async(format!("ws://{}/ws", plan.address)).await?;
    let start = Instant::now();
    let open = json!({"key": format!("document-{}", tab % plan.documents), "user": format!("user-{tab}"), "mode": "edit"});
    say(&mut socket, &json!({"open": open})).await?;
    let Ok(welcome) = timeout(PATIENCE, hear(&mut socket, "welcome")).await else {
        return Err(Error::AlreadyClosed);
    };
    seen.opened(plan, start, &welcome?);
    let second = Duration::from_secs(1);
    let mut typing = interval_at((start + second).into(), second);
    typing.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = next(&mut socket) => seen.note(&message?),
            _ = typing.tick(), if types => {
                seen.sent += 1;
                let text = format!("{} changes of tab {tab}. {}", seen.sent, "A line of text. ".repeat(10));
                say(&mut socket, &json!({"change": {"text": text}})).await?;
            }
            () = sleep_until(until.into()) => break,
        }
    }
    say(&mut socket, &json!({"close": true})).await?;
    socket.close(None).await?;
    // Its seat is free when the host has closed too.
    while timeout(PATIENCE, socket.next()).await.is_ok_and(|message| message.is_some()) {}
    Ok(())
}

async fn say(socket: &mut Socket, message: &Value) -> Result<(), Error> {
    socket.send(Message::text(message.to_string())).await
}

/// The next message from the host.
async fn next(socket: &mut Socket) -> Result<Value, Error> {
    loop {
        match socket.next().await.ok_or(Error::ConnectionClosed)?? {
            Message::Text(text) => return Ok(serde_json::from_str(&text).unwrap_or_default()),
            Message::Close(_) => return Err(Error::ConnectionClosed),
            _ => {}
        }
    }
}

/// Waits for a message of one kind.
async fn hear(socket: &mut Socket, kind: &str) -> Result<Value, Error> {
    loop {
        let mut message = next(socket).await?;
        if let Some(content) = message.get_mut(kind) {
            return Ok(content.take());
        }
    }
}

impl Seen {
    fn opened(&mut self, plan: &Plan, start: Instant, welcome: &Value) {
        let list = if start < plan.all_open { &mut self.ramp } else { &mut self.steady };
        list.push(start.elapsed());
        self.edits += u64::from(welcome["access"] == "edit");
    }

    fn note(&mut self, message: &Value) {
        self.texts += u64::from(message.get("text").is_some());
        self.refused += u64::from(message.get("refused").is_some());
    }

    pub fn add(&mut self, other: Self) {
        self.ramp.extend(other.ramp);
        self.steady.extend(other.steady);
        self.edits += other.edits;
        self.sent += other.sent;
        self.texts += other.texts;
        self.refused += other.refused;
        self.broken += other.broken;
    }

    pub fn print(&mut self, seconds: u64) {
        let opens = self.ramp.len() + self.steady.len();
        let Self { edits, sent, texts, refused, broken, .. } = *self;
        println!("{opens} opens, {edits} with edit access; {sent} changes sent, {texts} texts received");
        println!("{refused} changes refused, {broken} tabs broken");
        print_times("opens one after the other", &mut self.ramp);
        print_times(&format!("opens in the {seconds} s after"), &mut self.steady);
    }
}

fn print_times(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |per_cent: usize| times.get((times.len() * per_cent / 100).min(times.len().saturating_sub(1)));
    if let (Some(middle), Some(slow), Some(worst)) = (at(50), at(99), times.last()) {
        println!("{what}: {} opens, p50 {middle:.2?}, p99 {slow:.2?}, max {worst:.2?}", times.len());
    }
}
