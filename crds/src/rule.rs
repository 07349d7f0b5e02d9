//! The rules about single objects, in CEL, so that the API server refuses what makes no sense, with
//! a sentence that says what to write instead.
//!
//! The controller checks all of it again: an object may be older than a rule, and CEL cannot compare
//! IPv6 addresses, so that a backwards IPv6 range is found by the controller only. Lists and texts
//! have a maximal length, because the API server bounds what a rule may cost.

use kube::core::{Message, Rule};
use schemars::{Schema, SchemaGenerator, json_schema};

/// How many entries a list may have.
pub const MOST_ENTRIES: usize = 32;

/// The longest text of a network or range: two IPv6 addresses written out in full.
const LONGEST_RANGE: usize = 83;

/// Whether the text is a range, in CEL.
const IS_RANGE: &str = "self.split('-').size() == 2 && self.split('-').all(p, isIP(p.trim()))";

/// A rule whose message is an expression too: it names what is wrong.
fn rule(expression: &str, message: &str) -> Rule {
    Rule::new(expression).message(Message::Expression(message.to_owned()))
}

/// The schema of `addresses`: at least one network or range, none inside another.
#[must_use]
pub fn addresses(_: &mut SchemaGenerator) -> Schema {
    let inside = "isCIDR(a) && self.exists(b, b != a && isCIDR(b) && cidr(b).containsCIDR(a))";
    let overlap = Rule::new(format!("self.all(a, !({inside}))"))
        .message("a network of the list is inside another: remove it");
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": MOST_ENTRIES, "items": range_schema(),
        "x-kubernetes-list-type": "set", "x-kubernetes-validations": [overlap],
    })
}

/// The schema of `exclude`: networks and ranges.
#[must_use]
pub fn exclude(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": MOST_ENTRIES, "items": range_schema(),
        "x-kubernetes-list-type": "set",
    })
}

/// A network by its first address, or a range of one family that is not backwards.
fn range_schema() -> Schema {
    let is_range = IS_RANGE;
    let end = |n: u8| format!("self.split('-')[{n}].trim()");
    let (first, last) = (end(0), end(1));
    // A number for each end; four octets are enough to compare IPv4 addresses.
    let number = |end: &str| {
        let weights = [16_777_216, 65_536, 256, 1];
        let octets = (0..4).map(|n| format!("int({end}.split('.')[{n}]) * {}", weights[n]));
        octets.collect::<Vec<_>>().join(" + ")
    };
    let rules = [
        rule(
            "!isIP(self)",
            "self + ' is a single address: write ' + self + (ip(self).family() == 4 ? '/32' : '/128')",
        ),
        rule(
            &format!("isIP(self) || isCIDR(self) || ({is_range})"),
            "'\"' + self + '\" is neither a network nor a range: write for example 192.0.2.0/24, \
             2001:db8::/64 or 192.0.2.10-192.0.2.20'",
        ),
        rule(
            "!isCIDR(self) || cidr(self) == cidr(self).masked()",
            "self + ' has host bits set: write the first address of the /' + self.split('/')[1] + \
             ' network, or a range'",
        ),
        rule(
            &format!("!({is_range}) || ip({first}).family() == ip({last}).family()"),
            "self + ' mixes IPv4 and IPv6: write a range of each'",
        ),
        rule(
            &format!(
                "!({is_range}) || ip({first}).family() != 4 || ip({last}).family() != 4 || {} <= {}",
                number(&first),
                number(&last)
            ),
            &format!("self + ' is backwards: write ' + {last} + '-' + {first}"),
        ),
    ];
    json_schema!({
        "type": "string", "maxLength": LONGEST_RANGE, "x-kubernetes-validations": rules,
    })
}

/// A duration.
#[must_use]
pub fn duration() -> Rule {
    rule(
        "self.matches('^([0-9]{1,9}(ms|s|m|h))+$')",
        "'\"' + self + '\" is no duration: write for example 30s, 10m or 1h30m'",
    )
}

/// The kernel's rules for the name of a link.
#[must_use]
pub fn link_names() -> Rule {
    let wrong = "!n.matches('^[^/ ]{1,15}$')";
    rule(
        &format!("self.all(n, !({wrong}))"),
        &format!(
            "'\"' + self.filter(n, {wrong})[0] + '\" cannot be the name of a link: write 1 to 15 \
             characters without blanks and slashes, such as eth0'"
        ),
    )
}

/// The schema of a list of label selectors, with the operators that there are.
#[must_use]
pub fn selectors(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": MOST_ENTRIES, "items": selector_schema(),
    })
}

/// The schema of a label selector, with the operators that there are.
#[must_use]
pub fn selector(_: &mut SchemaGenerator) -> Schema {
    selector_schema()
}

fn selector_schema() -> Schema {
    let rules = [Rule::new(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
    )
    .message("In and NotIn take at least one value, Exists and DoesNotExist take none")];
    json_schema!({
        "type": "object",
        "description": "A label selector: all of matchLabels and matchExpressions must hold.",
        "properties": {
            "matchLabels": {
                "type": "object", "maxProperties": MOST_ENTRIES,
                "description": "Labels that must be there with exactly these values.",
                "additionalProperties": {"type": "string", "maxLength": 63},
            },
            "matchExpressions": {
                "type": "array", "maxItems": MOST_ENTRIES,
                "description": "Further requirements.",
                "items": {
                    "type": "object", "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "type": "string", "minLength": 1, "maxLength": 317,
                            "description": "The label.",
                        },
                        "operator": {
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "How the label is compared with the values.",
                        },
                        "values": {
                            "type": "array", "maxItems": MOST_ENTRIES,
                            "description": "The values, for In and NotIn.",
                            "items": {"type": "string", "maxLength": 63},
                        },
                    },
                    "x-kubernetes-validations": rules,
                },
            },
        },
    })
}
