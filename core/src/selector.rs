//! Label selectors, with the meaning that Kubernetes gives them.
//!
//! A [`LabelSelector`] is built once from what a user wrote ([`SelectorSpec`]) and cannot hold an
//! operator that does not exist or a list of values that makes no sense. A selector without
//! requirements matches everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;

/// A selector as it is written in an object: `metav1.LabelSelector`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SelectorSpec {
    /// Labels that must be there with exactly these values.
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements, all of which must hold.
    pub match_expressions: Vec<ExpressionSpec>,
}

/// One requirement as it is written: `metav1.LabelSelectorRequirement`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpressionSpec {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values, for `In` and `NotIn` only.
    pub values: Vec<String>,
}

/// Why a selector makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// No label is named.
    #[error("a requirement names no label: write a key such as app.kubernetes.io/name")]
    NoKey,
    /// The operator does not exist.
    #[error(
        "the requirement on {key} has the operator {operator:?}: write In, NotIn, Exists or \
         DoesNotExist"
    )]
    UnknownOperator {
        /// The label.
        key: String,
        /// What is written.
        operator: String,
    },
    /// `In` or `NotIn` without values.
    #[error(
        "the requirement on {key} has the operator {operator} but no values: write at least one"
    )]
    ValuesMissing {
        /// The label.
        key: String,
        /// The operator.
        operator: String,
    },
    /// `Exists` or `DoesNotExist` with values.
    #[error(
        "the requirement on {key} has the operator {operator}, which takes no values: remove them, \
         or write In or NotIn"
    )]
    ValuesUnexpected {
        /// The label.
        key: String,
        /// The operator.
        operator: String,
    },
}

/// A selector that makes sense. Its text is that of `kubectl get --selector`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSelector {
    /// Sorted, without repetition, so that selectors that are written differently compare equal.
    requirements: BTreeSet<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Requirement {
    In {
        key: String,
        values: BTreeSet<String>,
    },
    NotIn {
        key: String,
        values: BTreeSet<String>,
    },
    Exists {
        key: String,
    },
    DoesNotExist {
        key: String,
    },
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Self::In { key, values } => labels.get(key).is_some_and(|value| values.contains(value)),
            // A label that is not there is in no list.
            Self::NotIn { key, values } => {
                !labels.get(key).is_some_and(|value| values.contains(value))
            }
            Self::Exists { key } => labels.get(key).is_some(),
            Self::DoesNotExist { key } => labels.get(key).is_none(),
        }
    }
}

impl LabelSelector {
    /// Whether an object with these `labels` is selected.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(labels))
    }
}

impl TryFrom<&SelectorSpec> for LabelSelector {
    type Error = SelectorError;

    fn try_from(spec: &SelectorSpec) -> Result<Self, Self::Error> {
        let mut requirements: BTreeSet<Requirement> = spec
            .match_labels
            .iter()
            .map(|(key, value)| Requirement::In {
                key: key.clone(),
                values: BTreeSet::from([value.clone()]),
            })
            .collect();
        for expression in &spec.match_expressions {
            requirements.insert(Requirement::try_from(expression)?);
        }
        Ok(Self { requirements })
    }
}

impl TryFrom<&ExpressionSpec> for Requirement {
    type Error = SelectorError;

