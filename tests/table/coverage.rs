//! Whether every public operation has a case: the sources are searched for what they offer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What is public and no operation, with the reason.
const EXEMPT: &[(&str, &str)] = &[
    ("lit", "makes a constant"),
    ("apply", "applies a rule of the caller"),
    ("apply2", "applies a rule of the caller"),
    ("apply3", "applies a rule of the caller"),
    ("apply_op", "applies an operation of the caller"),
    ("scalar_constant", "makes a constant"),
    ("constant_like", "makes a constant"),
    ("is_constant", "asks about a handle"),
    ("is_leaf", "asks about a handle"),
    ("shape", "asks about a handle"),
    ("rank", "asks about a handle"),
    ("key", "asks about a handle"),
    ("value", "leaves the tape"),
    ("item", "leaves the tape"),
    ("to_scalar", "crosses to the other lane; checked in tests/operations/arithmetic.rs"),
];

/// The operators, which no search for methods finds.
const OPERATORS: &[&str] = &["add", "sub", "mul", "div", "rem", "neg"];

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        match path.extension().and_then(|e| e.to_str()) {
            None => files(&path, all),
            Some("rs") => all.push(path),
            Some(_) => {}
        }
    }
}

/// The name of the function that a line declares after `prefix`.
fn declared<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    let name = line.trim_start().strip_prefix(prefix)?;
    let end =
        name.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_' && c != '$');
    Some(&name[..end.unwrap_or(name.len())])
}

/// The lines at which the lists of methods begin that macros make.
const LISTS: &[&str] = &["$callback! {", "reductions! {"];

/// The names in the lists that macros make methods from. In them, a
/// name stands before a parenthesis at the beginning of a line, or the line is a list of names that ends in a
/// comma or a colon.
fn listed(source: &str, names: &mut BTreeSet<String>) -> bool {
    let is_name = |word: &str| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        !word.is_empty() && word.chars().all(fits)
    };
    let (mut inside, mut any) = (false, false);
    for line in source.lines() {
        let text = line.trim();
        if LISTS.contains(&text) {
            inside = true;
            continue;
        }
        if text == "}" {
            inside = false;
        }
        if !inside || text.starts_with("//") || text.starts_with('$') {
            continue;
        }
        if let Some((name, _)) = text.split_once('(')
            && is_name(name)
        {
            names.insert(name.to_owned());
            any = true;
        } else if let Some((list, _)) = text.split_once(':') {
            // `sum, sum_axes, sum_axes_keep, reduce_sum: ...` names its own helper last.
            let words: Vec<&str> = list.split(", ").collect();
            if words.len() > 1 && words.iter().all(|word| is_name(word)) {
                names.extend(words[..words.len() - 1].iter().map(|&name| name.to_owned()));
                any = true;
            }
        }
    }
    any
}

/// What the sources offer.
fn offered() -> BTreeSet<String> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/crates/tape/src"));
    let mut names: BTreeSet<String> = OPERATORS.iter().map(|&name| name.to_owned()).collect();
    let elementary = std::fs::read_to_string(root.join("elementary.rs")).expect("it is there");
    let body = elementary.split("pub trait Elementary").nth(1).expect("the trait is there");
    let body = body.split("\n}\n").next().expect("it ends");
    names.extend(body.lines().filter_map(|line| declared(line, "fn ")).map(str::to_owned));

    let mut sources = vec![root.join("tensor_var.rs"), root.join("tensor_var/elementwise.rs")];
    files(&root.join("ops"), &mut sources);
    for path in sources {
        let source = std::fs::read_to_string(&path).expect("it can be read");
        // A method counts if it is one of a recorded tensor, a function if it is not in a block.
        let mut of_tensors = true;
        let mut by_macro = false;
        for line in source.lines() {
            if line.starts_with("impl") {
                of_tensors = line.contains("TensorVar<E> {") && !line.contains(" for ");
            } else if line.starts_with('}') {
                of_tensors = true;
            }
            let Some(name) = declared(line, "pub fn ") else { continue };
            if name.starts_with('$') {
                by_macro = true;
            } else if of_tensors && !name.starts_with("try_") {
                names.insert(name.to_owned());
            }
        }
        let lists = listed(&source, &mut names);
        let known = lists || path.ends_with("elementwise.rs");
        assert!(!by_macro || known, "{}: where is the list of its methods?", path.display());
    }
    names
}

/// Panics if an operation has no case, or a case stands for nothing.
pub(crate) fn check(cases: &[&str]) {
    let offered = offered();
    // So that a search that finds nothing is noticed.
    for name in ["sin", "sum_axes", "conv2d", "concat", "mse_loss", "gelu"] {
        assert!(offered.contains(name), "the search has not found {name}");
    }
    let exempt = |name: &str| EXEMPT.iter().any(|&(other, _)| other == name);
    let missing: Vec<&String> =
        offered.iter().filter(|name| !cases.contains(&name.as_str()) && !exempt(name)).collect();
    assert!(missing.is_empty(), "operations without a case: {missing:?}");
    let unknown: Vec<&&str> = cases.iter().filter(|&&name| !offered.contains(name)).collect();
    assert!(unknown.is_empty(), "cases of operations that there are not: {unknown:?}");
    let stale: Vec<&str> = EXEMPT.iter().map(|e| e.0).filter(|&e| !offered.contains(e)).collect();
    assert!(stale.is_empty(), "exemptions of what there is not: {stale:?}");
}

/// Panics if a method or function that returns an error has no twin for plain tensors. (For the others the cases
/// see to that: their text is compiled for plain tensors, too.)
pub(crate) fn check_plain_twins() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/crates/tape/src"));
    let read = |path: &Path| std::fs::read_to_string(path).expect("it can be read");
    let plain: BTreeSet<String> = ["functions.rs", "several.rs"]
        .iter()
        .flat_map(|file| {
            let source = read(&root.join("tensor").join(file));
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            source.split(|c| !word(c)).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let mut sources = Vec::new();
    files(&root.join("ops"), &mut sources);
    let mut names = BTreeSet::new();
    for path in sources {
        let source = read(&path);
        names.extend(
            source.lines().filter_map(|line| declared(line, "pub fn try_")).map(str::to_owned),
        );
    }
    // One for plain tensors alone.
    assert!(names.remove("one_hot") && names.contains("matmul"));
    let missing: Vec<&String> =
        names.iter().filter(|name| !plain.contains(&format!("try_{name}"))).collect();
    assert!(missing.is_empty(), "without a twin for plain tensors: try_ of {missing:?}");
}
