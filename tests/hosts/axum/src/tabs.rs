//! A tab: one WebSocket, and one connection of the engine.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use coedit::{
    Access, Connection, DocumentKey, EditRequest, Notice, OpenError, Reason, ResumeError, User, UserId,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, timeout};

use crate::Host;

/// After so long a client that takes nothing, or answers no ping, has lost the line.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "what has no parameters says `true`")]
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

#[derive(Clone)]
pub enum ToTab {
    Say(Message),
    /// The access may have changed, for this cause. The tab asks the engine at the moment when it tells the client, so that
    /// its last word is true.
    Access(Value),
    End(u16),
}

pub fn say(message: &Value) -> ToTab {
    ToTab::Say(Message::Text(message.to_string().into()))
}

/// Passes a notice of the engine on to the tabs that it is about.
pub fn route(host: &Host, notice: Notice) {
    let (key, to, what) = match notice {
        Notice::Dropped { connection, key, cause, .. } => {
            (key, Some(connection), ToTab::Access(json!(cause)))
        }
        Notice::Access { connection, key, cause, .. } => (key, Some(connection), ToTab::Access(json!(cause))),
        Notice::Disconnected { connection, key, code: Some(code), .. } => {
            (key, Some(connection), ToTab::End(code))
        }
        Notice::Expiring { connection, key, code, in_ms, .. } => {
            (key, Some(connection), say(&json!({ "expiring": { "code": code, "in_ms": in_ms } })))
        }
        Notice::Joined(user) | Notice::Left(user) | Notice::Changed(user) => {
            let users = json!({ "users": users(host, &user.key) });
            (user.key, None, say(&users))
        }
        Notice::Meta { key, title } => (key, None, say(&json!({ "title": title }))),
        Notice::Storage { key, status, .. } => (key, None, say(&json!({ "storage": { "status": status } }))),
        // All tabs lose the line. They come back, and are told everything anew.
        Notice::Missed { .. } => return host.lock().values_mut().for_each(|document| document.tabs.clear()),
        _ => return, // levels of limits, saves, and lost tabs whose time is over
    };
    host.with(&key, |document| document.send(to, &what));
}

fn users(host: &Host, key: &DocumentKey) -> Value {
    let users = host.engine.participants(key).into_iter();
    users.map(|one| json!({ "user": one.user.id(), "access": one.access })).collect()
}

// How a tab ends, as codes of the WebSocket. Those of the engine come with its notices.
const LEFT: u16 = 1000;
const LOST: u16 = 1006;
const MALFORMED: u16 = 1008;
const RESTART: u16 = 1012;
const TRY_LATER: u16 = 1013;
const UNKNOWN_TOKEN: u16 = 4004;
const SUPERSEDED: u16 = 4010;

pub async fn upgrade(State(host): State<Arc<Host>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(1 << 20).on_upgrade(async move |mut socket| {
        let stopping = host.stopping.subscribe(); // a host that stops waits until this is gone
        let Err(code) = serve(&mut socket, &host, stopping).await;
        if code != LOST {
            let word = Message::Text(json!({ "end": { "code": code } }).to_string().into());
            for message in [word, Message::Close(Some(CloseFrame { code, reason: "".into() }))] {
                let _ = timeout(Duration::from_secs(1), socket.send(message)).await;
            }
        }
    })
}

async fn serve(socket: &mut WebSocket, host: &Host, stop: watch::Receiver<bool>) -> Result<Infallible, u16> {
    let first = timeout(SILENCE, receive(socket)).await.map_err(|_| MALFORMED)??;
    let (connection, key) = enter(host, first.ok_or(MALFORMED)?)?;
    let mut tab = Tab { host, socket, connection: &connection, key: &key, shown: None };
    let Err(code) = tab.talk(stop).await;
    host.with(&key, |document| document.tabs.remove(&connection.id()));
    if code == LOST {
        let _ = connection.lost(); // it keeps its seat for the grace
    } // else it is dropped, and so closed
    Err(code)
}

/// Opens or resumes the connection of a tab.
fn enter(host: &Host, first: FromClient) -> Result<(Connection, DocumentKey), u16> {
    match first {
        FromClient::Open { key, user, name, mode } => {
            let name = name.unwrap_or_else(|| user.to_string());
            let user = User::from(user).named(&name).map_err(|_| MALFORMED)?;
            let opened = host.engine.open(&key, &user, mode);
            let code = |error| if error == OpenError::ShutDown { RESTART } else { TRY_LATER };
            Ok((opened.map_err(code)?, key))
        }
        FromClient::Resume { token, attempt } => {
            let (key, token) = token.split_once('/').ok_or(MALFORMED)?;
            let key = key.parse().map_err(|_| MALFORMED)?;
            let resumed = host.engine.resume(&token.parse().map_err(|_| MALFORMED)?, attempt);
            let connection = resumed.map_err(|error| match error {
                ResumeError::ShutDown => RESTART,
                ResumeError::Stale => SUPERSEDED,
                _ => UNKNOWN_TOKEN,
            })?;
            // The engine does not tell which document this is. The client does, and could lie.
            let is_there =
                host.engine.connections(&key).iter().any(|there| there.connection == connection.id());
            if is_there { Ok((connection, key)) } else { Err(MALFORMED) }
        }
        _ => Err(MALFORMED),
    }
}

