//! A tab: one WebSocket, and one connection of the engine.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use coedit::{
    Access, Connection, DocumentKey, EditRequest, Grant, Notice, OpenError, Reason, ResumeError, User, UserId,
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
#[expect(dead_code, reason = "the value of a message without parameters is always true")]
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
    Say(Utf8Bytes),
    /// The access may have changed, for this cause. The tab asks the engine when it tells the client, so that its last word
    /// is true.
    Access(Value),
    End(u16),
}

pub fn say(message: &Value) -> ToTab {
    ToTab::Say(message.to_string().into())
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
            let users = users(host, &user.key);
            (user.key, None, say(&json!({ "users": users })))
        }
        Notice::Meta { key, title } => (key, None, say(&json!({ "title": title }))),
        Notice::Storage { key, status, .. } => (key, None, say(&json!({ "storage": { "status": status } }))),
        Notice::Missed { .. } => return host.remove_tabs(), // they come back, and are told everything anew
        _ => return, // levels of limits, saves, and lost tabs whose time is over
    };
    host.with(&key, |document| document.send(to, &what));
}

fn users(host: &Host, key: &DocumentKey) -> Value {
    let users = host.engine.participants(key).into_iter();
    users.map(|one| json!({ "user": one.user.id(), "access": one.access })).collect()
}

/// How a tab ends.
enum End {
    Left,
    Lost,
    Code(u16),
}

const MALFORMED: End = End::Code(1008);
const RESTART: End = End::Code(1012);
const TRY_LATER: End = End::Code(1013);
const UNKNOWN_TOKEN: End = End::Code(4004);
const SUPERSEDED: End = End::Code(4010);

pub async fn upgrade(State(host): State<Arc<Host>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(1 << 20).on_upgrade(async move |mut socket| {
        // From here on a host that stops waits for this tab.
        let stopping = host.stopping.subscribe();
        let Err(end) = serve(&mut socket, &host, stopping).await;
        if let End::Code(code) = end {
            let word = Message::Text(json!({ "end": { "code": code } }).to_string().into());
            for message in [word, Message::Close(Some(CloseFrame { code, reason: "".into() }))] {
                let _ = timeout(Duration::from_secs(1), socket.send(message)).await;
            }
        }
    })
}

async fn serve(socket: &mut WebSocket, host: &Host, stop: watch::Receiver<bool>) -> Result<Infallible, End> {
    let first = timeout(SILENCE, receive(socket)).await.map_err(|_| MALFORMED)??;
    let (connection, key) = enter(host, first.ok_or(MALFORMED)?)?;
    let mut tab = Tab { host, socket, connection: &connection, key: &key, shown: None };
    let Err(end) = tab.talk(stop).await;
    host.with(&key, |document| document.tabs.remove(&connection.id()));
    if let End::Lost = end {
        let _ = connection.lost(); // it keeps its seat for the grace, unless the engine has closed it
    } // else it is dropped, and so closed
    Err(end)
}

/// Opens or resumes the connection of a tab.
fn enter(host: &Host, first: FromClient) -> Result<(Connection, DocumentKey), End> {
    match first {
        FromClient::Open { key, user, name, mode } => {
            let name = name.unwrap_or_else(|| user.to_string());
            let user = User::from(user).named(&name).map_err(|_| MALFORMED)?;
            let opened = host.engine.open(&key, &user, mode);
            let end = |error| if error == OpenError::ShutDown { RESTART } else { TRY_LATER };
            Ok((opened.map_err(end)?, key))
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
            // The engine does not say which document it is. The client does, and could lie.
            let is_there =
                host.engine.connections(&key).iter().any(|there| there.connection == connection.id());
            if is_there { Ok((connection, key)) } else { Err(MALFORMED) }
        }
        _ => Err(MALFORMED),
    }
}

struct Tab<'a> {
    host: &'a Host,
    socket: &'a mut WebSocket,
    connection: &'a Connection,
    key: &'a DocumentKey,
    /// The access, the reason why it is not more, and the place in the line, that the client knows.
    shown: Option<(Access, Option<Reason>, Option<u32>)>,
}

impl Tab<'_> {
    async fn talk(&mut self, mut stop: watch::Receiver<bool>) -> Result<Infallible, End> {
        let (queue, mut queued) = mpsc::channel(256);
        // First the tab is told what happens, and then it asks what is, so that it misses nothing in between.
        let (text, saved) = self.host.enter(self.key, self.connection.id(), queue);
        self.welcome(&text, saved).await?;
        let (mut ping, mut unanswered) = (interval(SILENCE / 3), 0);
        let mut place = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                message = receive(self.socket) => {
                    unanswered = 0;
                    if let Some(message) = message? {
                        self.hear(message).await?;
                    }
                }
                what = queued.recv() => match what {
                    Some(ToTab::Say(message)) => self.send(Message::Text(message)).await?,
                    Some(ToTab::Access(cause)) => self.show_access(cause).await?,
                    Some(ToTab::End(code)) => return Err(End::Code(code)),
                    None => return Err(End::Lost), // the queue was full
                },
                // No notice tells that somebody before it has left the line.
                _ = place.tick(), if self.shown.is_some_and(|(_, _, place)| place.is_some()) => {
                    self.show_access(Value::Null).await?;
                }
                _ = ping.tick() => {
                    unanswered += 1;
                    self.send(Message::Ping("".into())).await?;
                    if unanswered > 3 {
                        return Err(End::Lost);
                    }
                }
                _ = stop.changed() => return Err(RESTART),
            }
        }
    }

    async fn welcome(&mut self, text: &str, saved: bool) -> Result<(), End> {
        self.shown = self.access();
        let (access, reason, position) = self.shown.ok_or(End::Lost)?;
        let token = self.connection.token().map(|token| format!("{}/{token}", self.key));
        let (connection, users) = (self.connection.id().to_bits(), users(self.host, self.key));
        self.send_json(&json!({ "welcome": {
            "connection": connection, "access": access, "reason": reason, "position": position,
            "token": token, "text": text, "saved": saved, "users": users,
        }}))
        .await
    }

    async fn hear(&mut self, message: FromClient) -> Result<(), End> {
        if let FromClient::Close(_) = message {
            return Err(End::Left);
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

    /// Asks the engine what the tab may do now. `None` if its connection has ended, of which the tab hears.
    fn access(&self) -> Option<(Access, Option<Reason>, Option<u32>)> {
        let twin = self.host.engine.adopt(self.connection.id()).ok()?; // only so the engine tells the reason
        let Grant { access, reason } = twin.granted();
        twin.into_id(); // or it would close the connection
        Some((access, reason, self.connection.position()))
    }

    /// Tells the client what it may do, if that has changed or has a cause.
    async fn show_access(&mut self, cause: Value) -> Result<(), End> {
        let now = self.access();
        if now == self.shown && cause.is_null() {
            return Ok(());
        }
        self.shown = now;
        let Some((access, reason, position)) = now else { return Ok(()) };
        let told = json!({ "access": access, "reason": reason, "position": position, "cause": cause });
        self.send_json(&json!({ "access": told })).await
    }

    async fn send_json(&mut self, message: &Value) -> Result<(), End> {
        self.send(Message::Text(message.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let sent = timeout(SILENCE, self.socket.send(message)).await;
        sent.map_err(|_| End::Lost)?.map_err(|_| End::Lost)
    }
}

/// Returns the next message of the client, or `None` for a pong.
async fn receive(socket: &mut WebSocket) -> Result<Option<FromClient>, End> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map(Some).map_err(|_| MALFORMED),
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Lost),
        Some(Ok(_)) => Ok(None),
    }
}
