//! How the callback handlers of known hosts read a callback. Each model here relies on one thing, and fails where such a
//! handler would crash or would store something wrong.

use std::collections::BTreeMap;

use serde_json::Value;

/// An error stands for a handler that crashed or refused the callback.
pub(crate) type Read = Result<(), String>;

pub(crate) trait Handler {
    /// Reads one callback.
    fn read(&mut self, body: &Value) -> Read;
}

/// Reads the first of the `actions` where there are any, and nothing of the others.
#[derive(Debug, Default)]
pub(crate) struct FirstAction {
    pub(crate) joined: Vec<String>,
    pub(crate) left: Vec<String>,
    /// The documents that this handler wants to have saved: a user left while others still edit.
    pub(crate) to_save: Vec<String>,
}

impl Handler for FirstAction {
    fn read(&mut self, body: &Value) -> Read {
        let Some(actions) = body.get("actions") else { return Ok(()) };
        let actions = actions.as_array().ok_or("actions is not an array")?;
        let first = actions.first().ok_or("actions is empty")?;
        if actions.len() > 1 {
            return Err("this handler never sees the second action".to_owned());
        }
        let user = text(first, "userid")?;
        match first["type"].as_u64() {
            Some(0) => self.left.push(user),
            Some(1) => self.joined.push(user),
            Some(2) => {}
            other => return Err(format!("an action of type {other:?}")),
        }
        if first["type"] == 0 && body["status"] == 1 {
            let users = body["users"].as_array().ok_or("users is not an array")?;
            if !users.contains(&first["userid"]) {
                self.to_save.push(text(body, "key")?);
            }
        }
        Ok(())
    }
}

/// Expects an action in every callback of status 1, and so fails on the answer to `info`.
#[derive(Debug, Default)]
pub(crate) struct AlwaysAnAction;

impl Handler for AlwaysAnAction {
    fn read(&mut self, body: &Value) -> Read {
        if body["status"] == 1 {
            text(&body["actions"][0], "userid")?;
        }
        Ok(())
    }
}

/// Keeps the list of editors of each document: that of the last callback of status 1.
#[derive(Debug, Default)]
pub(crate) struct EditorList {
    pub(crate) editors: BTreeMap<String, Vec<String>>,
    /// The most editors that a document had.
    pub(crate) most: usize,
}

impl EditorList {
    pub(crate) fn of(&self, key: &str) -> &[String] {
        self.editors.get(key).map_or(&[], Vec::as_slice)
    }
}

impl Handler for EditorList {
    fn read(&mut self, body: &Value) -> Read {
        let key = text(body, "key")?;
        match body["status"].as_u64() {
            Some(1) => {
                let users = body["users"].as_array().ok_or("users is not an array")?;
                let names = users.iter().map(|user| user.as_str().map(str::to_owned));
                let names: Vec<String> = names.collect::<Option<_>>().ok_or("a user is not a string")?;
                self.most = self.most.max(names.len());
                self.editors.insert(key, names);
            }
            Some(2..=4) => drop(self.editors.remove(&key)),
            _ => {}
        }
        Ok(())
    }
}

/// A version of a document in the host's storage.
#[derive(Debug, PartialEq)]
pub(crate) struct Version {
    pub(crate) status: u64,
    /// Who saved it: the first of `users`.
    pub(crate) author: String,
    /// When each turn began, and the user's id and name.
    pub(crate) turns: Vec<[String; 3]>,
}

/// Stores a version for each callback that carries a file, and shows who changed it and when.
#[derive(Debug, Default)]
pub(crate) struct VersionStore {
    pub(crate) versions: Vec<Version>,
}

impl Handler for VersionStore {
    fn read(&mut self, body: &Value) -> Read {
        let status = body["status"].as_u64().ok_or("no status")?;
        if ![2, 3, 6, 7].contains(&status) {
            return Ok(());
        }
        let author = body["users"][0].as_str().ok_or("nobody saved it")?.to_owned();
        let history = &body["history"];
        let version = text(history, "serverVersion")?;
        if major(&version).is_none_or(|major| major < 6) {
            return Err(format!("the history of version {version} has another form"));
        }
        let changes = history["changes"].as_array().ok_or("changes is not an array")?;
        let turns = changes.iter().map(turn).collect::<Result<_, _>>()?;
        self.versions.push(Version { status, author, turns });
        Ok(())
    }
}

/// The start of a turn, and the id and the name of its user.
fn turn(change: &Value) -> Result<[String; 3], String> {
    let created = text(change, "created")?;
    let shape: String = created.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape != "0000-00-00 00:00:00" {
        return Err(format!("no date and time: {created}"));
    }
    Ok([created, text(&change["user"], "id")?, text(&change["user"], "name")?])
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn text(object: &Value, member: &str) -> Result<String, String> {
    object[member].as_str().map(str::to_owned).ok_or_else(|| format!("no {member} in {object}"))
}