    fn try_from(spec: &ExpressionSpec) -> Result<Self, Self::Error> {
        let ExpressionSpec {
            key,
            operator,
            values,
        } = spec.clone();
        if key.is_empty() {
            return Err(SelectorError::NoKey);
        }
        let has_values = !values.is_empty();
        let values: BTreeSet<String> = values.into_iter().collect();
        match (operator.as_str(), has_values) {
            ("In", true) => Ok(Self::In { key, values }),
            ("NotIn", true) => Ok(Self::NotIn { key, values }),
            ("Exists", false) => Ok(Self::Exists { key }),
            ("DoesNotExist", false) => Ok(Self::DoesNotExist { key }),
            ("In" | "NotIn", false) => Err(SelectorError::ValuesMissing { key, operator }),
            ("Exists" | "DoesNotExist", true) => {
                Err(SelectorError::ValuesUnexpected { key, operator })
            }
            _ => Err(SelectorError::UnknownOperator { key, operator }),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.requirements.is_empty() {
            return f.write_str("(everything)");
        }
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| {
            values
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(",")
        };
        match self {
            Self::In { key, values } if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Self::In { key, values } => write!(f, "{key} in ({})", list(values)),
            Self::NotIn { key, values } => write!(f, "{key} notin ({})", list(values)),
            Self::Exists { key } => f.write_str(key),
            Self::DoesNotExist { key } => write!(f, "!{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> ExpressionSpec {
        ExpressionSpec {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    fn selector(
        match_labels: &[(&str, &str)],
        match_expressions: &[ExpressionSpec],
    ) -> Result<LabelSelector, SelectorError> {
        LabelSelector::try_from(&SelectorSpec {
            match_labels: labels(match_labels).into(),
            match_expressions: match_expressions.to_vec(),
        })
    }

    #[test]
    fn match_labels_selects_what_has_them_all() {
        let web = labels(&[("app", "web"), ("tier", "front")]);
        for (sentence, wanted, selected) in [
            ("an empty selector selects everything", &[][..], true),
            ("the label with the value", &[("app", "web")][..], true),
            ("the label with another value", &[("app", "db")][..], false),
            ("a label that is missing", &[("zone", "a")][..], false),
            (
                "both labels",
                &[("app", "web"), ("tier", "front")][..],
                true,
            ),
            ("one of two", &[("app", "web"), ("tier", "back")][..], false),
        ] {
            let selector = selector(wanted, &[]).expect(sentence);
            assert_eq!(selector.matches(&web), selected, "{sentence}");
        }
    }

    #[test]
    fn match_expressions_select_what_kubernetes_would_select() {
        let with = labels(&[("app", "web")]);
        let without = labels(&[]);
        for (operator, values, with_web, with_none) in [
            ("In", &["db", "web"][..], true, false),
            ("In", &["db"][..], false, false),
            ("NotIn", &["db"][..], true, true),
            ("NotIn", &["db", "web"][..], false, true),
            ("Exists", &[][..], true, false),
            ("DoesNotExist", &[][..], false, true),
        ] {
            let sentence = format!("app {operator} {values:?}");
            let selector = selector(&[], &[expression("app", operator, values)]).expect(operator);
            assert_eq!(selector.matches(&with), with_web, "{sentence}, app=web");
            assert_eq!(
                selector.matches(&without),
                with_none,
                "{sentence}, no label"
            );
        }
    }

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let selector = selector(&[("app", "web")], &[expression("tier", "Exists", &[])]);
        let selector = selector.expect("valid");
        assert!(selector.matches(&labels(&[("app", "web"), ("tier", "front")])));
        assert!(!selector.matches(&labels(&[("app", "web")])));
        assert!(!selector.matches(&labels(&[("tier", "front")])));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_write() {
        for (bad, error) in [
            (
                expression("app", "Is", &["web"]),
                "the requirement on app has the operator \"Is\": write In, NotIn, Exists or \
                 DoesNotExist",
            ),
            (
                expression("app", "In", &[]),
                "the requirement on app has the operator In but no values: write at least one",
            ),
            (
                expression("app", "Exists", &["web"]),
                "the requirement on app has the operator Exists, which takes no values: remove \
                 them, or write In or NotIn",
            ),
            (
                expression("", "Exists", &[]),
                "a requirement names no label: write a key such as app.kubernetes.io/name",
            ),
        ] {
            assert_eq!(selector(&[], &[bad]).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn the_order_of_writing_means_nothing() {
        let one = selector(&[("app", "web")], &[expression("tier", "In", &["a", "b"])]);
        let other = selector(
            &[],
            &[
                expression("tier", "In", &["b", "a", "b"]),
                expression("app", "In", &["web"]),
            ],
        );
        assert_eq!(one, other);
        assert_eq!(one.expect("valid").to_string(), "app=web,tier in (a,b)");
    }
}
