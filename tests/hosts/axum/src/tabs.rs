//! A tab: one WebSocket and one connection of the engine.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use coedit::{
    Access, Connection, DocumentKey, EditRequest, Grant, Notice, OpenError, Presence, ResumeError,
    ResumeToken, User, UserId,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, timeout};

use crate::Host;

/// The longest message of a client, in bytes.
const MESSAGE_MAX: usize = 1 << 20;
/// How many messages wait for a client. One that takes longer to read them has lost the line.
const QUEUE: usize = 256;
/// After so long a write that makes no progress, or a client that answers no ping, is a broken line.
const SILENCE: Duration = Duration::from_secs(30);

/// What a client says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum FromClient {
    Open { key: DocumentKey, user: UserId, name: Option<String>, mode: Access },
    Resume { token: String, attempt: u64 },
    Change { text: String },
    RequestEdit(bool),
    ReleaseEdit(bool),
    Touch(bool),
    Save(bool),
    Close(bool),
}

/// What is queued for a tab.
#[derive(Clone)]
pub enum ToTab {
    /// A message for the client.
    Message(Utf8Bytes),
    /// The access may have changed, for this cause. What it is now is asked when it is sent, so that the last word is true.
    Access(Option<Value>),
    /// The engine closed the connection.
    End(u16),
}

impl ToTab {
    pub fn message(message: Value) -> Self {
        ToTab::Message(message.to_string().into())
    }
}

/// Passes a notice of the engine on to the tabs that it is about.
pub fn route(host: &Host, notice: Notice) {
    let (key, to, what) = match notice {
        Notice::Dropped { connection, key, cause, .. } => {
            (key, Some(connection), ToTab::Access(Some(json!(cause))))
        }
        Notice::Access { connection, key, cause, .. } => {
            (key, Some(connection), ToTab::Access(Some(json!(cause))))
        }
        Notice::Expiring { connection, key, code, in_ms, .. } => {
            let expiring = json!({ "expiring": { "code": code, "in_ms": in_ms } });
            (key, Some(connection), ToTab::message(expiring))
        }
        Notice::Disconnected { connection, key, code: Some(code), .. } => {
            (key, Some(connection), ToTab::End(code))
        }
        Notice::Joined(Presence { key, .. })
        | Notice::Left(Presence { key, .. })
        | Notice::Changed(Presence { key, .. }) => {
            let users = json!({ "users": users(host, &key) });
            (key, None, ToTab::message(users))
        }
        Notice::Meta { key, title } => (key, None, ToTab::message(json!({ "title": title }))),
        Notice::Storage { key, status, .. } => {
            (key, None, ToTab::message(json!({ "storage": { "status": status } })))
        }
        Notice::Missed { .. } => return host.remove_tabs(),
        _ => return, // levels of limits, saves, and lost tabs whose time is over
    };
    host.with(&key, |document| document.send(to, &what));
}

/// Returns who is in a document, and with which access.
fn users(host: &Host, key: &DocumentKey) -> Value {
    let users = host.engine.participants(key).into_iter();
    users.map(|one| json!({ "user": one.user.id(), "access": one.access })).collect()
}

/// How a tab ends.
enum End {
    /// The client left on purpose.
    Left,
    /// The line broke.
    Lost,
    /// The engine or the host ends it.
    Code(u16),
}

/// The WebSocket codes that the host gives itself. Those of the engine are in its notices.
const MALFORMED: u16 = 1008;
const RESTART: u16 = 1012;
const TRY_LATER: u16 = 1013;
/// The token names nothing any more. The client opens the document anew.
const UNKNOWN_TOKEN: u16 = 4004;
const SUPERSEDED: u16 = 4010;

/// `GET /ws`
pub async fn upgrade(State(host): State<Arc<Host>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(MESSAGE_MAX).on_upgrade(move |socket| serve(socket, host))
}

