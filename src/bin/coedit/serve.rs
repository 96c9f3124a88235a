//! `coedit serve`: requests as they come, in real time.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use coedit::door::{Door, Lines};
use coedit::{Clock, Engine, SystemClock};

use crate::options::{Settings, refused};
use crate::summary::Summary;
use crate::{GATHERED, answer, flush};

pub(crate) fn run(settings: &Settings) -> io::Result<()> {
    let clock = Arc::new(SystemClock::new());
    let engine = Engine::new(settings.config().clock(clock.clone())).map_err(refused)?;
    let mut door = Door::new(engine, settings.acknowledge());
    let (mut lines, mut out, mut stdout) = (Lines::default(), Vec::new(), io::stdout().lock());
    let started = Instant::now();
    let input = read_aside();
    loop {
        let next = door.tick(&mut out);
        flush(&mut out, &mut stdout, settings.quiet)?;
        let pause = next.map_or(IDLE, |due| due.since(clock.now()));
        match input.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Ok(bytes) => {
                let mut written = Ok(());
                lines.feed(&bytes?, |line| {
                    answer(&mut door, line, &mut out);
                    if out.len() > GATHERED && written.is_ok() {
                        written = flush(&mut out, &mut stdout, settings.quiet);
                    }
                });
                written?;
            }
        }
    }
    lines.end(|line| answer(&mut door, line, &mut out));
    door.end(&mut out);
    flush(&mut out, &mut stdout, settings.quiet)?;
    if settings.quiet {
        eprint!("{}", Summary { door: &door, wall: started.elapsed() });
    }
    Ok(())
}

/// How long to wait for input while nothing has a deadline.
const IDLE: Duration = Duration::from_secs(3600);

/// Reads standard input on a thread of its own, so that time passes while nothing comes.
fn read_aside() -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = sync_channel(16);
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut bytes = vec![0; GATHERED];
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
