//! A tab: one WebSocket, and one connection of the engine.

use std::{convert::Infallible, error::Error, time::Duration};

use axum::extract::State;
use axum::extract::ws::close_code::{ABNORMAL as LOST, AGAIN, NORMAL as LEFT, POLICY as MALFORMED, RESTART};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use coedit::{Access, Connection, DocumentKey, EditRequest, Notice, ResumeError, ResumeToken, User, UserId};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use crate::{Host, Shared};

/// After so long a client that takes nothing, or answers no ping, has lost the line.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "what has no parameters says `true`")]
enum FromClient {
    Open { key: DocumentKey, user: UserId, name: Option<String>, mode: Access },
    Resume { token: ResumeToken, attempt: u64 },
    Change { text: String },
    RequestEdit(bool),
    ReleaseEdit(bool),
    Touch(bool),
    Save(bool),
    Close(bool),
}

pub fn say(message: &Value) -> Message {
    Message::Text(message.to_string().into())
}

/// Passes a notice of the engine on to the tabs that it is about.
pub fn route(host: &Host, notice: &Notice) {
    if let Notice::Missed { .. } = notice {
        // All tabs lose the line. They come back, and are told everything anew.
        return host.lock().values_mut().for_each(|document| document.tabs.clear());
    }
    let Some(key) = notice.key() else { return }; // the level of a limit
    let message = match notice {
        Notice::Dropped { connection, cause, .. } => return host.tell_access(key, *connection, json!(cause)),
        Notice::Access { connection, cause, .. } => return host.tell_access(key, *connection, json!(cause)),
        Notice::Saved { .. } => return host.tell_saved(key),
        Notice::Disconnected { code: Some(code), .. } => end(*code),
        Notice::Expiring { code, in_ms, .. } => say(&json!({ "expiring": { "code": code, "in_ms": in_ms } })),
        Notice::Joined(_) | Notice::Left(_) | Notice::Changed(_) => say(&json!({ "users": host.users(key) })),
        Notice::Meta { title, .. } => say(&json!({ "title": title })),
        Notice::Storage { status, .. } => say(&json!({ "storage": { "status": status } })),
        _ => return, // a lost tab whose time is over
    };
    host.with(key, |document| document.send(notice.connection(), &message));
}

/// The code with which the WebSocket ends. The engine's codes come in its notices; these are the host's own.
type Ended = Result<Infallible, u16>;
const UNKNOWN_TOKEN: u16 = 4004;
const SUPERSEDED: u16 = 4010;

fn end(code: u16) -> Message {
    Message::Close(Some(CloseFrame { code, reason: "".into() }))
}

pub async fn upgrade(State(host): Shared, upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(4096).max_message_size(1 << 20).on_upgrade(async move |mut socket| {
        let _running = host.stopping.subscribe(); // a host that stops waits until this is dropped
        let Err(code) = serve(&mut socket, &host).await;
        if code != LOST {
            let _ = send(&mut socket, say(&json!({ "end": { "code": code } }))).await;
            let _ = send(&mut socket, end(code)).await;
        }
    })
}

async fn serve(socket: &mut WebSocket, host: &Host) -> Ended {
    let first = timeout(SILENCE, receive(socket)).await.map_err(|_| MALFORMED)??;
    let (connection, key) = enter(host, first.ok_or(MALFORMED)?)?;
    let Err(code) = talk(socket, host, &connection, &key).await;
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
            Ok((host.engine.open(&key, &user, mode).map_err(|_| AGAIN)?, key))
        }
        FromClient::Resume { token, attempt } => {
            let connection = host.engine.resume(&token, attempt).map_err(|error| match error {
                ResumeError::ShutDown => RESTART,
                ResumeError::Stale => SUPERSEDED,
                _ => UNKNOWN_TOKEN,
            })?;
            let (key, _) = connection.owner().ok_or(UNKNOWN_TOKEN)?;
            Ok((connection, key))
        }
        _ => Err(MALFORMED),
    }
}

/// Passes messages on in both directions, until one side ends the tab.
async fn talk(socket: &mut WebSocket, host: &Host, tab: &Connection, key: &DocumentKey) -> Ended {
    let (mut queue, mut stopping) = (host.enter(key, tab), host.stopping.subscribe());
    let (mut look, mut ping, mut heard) = (interval(Duration::from_secs(1)), interval(SILENCE), true);
    loop {
        tokio::select! {
            biased; // what is queued goes first, so that nobody who types fast fills up its own queue
            true = async { stopping.wait_for(|stopping| *stopping).await.is_ok() } => return Err(RESTART),
            message = queue.recv() => match message.ok_or(LOST)? {
                Message::Close(Some(frame)) => return Err(frame.code),
                message => send(socket, message).await?,
            },
            // No notice tells that somebody has left the line.
            _ = look.tick() => if tab.position().is_some() {
                host.tell_access(key, tab.id(), Value::Null);
            },
            _ = ping.tick() => {
                if !std::mem::take(&mut heard) {
                    return Err(LOST);
                }
                send(socket, Message::Ping("".into())).await?;
            }
            message = receive(socket) => {
                heard = true;
                let Some(message) = message? else { continue };
                // All answers are queued, so that they are in the order of what happened.
                if let Err(refused) = hear(host, tab, key, message) {
                    let refused = say(&json!({ "refused": refused.to_string() }));
                    host.with(key, |document| document.send(Some(tab.id()), &refused));
                }
                host.tell_access(key, tab.id(), Value::Null);
            }
        }
    }
}

/// Does what the client asks for.
fn hear(host: &Host, tab: &Connection, key: &DocumentKey, message: FromClient) -> Result<(), Box<dyn Error>> {
    match message {
        FromClient::Change { text } => host.change(key, tab, text),
        FromClient::RequestEdit(_) => {
            if let EditRequest::Refused(reason) = tab.request_edit()? {
                return Err(format!("no edit access: {reason}").into());
            }
        }
        FromClient::ReleaseEdit(_) => tab.release_edit()?,
        FromClient::Touch(_) => tab.touch()?,
        FromClient::Save(_) => host.engine.press_save(tab.id())?,
        _ => return Err("the tab is open already".into()),
    }
    Ok(())
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), u16> {
    timeout(SILENCE, socket.send(message)).await.map_err(|_| LOST)?.map_err(|_| LOST)
}

/// Returns the next message of the client, or `None` for an answer to a ping.
async fn receive(socket: &mut WebSocket) -> Result<Option<FromClient>, u16> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => match serde_json::from_str(&text).map_err(|_| MALFORMED)? {
            FromClient::Close(_) => Err(LEFT),
            message => Ok(Some(message)),
        },
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(LOST),
        Some(Ok(_)) => Ok(None),
    }
}
