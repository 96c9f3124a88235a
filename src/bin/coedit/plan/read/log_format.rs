//! A log format of nginx, and the fields of a line that it describes.

use std::str::FromStr;

use super::report::quoted;

/// The value of `log_format` in a configuration of nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFormat {
    /// The variables in their order, each with the text before it.
    variables: Vec<(String, String)>,
    /// The text after the last variable.
    tail: String,
}

/// The format `combined`, followed by how long the request took.
const COMBINED_AND_TIME: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                                 \"$http_referer\" \"$http_user_agent\" $request_time";

impl Default for LogFormat {
    fn default() -> Self {
        COMBINED_AND_TIME.parse().unwrap_or(LogFormat { variables: Vec::new(), tail: String::new() })
    }
}

impl LogFormat {
    /// Returns the names of the variables.
    pub(super) fn names(&self) -> Vec<&str> {
        self.variables.iter().map(|(_, name)| name.as_str()).collect()
    }

    /// Splits a line into the values of the variables. A value ends where the text after it begins, so it cannot contain
    /// that text. nginx escapes quotes in values. The error says which variable is missing.
    pub(super) fn split<'a>(&self, line: &'a str) -> Result<Vec<&'a str>, String> {
        let mut values = Vec::with_capacity(self.variables.len());
        let mut rest = line;
        for (position, (before, name)) in self.variables.iter().enumerate() {
            let missing = || format!("{} has no ${name} of the log format", quoted(line));
            rest = rest.strip_prefix(before.as_str()).ok_or_else(missing)?;
            let after = self.variables.get(position + 1).map_or(&self.tail, |(text, _)| text);
            let end = if after.is_empty() { Some(rest.len()) } else { rest.find(after.as_str()) };
            // Without the text after it, the value may be the last one that the line has.
            let (value, more) = rest.split_at(end.unwrap_or(rest.len()));
            values.push(value);
            rest = more;
        }
        if rest == self.tail { Ok(values) } else { Err(format!("{} is not of the log format", quoted(line))) }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut variables, mut before) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('$') {
            before.push_str(literal);
            let (name, after) =
                variable(after).ok_or_else(|| format!("{} names no variable", quoted(after)))?;
            if before.is_empty() && !variables.is_empty() {
                return Err(format!(
                    "there must be a text before ${name}, to know where the value before it ends"
                ));
            }
            variables.push((std::mem::take(&mut before), name.to_owned()));
            rest = after;
        }
        if variables.is_empty() {
            return Err("a log format has variables, as in `$msec $status`".to_owned());
        }
        Ok(LogFormat { variables, tail: rest.to_owned() })
    }
}

/// Splits the name of a variable, which may be in braces, from what follows.
fn variable(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let end = text.find(|character| !is_part(character)).unwrap_or(text.len());
    Some(text.split_at(end)).filter(|(name, _)| !name.is_empty())
}