/// What a tab may do, why not more, and its place in the line.
type MayDo = (Access, Option<Reason>, Option<u32>);

struct Tab<'a> {
    host: &'a Host,
    socket: &'a mut WebSocket,
    connection: &'a Connection,
    key: &'a DocumentKey,
    /// What the client was told last.
    shown: Option<MayDo>,
}

impl Tab<'_> {
    async fn talk(&mut self, mut stop: watch::Receiver<bool>) -> Result<Infallible, u16> {
        let (queue, mut queued) = mpsc::channel(256);
        // First the tab hears what happens, and then it asks what is, so that it misses nothing in between.
        let (text, saved) = self.host.enter(self.key, self.connection.id(), queue);
        self.welcome(&text, saved).await?;
        let (mut ping, mut unanswered) = (interval(SILENCE / 3), 0);
        let mut look = interval(Duration::from_secs(1));
        loop {
            let waits = self.shown.is_some_and(|(_, _, position)| position.is_some());
            tokio::select! {
                message = receive(self.socket) => {
                    unanswered = 0;
                    if let Some(message) = message? { self.hear(message).await? }
                }
                what = queued.recv() => match what.ok_or(LOST)? {
                    ToTab::Say(message) => self.send(message).await?,
                    ToTab::Access(cause) => self.show_access(cause).await?,
                    ToTab::End(code) => return Err(code),
                },
                // No notice tells that somebody has left the line.
                _ = look.tick(), if waits => self.show_access(Value::Null).await?,
                _ = ping.tick() => {
                    unanswered += 1;
                    if unanswered > 3 { return Err(LOST) }
                    self.send(Message::Ping("".into())).await?;
                }
                _ = stop.changed() => return Err(RESTART),
            }
        }
    }

    async fn welcome(&mut self, text: &str, saved: bool) -> Result<(), u16> {
        self.shown = self.may_do();
        let (access, reason, position) = self.shown.ok_or(LOST)?;
        let token = self.connection.token().map(|token| format!("{}/{token}", self.key));
        let (connection, users) = (self.connection.id().to_bits(), users(self.host, self.key));
        self.send_json(&json!({ "welcome": {
            "connection": connection, "access": access, "reason": reason, "position": position,
            "token": token, "text": text, "saved": saved, "users": users,
        }}))
        .await
    }

    async fn hear(&mut self, message: FromClient) -> Result<(), u16> {
        if let FromClient::Close(_) = message {
            return Err(LEFT);
        }
        if let Err(refused) = self.act(message).map_err(|error| error.to_string()) {
            self.send_json(&json!({ "refused": refused })).await?;
        }
        self.show_access(Value::Null).await
    }

    fn act(&self, message: FromClient) -> Result<(), Box<dyn Error>> {
        match message {
            FromClient::Change { text } => self.host.change(self.key, self.connection, text),
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

    /// Asks the engine. `None` if the connection has ended, of which the tab hears.
    fn may_do(&self) -> Option<MayDo> {
        let twin = self.host.engine.adopt(self.connection.id()).ok()?; // the way to the reason
        let granted = twin.granted();
        twin.into_id(); // dropped, it would close the connection
        Some((granted.access, granted.reason, self.connection.position()))
    }

    /// Tells the client what it may do, if that changed or has a cause.
    async fn show_access(&mut self, cause: Value) -> Result<(), u16> {
        let Some(now) = self.may_do() else { return Ok(()) };
        if self.shown.replace(now) == Some(now) && cause.is_null() {
            return Ok(());
        }
        let (access, reason, position) = now;
        let told = json!({ "access": access, "reason": reason, "position": position, "cause": cause });
        self.send_json(&json!({ "access": told })).await
    }

    async fn send_json(&mut self, message: &Value) -> Result<(), u16> {
        self.send(Message::Text(message.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), u16> {
        timeout(SILENCE, self.socket.send(message)).await.map_err(|_| LOST)?.map_err(|_| LOST)
    }
}

/// Returns the next message of the client, or `None` for an answer to a ping.
async fn receive(socket: &mut WebSocket) -> Result<Option<FromClient>, u16> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map(Some).map_err(|_| MALFORMED),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(LOST),
        Some(Ok(_)) => Ok(None),
    }
}
