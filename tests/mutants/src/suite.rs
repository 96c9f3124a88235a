//! The tests, one process each: which mutants each of them reaches, how long it takes, and whether it notices one.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wait_timeout::ChildExt;

use crate::cargo::{self, Suite};

/// A test with its usual time.
#[derive(Debug)]
pub struct Test {
    program: PathBuf,
    pub name: String,
    time: Duration,
}

/// All tests that reach a mutant, the fastest first.
#[derive(Debug)]
pub struct Tests {
    root: PathBuf,
    all: Vec<Test>,
    reaching: HashMap<u32, Vec<usize>>,
}

/// More memory than this, in kB, and a test is over.
const MEMORY: u32 = 8_000_000;

impl Test {
    fn command(&self, root: &Path) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")])
            .arg(&self.program)
            .args(["--exact", &self.name, "--test-threads=1"])
            .current_dir(root)
            .env("CARGO_MANIFEST_DIR", root)
            // What one change broke is not to be tried again with the next.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// How the test fails with the mutant on. Taking far longer than usual is failing: threads that wait for one that panicked
    /// wait for ever.
    fn notices(&self, root: &Path, mutant: u32) -> std::io::Result<Option<&'static str>> {
        let mut running = self.command(root).env("MUTANT", mutant.to_string()).spawn()?;
        let limit = self.time * 10 + Duration::from_secs(10);
        let Some(status) = running.wait_timeout(limit)? else {
            running.kill()?;
            running.wait()?;
            return Ok(Some("hangs"));
        };
        Ok((!status.success()).then_some("fails"))
    }
}

impl Tests {
    /// Builds the tests and runs each once without a mutant. All must pass.
    pub fn prepare(root: &Path, out: &Path, suite: &Suite, threads: usize) -> Result<Self, Box<dyn Error>> {
        let mut tests = Vec::new();
        for program in cargo::build_tests(root, out, suite)? {
            let listed =
                Command::new(&program).args(["--list", "--format=terse"]).current_dir(root).output()?;
            let listed = String::from_utf8(listed.stdout)?;
            for name in listed.lines().filter_map(|line| line.strip_suffix(": test")) {
                tests.push(Test { program: program.clone(), name: name.to_owned(), time: Duration::ZERO });
            }
        }
        let runs = in_parallel(&tests, threads, |index, test| {
            let reached = out.join(format!("reached-{index}"));
            let _ = fs::remove_file(&reached);
            let start = Instant::now();
            let status = test.command(root).env("MUTANTS_REACHED", &reached).status();
            let numbers = fs::read_to_string(&reached).unwrap_or_default();
            let _ = fs::remove_file(&reached);
            let numbers: Vec<u32> = numbers.lines().filter_map(|line| line.parse().ok()).collect();
            (status.is_ok_and(|status| status.success()), start.elapsed(), numbers)
        });
        let mut order: Vec<_> = runs.into_iter().zip(tests).collect();
        order.sort_by_key(|((_, time, _), _)| *time);
        let mut usable = Tests { root: root.to_owned(), all: Vec::new(), reaching: HashMap::new() };
        for ((passed, time, numbers), test) in order {
            if !passed {
                eprintln!("fails without a mutant, and is passed over: {}", test.name);
                continue;
            }
            for number in numbers {
                usable.reaching.entry(number).or_default().push(usable.all.len());
            }
            usable.all.push(Test { time, ..test });
        }
        Ok(usable)
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The time of all tests, one after the other.
    pub fn time(&self) -> Duration {
        self.all.iter().map(|test| test.time).sum()
    }

    pub fn reach(&self, mutant: u32) -> bool {
        self.reaching.contains_key(&mutant)
    }

    /// The first test that notices the mutant, and how.
    pub fn noticed_by(&self, mutant: u32) -> std::io::Result<Option<String>> {
        for index in self.reaching.get(&mutant).into_iter().flatten() {
            let test = &self.all[*index];
            if let Some(how) = test.notices(&self.root, mutant)? {
                return Ok(Some(format!("{} {how}", test.name)));
            }
        }
        Ok(None)
    }
}

/// Works through all items by some threads. The results have the order of the items.
pub fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(usize, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let one_thread = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(index, item)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one_thread)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
