//! Which share of the host's CPU time the engine has: `perf` takes a stack of the host again and again, and the stacks
//! with a function of the engine are counted.

use std::collections::HashMap;
use std::error::Error;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How many functions of the engine are printed.
const CALLS: usize = 8;

/// A running `perf record`.
#[derive(Debug)]
pub struct Profile {
    perf: Child,
    folder: TempDir,
}

/// Samples of the host's CPU time.
#[derive(Debug, Default)]
pub struct Samples {
    all: u64,
    engine: u64,
    /// The samples of the engine by the function through which the host came in.
    calls: HashMap<String, u64>,
}

impl Profile {
    /// Samples a process for some seconds.
    pub fn start(id: i32, seconds: u64) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let perf = Command::new("perf")
            .args(["record", "--quiet", "-e", "cpu-clock", "-F", "199", "--call-graph", "dwarf,16384"])
            .args(["-p", &id.to_string(), "-o"])
            .arg(folder.path().join("perf.data"))
            .args(["--", "sleep", &seconds.to_string()])
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("perf does not start: {error}"))?;
        Ok(Self { perf, folder })
    }

    /// Waits for the end and counts.
    pub async fn finish(mut self) -> Result<Samples, Box<dyn Error>> {
        self.perf.wait().await?;
        let mut script = Command::new("perf")
            .args(["script", "--fields", "ip,sym", "-i"])
            .arg(self.folder.path().join("perf.data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(script.stdout.take().ok_or("no pipe")?).lines();
        let mut samples = Samples::default();
        let mut stack = Vec::new();
        // A stack has one frame a line, the innermost first, and ends with an empty line.
        while let Some(line) = lines.next_line().await? {
            if line.trim().is_empty() {
                samples.count(&stack);
                stack.clear();
            } else {
                stack.push(line);
            }
        }
        samples.count(&stack);
        Ok(samples)
    }
}

impl Samples {
    fn count(&mut self, stack: &[String]) {
        self.all += u64::from(!stack.is_empty());
        if let Some(function) = stack.iter().rev().find_map(|frame| function_of_engine(frame)) {
            self.engine += 1;
            *self.calls.entry(function.to_owned()).or_default() += 1;
        }
    }

    pub fn print(&self) {
        println!(
            "engine: {} of the host's CPU time ({} of {} samples)",
            self.share(self.engine),
            self.engine,
            self.all
        );
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort_unstable_by(|a, b| b.1.cmp(a.1));
        for (function, samples) in calls.into_iter().take(CALLS) {
            println!("  {} {function}", self.share(*samples));
        }
    }

    fn share(&self, samples: u64) -> String {
        let per_mille = samples * 1_000 / self.all.max(1);
        format!("{}.{} %", per_mille / 10, per_mille % 10)
    }
}

/// Returns the function in a line such as `5581c0 coedit::engine::Engine::open (inlined)` if it is one of the engine, also
/// with `<` before its path.
fn function_of_engine(frame: &str) -> Option<&str> {
    let (_, function) = frame.trim().split_once(' ')?;
    function.trim_start_matches(['<', '&']).starts_with("coedit::").then_some(function)
}
