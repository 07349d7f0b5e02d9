//! One request to the API server: never without a limit of time, and with an error that says what
//! to do about it.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use kube::core::Status;

/// How long one request may take. The client itself waits for TCP to give up, which takes minutes.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request did not do what it was for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer in time. Whether the request took effect is not known.
    #[error("the API server did not answer within {0:?}")]
    TimedOut(Duration),
    /// The connection failed or the server is not able to answer now (5xx).
    #[error("the API server cannot be reached: {0}")]
    Unavailable(String),
    /// The server asks to come back later (429).
    #[error("the API server is overloaded{}", retry_text(*.retry_after))]
    TooManyRequests {
        /// When to come back, if the server said so.
        retry_after: Option<Duration>,
    },
    /// The credentials are not accepted (401).
    #[error("the API server does not accept the credentials: {0}; check the kubeconfig or token")]
    Unauthorized(String),
    /// A permission is missing (403).
    #[error("a permission is missing: {0}; apply manifests/install.yaml of this version")]
    Forbidden(String),
    /// There is no such object, or no such kind (404).
    #[error("not found: {0}")]
    NotFound(String),
    /// An object of this name exists (409).
    #[error("it exists already: {0}")]
    AlreadyExists(String),
    /// The object was changed in between (409): read it again and decide again.
    #[error("it was changed in between: {0}")]
    Conflict(String),
    /// The resourceVersion is too old (410): list again.
    #[error("too old: {0}")]
    Gone(String),
    /// The server refuses the content (400, 422).
    #[error("the API server refuses it: {0}")]
    Invalid(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

fn retry_text(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!(" and asks to wait {after:?}"))
}

impl CallError {
    /// Whether the same request may succeed later, though nothing about it changes.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::TimedOut(_) | Self::Unavailable(_) | Self::TooManyRequests { .. }
        )
    }
}

impl From<&Status> for CallError {
    fn from(status: &Status) -> Self {
        let text = || status.message.clone();
        match (status.code, status.reason.as_str()) {
            (401, _) => Self::Unauthorized(text()),
            (403, _) => Self::Forbidden(text()),
            (404, _) => Self::NotFound(text()),
            (409, "AlreadyExists") => Self::AlreadyExists(text()),
            (409, _) => Self::Conflict(text()),
            (410, _) => Self::Gone(text()),
            (400 | 422, _) => Self::Invalid(text()),
            (429, _) => Self::TooManyRequests {
                retry_after: status
                    .details
                    .as_ref()
                    .map(|details| u64::from(details.retry_after_seconds))
                    .filter(|&seconds| seconds > 0)
                    .map(Duration::from_secs),
            },
            (500..=599, _) => Self::Unavailable(text()),
            _ => Self::Other(text()),
        }
    }
}

impl From<&kube::Error> for CallError {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from(&**status),
            kube::Error::Service(_)
            | kube::Error::HyperError(_)
            | kube::Error::ReadEvents(_)
            | kube::Error::RustlsTls(_) => Self::Unavailable(cause(error)),
            kube::Error::Auth(_) => Self::Unauthorized(cause(error)),
            error => Self::Other(error.to_string()),
        }
    }
}

/// The innermost cause, which is the one that a person understands ("Connection refused").
fn cause(error: &kube::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if error.source().is_none() {
        return error.to_string();
    }
    innermost.to_string()
}

/// Waits for `request`, at most `limit`.
pub async fn with_timeout<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(limit, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(CallError::from(&error)),
        Err(_) => Err(CallError::TimedOut(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_by_its_code_and_reason() {
        let error =
            |code, reason| CallError::from(&Status::failure("text", reason).with_code(code));
        assert_eq!(
            error(409, "AlreadyExists"),
            CallError::AlreadyExists("text".into())
        );
        assert_eq!(error(409, "Conflict"), CallError::Conflict("text".into()));
        assert_eq!(
            error(503, "ServiceUnavailable"),
            CallError::Unavailable("text".into())
        );
        assert!(error(429, "TooManyRequests").is_transient());
        assert!(error(504, "Timeout").is_transient());
        assert!(!error(403, "Forbidden").is_transient());
        assert!(
            error(403, "Forbidden")
                .to_string()
                .contains("manifests/install.yaml")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_ends() {
        let limit = Duration::from_secs(5);
        let answer = with_timeout::<()>(limit, std::future::pending()).await;
        assert_eq!(answer, Err(CallError::TimedOut(limit)));
    }
}
