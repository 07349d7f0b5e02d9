//! What is printed for people fits a page of a hundred columns.

use std::fmt::Write;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use textwrap::{Options, WordSeparator, WordSplitter, fill};

/// How many columns there are.
const COLUMNS: usize = 100;

/// A table without lines that fits the width.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_width(98);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table
}

/// Adds a table to `text`, a little to the right.
pub(crate) fn indent(text: &mut String, table: &Table) {
    for line in table.trim_fmt().lines() {
        let _never_fails = writeln!(text, " {}", line.trim_end());
    }
}

/// Adds a paragraph to `text`. Its first line begins after `margin` blanks, and the others two
/// further to the right. A word that is too long for a line has one for itself.
pub(crate) fn paragraph(text: &mut String, margin: usize, words: &str) {
    let (first, others) = (" ".repeat(margin), " ".repeat(margin + 2));
    let page = Options::new(COLUMNS)
        .initial_indent(&first)
        .subsequent_indent(&others)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    let words: Vec<&str> = words.split_whitespace().collect();
    let _never_fails = writeln!(text, "{}", fill(&words.join(" "), page));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_fits_the_page_and_loses_no_word() {
        let long = "x".repeat(120);
        for (sentence, words, lines) in [
            ("one word", "yes".to_owned(), 1),
            ("just as long as a line", "ab ".repeat(32) + "cd", 1),
            ("one word more", "ab ".repeat(33) + "cd", 2),
            ("a word that fits no line", format!("a {long} b"), 3),
        ] {
            let mut text = String::new();
            paragraph(&mut text, 2, &words);
            assert_eq!(text.lines().count(), lines, "{sentence}: {text}");
            let fits = |line: &str| line.chars().count() <= COLUMNS || line.contains(&long);
            assert!(text.lines().all(fits), "{sentence}: {text}");
            let again: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(again.join(" "), words, "{sentence}");
        }
    }
}
