//! Thousands of editor tabs on one host, from a second process over loopback.
//!
//! ```sh
//! cargo build --release && cargo run --release --example load -- --profile
//! ```
//!
//! It starts the host that lies beside it in the target folder, opens the tabs, lets some of them type and the others
//! close and open again, and prints how long an open took: from the connected WebSocket to the host's `welcome`. With
//! `--profile` it runs `perf` on the host and prints which share of the host's CPU time the engine has.

mod host;
mod profile;
mod tabs;

use std::time::{Duration, Instant};

use clap::Parser;
use host::Host;
use tabs::{Plan, Seen};

/// Opens many tabs on a host and measures.
#[derive(Debug, Parser)]
struct Options {
    /// How many documents are open.
    #[arg(long, default_value_t = 200)]
    documents: u32,
    /// How many users each document has, with one tab each; the first one types.
    #[arg(long, default_value_t = 10)]
    users: u32,
    /// How many edit connections the host allows.
    #[arg(long, default_value_t = 2_000)]
    edit_connections: u32,
    /// Seconds in which the tabs are opened one after the other.
    #[arg(long, default_value_t = 10)]
    ramp: u64,
    /// Seconds for which all tabs are open.
    #[arg(long, default_value_t = 45)]
    seconds: u64,
    /// Counts the samples of `perf` that are in the engine.
    #[arg(long)]
    profile: bool,
}

impl Options {
    fn plan(&self, address: String) -> Plan {
        let start = Instant::now();
        let all_open = start + Duration::from_secs(self.ramp);
        let end = all_open + Duration::from_secs(self.seconds);
        Plan { address, documents: self.documents, users: self.users, start, all_open, end }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    host::raise_open_files()?;
    let host = Host::start(options.edit_connections).await?;
    let plan = options.plan(host.address.clone());
    let tabs = tabs::open_all(&plan);
    tokio::time::sleep_until(plan.all_open.into()).await;
    let profile =
        if options.profile { Some(profile::Profile::start(host.id(), options.seconds)?) } else { None };
    let before = host.cpu()?;
    tokio::time::sleep_until(plan.end.into()).await;
    let used = host.cpu()?.saturating_sub(before);
    let mut seen = Seen::default();
    for tab in tabs {
        seen.add(tab.await?);
    }
    println!(
        "{} tabs on {} documents: {} type once a second, the others close after 10 to 30 s and open again",
        plan.tabs(),
        plan.documents,
        plan.documents
    );
    seen.print(options.seconds);
    let share = used.as_secs_f64() / Duration::from_secs(options.seconds).as_secs_f64() * 100.0;
    println!(
        "host: {used:.1?} of CPU time in {} s ({share:.0} % of a core), peak memory {}",
        options.seconds,
        host.peak()?
    );
    if let Some(profile) = profile {
        profile.finish().await?.print();
    }
    host.stop().await
}
