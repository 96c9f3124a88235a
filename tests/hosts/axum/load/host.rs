//! The host process under load.

use std::error::Error;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A host with a data folder of its own.
#[derive(Debug)]
pub struct Host {
    pub address: String,
    process: Child,
    id: Pid,
    _data: TempDir,
}

/// Raises the limit of open files as far as the system allows, for this process and the host that it starts.
pub fn raise_open_files() -> Result<(), Box<dyn Error>> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

impl Host {
    /// Starts the host that was built into the same target folder.
    pub async fn start(edit_connections: u32) -> Result<Self, Box<dyn Error>> {
        let this = std::env::current_exe()?;
        let folder = this.parent().and_then(|examples| examples.parent()).ok_or("no target folder")?;
        let data = tempfile::tempdir()?;
        let mut process = Command::new(folder.join("coedit-example-host"))
            .args(["--listen", "127.0.0.1:0", "--edit-connections", &edit_connections.to_string(), "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("no host in {}, build it first: {error}", folder.display()))?;
        let id = process.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or("the host has ended")?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no pipe")?).lines();
        let line = lines.next_line().await?.unwrap_or_default();
        let address = line.strip_prefix("listening on http://").ok_or("the host does not listen")?.to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { address, process, id, _data: data })
    }

    pub fn id(&self) -> i32 {
        self.id.as_raw_nonzero().get()
    }

    /// The CPU time that the host has used so far.
    pub fn cpu(&self) -> Result<Duration, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // After the name, which may hold blanks, come 11 other fields, then user and system time in ticks.
        let (_, fields) = stat.rsplit_once(')').ok_or("an odd stat file")?;
        let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks = times.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second()))
    }

    /// The most memory that the host has used.
    pub fn peak(&self) -> Result<String, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        Ok(line.ok_or("no peak")?.trim().to_owned())
    }

    pub async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        kill_process(self.id, Signal::TERM)?;
        let ended = self.process.wait().await?;
        if ended.success() { Ok(()) } else { Err(format!("the host ended with {ended}").into()) }
    }
}
