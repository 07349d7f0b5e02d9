//! Reasons in one word, as conditions have them: closed lists, so that each of them can be explained
//! to an operator (`docs/troubleshooting.md`) and a test can find the one that is not.

/// Defines a closed list of reasons: an enum whose variants are the words.
///
/// It has `ALL`, every reason in the order of the list, and `as_str`, the word.
#[macro_export]
macro_rules! reasons {
    (
        $(#[$about:meta])*
        pub enum $name:ident { $($(#[$meaning:meta])* $reason:ident,)+ }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$meaning])* $reason,)+ }

        impl $name {
            /// Every reason of the list.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)+];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)+
                }
            }
        }
    };
}

/// The entries of a chapter of the guide for operators: its headings of the third level. For tests.
#[must_use]
pub fn entries<'a>(guide: &'a str, chapter: &str) -> Vec<&'a str> {
    guide
        .lines()
        .skip_while(|line| line.strip_prefix("## ") != Some(chapter))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("### "))
        .collect()
}
