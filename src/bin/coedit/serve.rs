//! `coedit serve`: answers requests as they arrive, in real time.

use std::io::{self, Read, StdoutLock};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Clock, DocumentState, Engine, Snapshot, SystemClock};

use crate::failure::{NOT_SAVED, bad_argument};
use crate::input::CHUNK_BYTES;
use crate::options::ServeOptions;
use crate::output::{answer, flush};
use crate::snapshot;
use crate::summary::Summary;

pub(crate) fn run(options: &ServeOptions) -> io::Result<ExitCode> {
    let clock = Arc::new(SystemClock::new());
    let config = options.config().clock(clock.clone());
    let engine = match &options.restore {
        None => Engine::new(config).map_err(bad_argument)?,
        Some(path) => {
            Engine::restore(config, snapshot::read(path)?).map_err(|error| snapshot::refused(path, error))?
        }
    };
    let door = Door::new(engine, options.engine.acknowledge());
    let (started, output) = (Instant::now(), &options.engine.output);
    let stdout = io::stdout().lock();
    let mut server = Server {
        door,
        lines: Lines::default(),
        out: Vec::new(),
        stdout,
        quiet: output.quiet,
        unanswered: false,
    };
    let input = listen()?;
    server.serve(&input, &clock)?;
    let deadline = options.deadline();
    let code = match &options.snapshot {
        None => {
            server.shut_down(&input, deadline)?;
            exit_code(server.door.engine())
        }
        Some(path) => {
            snapshot::write(path, &server.suspend(&input, deadline)?)?;
            ExitCode::SUCCESS
        }
    };
    if output.quiet || output.json {
        Summary { door: &server.door, wall: started.elapsed() }.print(output, &mut server.stdout)?;
    }
    Ok(code)
}

/// What arrives from outside.
enum Arrived {
    Bytes(io::Result<Vec<u8>>),
    EndOfInput,
    /// SIGTERM or SIGINT.
    Signal,
}

struct Server {
    door: Door,
    lines: Lines,
    out: Vec<u8>,
    stdout: StdoutLock<'static>,
    quiet: bool,
    /// Whether nobody can acknowledge any more.
    unanswered: bool,
}

impl Server {
    /// Answers requests until the input ends or a signal arrives.
    fn serve(&mut self, input: &Receiver<Arrived>, clock: &SystemClock) -> io::Result<()> {
        loop {
            let next = self.door.tick(&mut self.out);
            self.flush()?;
            let pause = next.map_or(IDLE, |due| due.since(clock.now()));
            match input.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Arrived::Bytes(bytes)) => self.answer(&bytes?)?,
                Err(RecvTimeoutError::Disconnected) | Ok(Arrived::EndOfInput) => {
                    self.end_input();
                    return self.flush();
                }
                Ok(Arrived::Signal) => return Ok(()),
            }
        }
    }

    fn end_input(&mut self) {
        self.lines.end(|line| answer(&mut self.door, line, &mut self.out));
        self.unanswered = self.door.acknowledge() == Acknowledge::Manual;
    }

    /// Ends the engine. Until it has ended, requests that arrive are answered. Where nobody can acknowledge any more, it is
    /// enough that every save is handed out.
    fn shut_down(&mut self, input: &Receiver<Arrived>, deadline: Duration) -> io::Result<()> {
        self.door.begin_shutdown(deadline, &mut self.out);
        loop {
            self.door.tick(&mut self.out);
            self.flush()?;
            if self.door.report().is_some() || (self.unanswered && self.are_saves_handed_out()) {
                return Ok(());
            }
            self.answer_some(input)?;
        }
    }

    /// Suspends the engine. Until it has ended, acknowledgements are taken.
    fn suspend(&mut self, input: &Receiver<Arrived>, deadline: Duration) -> io::Result<Snapshot> {
        let engine = self.door.engine().clone();
        // What nobody can acknowledge any more is not waited for.
        let deadline = if self.unanswered { Duration::ZERO } else { deadline };
        let suspending = thread::spawn(move || engine.suspend(deadline));
        while !suspending.is_finished() {
            self.door.tick(&mut self.out);
            self.flush()?;
            self.answer_some(input)?;
        }
        suspending.join().map_err(|_| io::Error::other("the engine was not suspended"))
    }

    /// Answers what arrives within a moment.
    fn answer_some(&mut self, input: &Receiver<Arrived>) -> io::Result<()> {
        match input.recv_timeout(LOOK_AGAIN) {
            Ok(Arrived::Bytes(Ok(bytes))) => self.answer(&bytes)?,
            Ok(Arrived::EndOfInput) => self.end_input(),
            Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK_AGAIN),
            _ => {}
        }
        Ok(())
    }

    fn are_saves_handed_out(&self) -> bool {
        let handed_out = [DocumentState::Saving, DocumentState::Forgotten];
        self.door.engine().unsaved().iter().all(|document| handed_out.contains(&document.state))
    }

    fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Server { door, lines, out, stdout, quiet, .. } = self;
        let mut written = Ok(());
        lines.feed(bytes, |line| {
            answer(door, line, out);
            if out.len() > CHUNK_BYTES && written.is_ok() {
                written = flush(out, stdout, *quiet);
            }
        });
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        flush(&mut self.out, &mut self.stdout, self.quiet)
    }
}

/// The longest wait for input while the engine has no deadline.
const IDLE: Duration = Duration::from_secs(3600);
/// While the engine shuts down, its own thread makes callbacks ready. So often the door looks for them.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Names what is not saved on standard error.
fn exit_code(engine: &Engine) -> ExitCode {
    let remaining = engine.remaining().documents;
    for document in &remaining {
        let what = match document.state {
            DocumentState::Forgotten => "save given up",
            DocumentState::Telling => "not acknowledged",
            _ => "not saved",
        };
        eprintln!("coedit: {what}: {}", document.key);
    }
    if remaining.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NOT_SAVED) }
}

/// Listens to signals, and starts a thread that reads standard input, so that deadlines fall due while no input arrives.
fn listen() -> io::Result<Receiver<Arrived>> {
    let (sender, receiver) = sync_channel(16);
    let signals = sender.clone();
    // A full channel holds something that ends the wait for a signal too; the next signal tries again.
    let on_signal = move || drop(signals.try_send(Arrived::Signal));
    ctrlc::set_handler(on_signal).map_err(io::Error::other)?;
    thread::spawn(move || read(&sender));
    Ok(receiver)
}

fn read(sender: &SyncSender<Arrived>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut bytes = vec![0; CHUNK_BYTES];
        let arrived = match stdin.read(&mut bytes) {
            Ok(0) => Arrived::EndOfInput,
            Ok(count) => {
                bytes.truncate(count);
                Arrived::Bytes(Ok(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Arrived::Bytes(Err(error)),
        };
        let is_last = !matches!(arrived, Arrived::Bytes(Ok(_)));
        if sender.send(arrived).is_err() || is_last {
            return;
        }
    }
}
