//! Calls that must end in an error or in a panic at the line of the call.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// What a panic says, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

thread_local! {
    /// The panic of the call under way; `None` where nobody waits for one.
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// The panic of `f`, if it panics. Calls are of one type: there are hundreds, and nothing here need be compiled for each.
pub(crate) fn caught(f: &mut dyn FnMut()) -> Option<Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let other = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let waited_for = CAUGHT.with_borrow_mut(|caught| {
                let Some(panic) = caught else { return false };
                let payload = info.payload_as_str().unwrap_or("a panic without a message");
                panic.message = payload.to_owned();
                if let Some(at) = info.location() {
                    (panic.file, panic.line) = (at.file().to_owned(), at.line());
                }
                true
            });
            if !waited_for {
                other(info);
            }
        }));
    });
    CAUGHT.set(Some(Panic::default()));
    let ended = catch_unwind(AssertUnwindSafe(f));
    let panic = CAUGHT.take();
    ended.err().and(panic)
}

/// The mistakes that were made, and those that were not met as they should be.
pub(crate) struct Walk {
    file: &'static str,
    source: &'static str,
    made: usize,
    failures: Vec<String>,
}

impl Walk {
    /// A walk through the calls in `file`, which has this source.
    pub(crate) fn new(file: &'static str, source: &'static str) -> Self {
        Walk { file, source, made: 0, failures: Vec::new() }
    }

    /// A call that must panic at its own line, with these parts in the message.
    pub(crate) fn panics(&mut self, call: &str, parts: &[&str], f: &mut dyn FnMut()) {
        self.made += 1;
        let Some(panic) = caught(f) else {
            return self.failures.push(format!("{call}: no panic"));
        };
        let Panic { message, file, line } = panic;
        let mut wrong = missing(&message, parts);
        if file != self.file || !self.is_line_of(line, call) {
            wrong.push_str(" at another line;");
        }
        if !wrong.is_empty() {
            self.failures.push(format!("{call}:{wrong} it is {message:?} at {file}:{line}"));
        }
    }

    /// A call that must return an error with these parts in the message, and the line of the call if the message
    /// has a line at all.
    pub(crate) fn errs(
        &mut self,
        call: &str,
        parts: &[&str],
        f: &mut dyn FnMut() -> Option<String>,
    ) {
        self.made += 1;
        let mut error = None;
        if let Some(Panic { message, file, line }) = caught(&mut || error = f()) {
            return self.failures.push(format!("{call}: panics by {message:?} at {file}:{line}"));
        }
        let Some(message) = error else {
            return self.failures.push(format!("{call}: no error"));
        };
        let mut wrong = missing(&message, parts);
        let has_line = message.contains(".rs:");
        if has_line && !message.contains(&format!("{}:", self.file)) {
            wrong.push_str(" the line of another file;");
        }
        if !wrong.is_empty() {
            self.failures.push(format!("{call}:{wrong} it is {message:?}"));
        }
    }

    /// Whether the line of the file is one of the call.
    fn is_line_of(&self, line: u32, call: &str) -> bool {
        let squashed = |text: &str| text.split_whitespace().collect::<String>();
        let Some(text) = self.source.lines().nth(line as usize - 1) else { return false };
        let (text, call) = (squashed(text), squashed(call));
        // A call of several lines may have commas at their ends that it does not have in one.
        text.contains(&call) || call.contains(text.trim_end_matches([';', ',']))
    }

    pub(crate) fn end(self, least: usize) {
        let Walk { made, failures, .. } = self;
        assert!(failures.is_empty(), "{} of {made}:\n{}", failures.len(), failures.join("\n"));
        assert!(made >= least, "{made} mistakes are fewer than {least}");
    }
}

fn missing(message: &str, parts: &[&str]) -> String {
    let missing: Vec<&&str> = parts.iter().filter(|&&part| !message.contains(part)).collect();
    if missing.is_empty() { String::new() } else { format!(" {missing:?} is missing;") }
}

/// Calls that must panic: `[parts of the message] call;`
macro_rules! panics {
    ($walk:ident; $([$($part:expr),*] $call:expr;)+) => {
        $($walk.panics(stringify!($call), &[$($part),*], &mut || { let _ = $call; });)+
    };
}

/// Calls that must return an error: `[parts of the message] call;`
macro_rules! errs {
    ($walk:ident; $([$($part:expr),*] $call:expr;)+) => {
        $($walk.errs(stringify!($call), &[$($part),*], &mut || $call.err().map(|e| e.to_string()));)+
    };
}

pub(crate) use {errs, panics};
