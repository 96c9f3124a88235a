//! The command service of a host that has workers of its own.

use super::labels::Labels;
use super::lines::LINE_MAX;
use super::request::{DoorCommand, Request};
use super::write::{LineWriter, Outcome};
use crate::engine::Engine;
use crate::error::ErrorCode;

/// JSON.
impl Engine {
    /// Answers one request of the command service, as a host receives it over HTTP: one JSON object in, one out.
    ///
    /// It answers `info`, `drop`, `forcesave`, `meta`, `version`, `license`, `getForgottenList`, `getForgotten` and
    /// `deleteForgotten`, and the engine's own commands that name no connection by a label: `would_admit`, `connections`,
    /// `holders`, `usage`, `stats`, `limits`, `setLimit`, `fence`, `unfence`, `fences`, `drain`, `undrain`, `remaining` and
    /// `retryForgotten`. The grammar is that of the [door](crate::door); anything else gets error 5. No callback is taken,
    /// so workers go on beside it, and a storage may send a command from inside its own callback handler.
    ///
    /// Whoever may send a request may do all of this: check who sends it first. The request may be at most
    /// [`LINE_MAX`] bytes. Costs what the [`Engine`] method of the command costs.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// let reply = engine.command(br#"{"c":"info","key":"report"}"#);
    /// assert_eq!(reply, br#"{"error":0,"key":"report","users":["ann"]}"#);
    /// assert_eq!(engine.command(b"not JSON"), br#"{"error":5}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn command(&self, request: &[u8]) -> Vec<u8> {
        let mut reply = Vec::new();
        let request = request.strip_prefix(b"\xef\xbb\xbf").unwrap_or(request);
        if request.len() > LINE_MAX {
            LineWriter(&mut reply).reply_object((None, None), &Err(ErrorCode::Command), &Labels::default());
            return reply;
        }
        let Request { id, key, command } = Request::parse(request);
        let outcome: Outcome = match command {
            Ok((DoorCommand::Engine(command), _)) => command.run(self),
            Ok(_) => Err(ErrorCode::Command),
            Err(error) => Err(error),
        };
        LineWriter(&mut reply).reply_object((key, id), &outcome, &Labels::default());
        reply
    }
}