async fn serve(mut socket: WebSocket, host: Arc<Host>) {
    // From here on the host waits for this tab when it stops.
    let stopping = host.stopping.subscribe();
    let mut heard = Instant::now();
    let first = timeout(SILENCE, receive(&mut socket, &mut heard)).await;
    let Ok(Some(Ok(first))) = first else { return close(socket, MALFORMED).await };
    let (connection, key) = match enter(&host, first) {
        Ok(entered) => entered,
        Err(code) => return close(socket, code).await,
    };
    let mut tab = Tab { host, socket, connection, key, shown: Map::new(), heard };
    let Err(end) = tab.talk(stopping).await;
    tab.host.leave(&tab.key, tab.connection.id());
    match end {
        End::Left => tab.connection.close(),
        // It keeps its seat for the grace, unless the engine has closed it meanwhile.
        End::Lost => drop(tab.connection.lost()),
        End::Code(code) => close(tab.socket, code).await,
    }
}

/// Opens or resumes a connection. Returns it and its document, or the code that ends the WebSocket.
fn enter(host: &Host, first: FromClient) -> Result<(Connection, DocumentKey), u16> {
    match first {
        FromClient::Open { key, user, name, mode } => {
            let mut user = User::from(user);
            if let Some(name) = name {
                user = user.named(&name).map_err(|_| MALFORMED)?;
            }
            let connection = host.engine.open(&key, &user, mode).map_err(|error| match error {
                OpenError::ShutDown => RESTART,
                _ => TRY_LATER,
            })?;
            Ok((connection, key))
        }
        FromClient::Resume { token, attempt } => {
            let (key, token) = token.split_once('/').ok_or(MALFORMED)?;
            let key: DocumentKey = key.parse().map_err(|_| MALFORMED)?;
            let token: ResumeToken = token.parse().map_err(|_| MALFORMED)?;
            let connection = host.engine.resume(&token, attempt).map_err(|error| match error {
                ResumeError::ShutDown => RESTART,
                ResumeError::Stale => SUPERSEDED,
                _ => UNKNOWN_TOKEN,
            })?;
            // The engine does not say of which document a resumed connection is. The client does, and may lie.
            let there = host.engine.connections(&key);
            let is_true = there.iter().any(|info| info.connection == connection.id());
            if is_true { Ok((connection, key)) } else { Err(MALFORMED) }
        }
        _ => Err(MALFORMED),
    }
}

struct Tab {
    host: Arc<Host>,
    socket: WebSocket,
    connection: Connection,
    key: DocumentKey,
    /// What the client knows of its access.
    shown: Map<String, Value>,
    /// When the client was last heard.
    heard: Instant,
}

