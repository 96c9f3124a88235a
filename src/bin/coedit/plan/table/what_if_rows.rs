//! The rows about other settings.

use std::fmt;

use super::text::paragraph;
use crate::plan::percent::percent;
use crate::plan::what_if::{Replayed, WhatIf};

pub(super) fn write(f: &mut fmt::Formatter<'_>, what_if: &WhatIf) -> fmt::Result {
    let WhatIf { idle, document_connections, cases } = what_if;
    let idle = idle.map(|minutes| format!("a connection loses its access after {minutes} idle minutes"));
    let document = document_connections.map(|most| format!("a document has at most {most} connections"));
    let settings: Vec<String> = idle.into_iter().chain(document).collect();
    paragraph(f, "what if", &format!("{}; the trace was replayed:", settings.join(", and ")))?;
    for Replayed { connections, opens, fallbacks, share, peak } in cases {
        let name = connections.map_or("  no limit".to_owned(), |limit| format!("  under {limit}"));
        let all: u64 = fallbacks.values().sum();
        let reasons = fallbacks.iter().map(|(reason, count)| format!("{count} {reason}"));
        let reasons: Vec<String> = reasons.collect();
        let reasons = if all > 0 { format!(" ({})", reasons.join(", ")) } else { String::new() };
        let text = format!(
            "{all} of {opens} opens fall back, {}{reasons}; at most {peak} edit at one time",
            percent(*share)
        );
        paragraph(f, &name, &text)?;
    }
    Ok(())
}
