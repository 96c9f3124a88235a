//! `coedit serve`: answers requests as they arrive, in real time.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use coedit::door::{Door, Lines};
use coedit::{Clock, Engine, SystemClock};

use crate::failure::bad_argument;
use crate::input::CHUNK_BYTES;
use crate::options::EngineOptions;
use crate::output::{answer, flush};
use crate::summary::Summary;

pub(crate) fn run(options: &EngineOptions) -> io::Result<()> {
    let clock = Arc::new(SystemClock::new());
    let engine = Engine::new(options.config().clock(clock.clone())).map_err(bad_argument)?;
    let mut door = Door::new(engine, options.acknowledge());
    let (mut lines, mut out, mut stdout) = (Lines::default(), Vec::new(), io::stdout().lock());
    let started = Instant::now();
    let input = spawn_reader();
    loop {
        let next = door.tick(&mut out);
        flush(&mut out, &mut stdout, options.quiet)?;
        let pause = next.map_or(IDLE, |due| due.since(clock.now()));
        match input.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Ok(bytes) => {
                let mut written = Ok(());
                lines.feed(&bytes?, |line| {
                    answer(&mut door, line, &mut out);
                    if out.len() > CHUNK_BYTES && written.is_ok() {
                        written = flush(&mut out, &mut stdout, options.quiet);
                    }
                });
                written?;
            }
        }
    }
    lines.end(|line| answer(&mut door, line, &mut out));
    door.end(&mut out);
    flush(&mut out, &mut stdout, options.quiet)?;
    if options.quiet {
        eprint!("{}", Summary { door: &door, wall: started.elapsed() });
    }
    Ok(())
}

/// The longest wait for input while the engine has no deadline.
const IDLE: Duration = Duration::from_secs(3600);

/// Starts a thread that reads standard input, so that deadlines fall due while no input arrives.
fn spawn_reader() -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = sync_channel(16);
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut bytes = vec![0; CHUNK_BYTES];
            let read = match stdin.read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => {
                    bytes.truncate(count);
                    Ok(bytes)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let last = read.is_err();
            if sender.send(read).is_err() || last {
                return;
            }
        }
    });
    receiver
}