impl Tab {
    /// Talks with the client until the tab ends.
    async fn talk(&mut self, mut stopping: watch::Receiver<bool>) -> Result<Infallible, End> {
        let (queue, mut outbox) = mpsc::channel(QUEUE);
        // First the tab hears of what happens, and then it asks what is. So nothing in between is missed.
        let (text, saved) = self.host.enter(&self.key, self.connection.id(), queue);
        self.welcome(&text, saved).await?;
        let mut ping = interval(SILENCE / 3);
        let mut place = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                message = receive(&mut self.socket, &mut self.heard) => match message {
                    None => return Err(End::Lost),
                    Some(Ok(message)) => self.hear(message).await?,
                    Some(Err(error)) => self.say(&json!({ "refused": error.to_string() })).await?,
                },
                // The queue ends if it was full.
                what = outbox.recv() => match what.ok_or(End::Lost)? {
                    ToTab::Message(message) => self.send(Message::Text(message)).await?,
                    ToTab::Access(cause) => self.show_access(cause).await?,
                    ToTab::End(code) => return Err(End::Code(code)),
                },
                // No notice says that those before in the line have left.
                _ = place.tick(), if self.shown.contains_key("position") => self.show_access(None).await?,
                _ = ping.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        return Err(End::Lost);
                    }
                    self.send(Message::Ping("".into())).await?;
                }
                _ = stopping.changed() => return Err(End::Code(RESTART)),
            }
        }
    }

    async fn welcome(&mut self, text: &str, saved: bool) -> Result<(), End> {
        self.shown = self.access();
        let token = self.connection.token().map(|token| format!("{}/{token}", self.key));
        let mut welcome = self.shown.clone();
        welcome.insert("connection".to_owned(), json!(self.connection.id().to_bits()));
        welcome.insert("token".to_owned(), json!(token));
        welcome.insert("text".to_owned(), json!(text));
        welcome.insert("saved".to_owned(), json!(saved));
        welcome.insert("users".to_owned(), users(&self.host, &self.key));
        self.say(&json!({ "welcome": welcome })).await
    }

    /// Does what the client asks for.
    async fn hear(&mut self, message: FromClient) -> Result<(), End> {
        if let FromClient::Close(_) = message {
            return Err(End::Left);
        }
        let answer = self.act(message).map_err(|error| error.to_string());
        if let Err(refused) = answer {
            self.say(&json!({ "refused": refused })).await?;
        }
        self.show_access(None).await
    }

    fn act(&self, message: FromClient) -> Result<(), Box<dyn Error>> {
        match message {
            // The answer is queued, so that it comes in the order of the changes.
            FromClient::Change { text } => self.host.change(&self.key, &self.connection, text),
            FromClient::RequestEdit(_) => {
                if let EditRequest::Refused(reason) = self.connection.request_edit()? {
                    return Err(format!("no edit access: {reason}").into());
                }
            }
            FromClient::ReleaseEdit(_) => self.connection.release_edit()?,
            FromClient::Touch(_) => self.connection.touch()?,
            FromClient::Save(_) => self.host.engine.press_save(self.connection.id())?,
            _ => return Err("the tab is open already".into()),
        }
        Ok(())
    }

    /// Asks the engine what the tab may do now.
    fn access(&self) -> Map<String, Value> {
        let mut access = Map::new();
        // `adopt` is the way to the reason. A connection that is gone has none, and its end is in the queue.
        if let Ok(twin) = self.host.engine.adopt(self.connection.id()) {
            let Grant { access: may, reason } = twin.granted();
            twin.into_id(); // the twin must not close the connection
            access.insert("access".to_owned(), json!(may));
            access.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
            access.extend(self.connection.position().map(|place| ("position".to_owned(), json!(place))));
        }
        access
    }

    /// Tells the client its access if it changed, or if there is a cause to tell.
    async fn show_access(&mut self, cause: Option<Value>) -> Result<(), End> {
        let access = self.access();
        if access.is_empty() || (access == self.shown && cause.is_none()) {
            return Ok(());
        }
        self.shown.clone_from(&access);
        let cause = cause.map(|cause| ("cause".to_owned(), cause));
        let message: Map<_, _> = access.into_iter().chain(cause).collect();
        self.say(&json!({ "access": message })).await
    }

    async fn say(&mut self, message: &Value) -> Result<(), End> {
        self.send(Message::Text(message.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let sent = timeout(SILENCE, self.socket.send(message)).await;
        sent.map_err(|_| End::Lost)?.map_err(|_| End::Lost)
    }
}

/// Returns the next message of the client, or `None` if the WebSocket has ended.
async fn receive(socket: &mut WebSocket, heard: &mut Instant) -> Option<serde_json::Result<FromClient>> {
    loop {
        let message = socket.recv().await?.ok()?;
        *heard = Instant::now();
        match message {
            Message::Text(text) => return Some(serde_json::from_str(&text)),
            Message::Close(_) => return None,
            _ => {} // an answer to a ping
        }
    }
}

/// Tells the client why the WebSocket ends, and ends it.
async fn close(mut socket: WebSocket, code: u16) {
    let end = json!({ "end": { "code": code } }).to_string();
    let last = [Message::Text(end.into()), Message::Close(Some(CloseFrame { code, reason: "".into() }))];
    for message in last {
        let _ = timeout(Duration::from_secs(1), socket.send(message)).await;
    }
}
