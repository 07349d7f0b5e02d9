//! Logs: for people or as JSON, with a level that can be changed while the daemon runs.

use std::io::IsTerminal;

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// How the daemon logs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Logging")]
pub struct LogOptions {
    /// What is logged: error, warn, info, debug, trace, or a list such as info,kube=debug
    #[arg(
        long,
        env = "BELLWETHER_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: String,

    /// How it is written
    #[arg(
        long,
        env = "BELLWETHER_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "human"
    )]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people; coloured on a terminal.
    Human,
    /// An object of JSON on each line.
    Json,
}

/// A level that cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum LogLevelError {
    /// The text is no level and no list of them.
    #[error(
        "{text:?} is not a log level ({source}): write error, warn, info, debug, trace, or a list \
         such as info,kube=debug"
    )]
    Unreadable {
        /// What was asked for.
        text: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logs are set up already, or not set up any more.
    #[error("the log level cannot be set: {0}")]
    Unavailable(String),
}

/// The level that is in force. Clones share it.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Puts `text` in force, such as `debug` or `info,kube=debug`. On an error the old level stays.
    pub fn set(&self, text: &str) -> Result<(), LogLevelError> {
        self.0
            .reload(parse(text)?)
            .map_err(|error| LogLevelError::Unavailable(error.to_string()))
    }

    /// The level in force, as text that [`LogLevel::set`] takes.
    #[must_use]
    pub fn get(&self) -> String {
        self.0
            .with_current(ToString::to_string)
            .unwrap_or_else(|error| error.to_string())
    }
}

/// Starts logging to standard error for the whole process. Can be called once.
pub fn init(options: &LogOptions) -> Result<LogLevel, LogLevelError> {
    let (filter, handle) = reload::Layer::new(parse(&options.log_level)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match options.log_format {
        LogFormat::Human => lines
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // The library repeats at each try what `watch` and `call` say once, in words of ours.
    let repeated = ["kube_runtime::watcher", "kube_client::client::builder"];
    let ours = filter_fn(move |line| {
        let target = line.target();
        !repeated.iter().any(|prefix| target.starts_with(prefix))
    });
    tracing_subscriber::registry()
        .with(filter)
        .with(lines.with_filter(ours))
        .try_init()
        .map_err(|error| LogLevelError::Unavailable(error.to_string()))?;
    Ok(LogLevel(handle))
}

fn parse(text: &str) -> Result<EnvFilter, LogLevelError> {
    EnvFilter::builder()
        .parse(text)
        .map_err(|source| LogLevelError::Unreadable {
            text: text.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_cannot_be_read_leaves_the_old_one() {
        let (_layer, handle) = reload::Layer::new(parse("info").expect("a level"));
        let level = LogLevel(handle);
        level.set("debug").expect("a level");
        let error = level.set("kube=loud").expect_err("no level");
        assert!(
            error.to_string().contains("write error, warn, info"),
            "{error}"
        );
        assert_eq!(level.get(), "debug");
    }
}
