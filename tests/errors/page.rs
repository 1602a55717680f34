//! `docs/errors.md`: every error, with the message that it has.

use std::path::Path;

use super::rows::{PLACE, Row, of_autograd, of_checks, of_optim, of_panics, of_programs, of_tape};

const INTRODUCTION: &str = "# Errors

This file is written by a test (`tests/errors`), which provokes each error, and fails if the file is out of date or an \
error is not in it. In the messages, `FILE:LINE:COLUMN` stands for the line of the caller.

What can fail on data returns a `Result`: derivatives, programs, steps of an optimiser, and the `try_` twins of the \
operations. Operators and the other methods panic, as those of the standard library do, with the same message and the line \
of the caller. A step of an optimiser that fails has changed nothing, and an operation that fails has recorded nothing.
";

/// The tables: a title, the file of the enum, and the rows.
fn tables() -> Vec<(&'static str, Option<&'static str>, Vec<Row>)> {
    vec![
        ("`tape::Error`: operations", Some("crates/tape/src/error.rs"), of_tape()),
        ("`tape::ProgramError`: programs", Some("crates/tape/src/program/error.rs"), of_programs()),
        ("`autograd::Error`: derivatives", Some("crates/autograd/src/error.rs"), of_autograd()),
        (
            "`autograd::check::CheckError`: checks",
            Some("crates/autograd/src/check/report.rs"),
            of_checks(),
        ),
        ("`optim::Error`: parameters and steps", Some("crates/optim/src/error.rs"), of_optim()),
        ("Panics at the line of the caller", None, of_panics()),
    ]
}

/// The message on one line, with the places in the file of the rows left out: they change with each edit of it.
fn without_places(message: &str) -> String {
    let mut parts = message.split(PLACE);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
        text.push_str("FILE:LINE:COLUMN");
        text.push_str(rest);
    }
    for word in ["tape ", "tapes (", " and "] {
        text = without_numbers(&text, word);
    }
    match text.split_once('\n') {
        Some((first, _)) => format!("{first} ..."),
        None => text,
    }
}

/// The text with `N` in place of the number of a tape behind a word: it is another one in each run.
fn without_numbers(text: &str, word: &str) -> String {
    let mut parts = text.split(word);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let tape = rest.len() < part.len() && rest.starts_with([')', ' ']) && text.contains("tape");
        result = result + word + if tape { "N" } else { "" } + if tape { rest } else { part };
    }
    result
}

fn document() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (title, _, rows) in tables() {
        let head = "|---|---|---|---|";
        text += &format!("\n## {title}\n\n| error | when | message | what to do |\n{head}\n");
        for Row { what, when, advice, message } in rows {
            let what =
                if what.contains(['`', ' ']) { what.to_owned() } else { format!("`{what}`") };
            // Two backticks: messages have single ones in them.
            let message = without_places(&message).replace('|', "\\|");
            text += &format!("| {what} | {when} | `` {message} `` | {advice} |\n");
        }
    }
    text
}

#[test]
fn the_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
    let text = document();
    if std::env::var_os("WENGERT_WRITE_DOCS").is_some() {
        return std::fs::write(path, text).expect("the file can be written");
    }
    let file = std::fs::read_to_string(path).unwrap_or_default();
    let differs = file.lines().zip(text.lines()).find(|(old, new)| old != new);
    let (old, new) = differs.unwrap_or(("", "(the number of lines)"));
    assert!(
        file == text,
        "docs/errors.md is out of date. Write it by WENGERT_WRITE_DOCS=1 cargo test --test errors.\nold: {old}\nnew: {new}"
    );
}

/// The variants of the enum of errors in a source.
fn variants(source: &str) -> Vec<&str> {
    let body = source.split("thiserror::Error").nth(1).expect("it has an enum of errors");
    let body = body.split("\n}\n").next().unwrap_or_default();
    body.lines().filter_map(variant).collect()
}

/// The variant that a line declares: four spaces from the left, with a brace, a parenthesis or a comma behind it.
fn variant(line: &str) -> Option<&str> {
    let text = line.strip_prefix("    ")?;
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let fits = name.starts_with(|c: char| c.is_ascii_uppercase());
    (fits && [" {", "(", ","].iter().any(|&next| rest.starts_with(next))).then_some(name)
}

#[test]
fn no_error_is_missing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = Vec::new();
    for (title, file, rows) in tables() {
        let Some(file) = file else { continue };
        let source = std::fs::read_to_string(root.join(file)).expect("it can be read");
        assert_eq!(source.matches("thiserror::Error").count(), 1, "{file} has several enums");
        let rows: Vec<&str> = rows.iter().map(|row| row.what).collect();
        assert_eq!(rows, variants(&source), "the rows of {title}");
        known.push(root.join(file));
    }
    // Every enum of errors of these crates is among them.
    let mut folders =
        ["tape", "autograd", "optim"].map(|c| root.join("crates").join(c).join("src")).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !known.contains(&path) {
                let source = std::fs::read_to_string(&path).expect("it can be read");
                assert!(
                    !source.contains("thiserror::Error"),
                    "{} is not on the page",
                    path.display()
                );
                assert!(!source.contains("impl std::error::Error"), "{}", path.display());
            }
        }
    }
}
