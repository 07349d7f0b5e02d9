//! How a daemon's `main` turns its result into an exit code: 0, or one clear line and 1.

use std::process::ExitCode;

/// Prints an error on one line of standard error. Its text is expected to name its cause.
pub fn code<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = error.to_string().replace('\n', " ");
            eprintln!("error: {line}");
            ExitCode::FAILURE
        }
    }
}
