//! What several test files need.
#![allow(dead_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::prelude::*;

/// Numbers that look random and are the same everywhere.
pub(crate) fn numbers(shape: impl Into<Shape>, low: f64, high: f64) -> Tensor {
    let shape = shape.into();
    let n = shape.elements();
    let data = (0..n).map(|i| {
        let u = ((i as f64 + 1.0) * 12.9898).sin() * 43_758.545_3;
        low + (high - low) * (u - u.floor())
    });
    Tensor::new(shape, data.collect())
}

/// The message of the panic of `f`.
///
/// # Panics
/// If `f` does not panic.
#[track_caller]
pub(crate) fn panic_message<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("a panic was expected"),
        Err(payload) => match payload.downcast::<String>() {
            Ok(message) => *message,
            Err(payload) => match payload.downcast::<&str>() {
                Ok(message) => (*message).to_owned(),
                Err(_) => "a panic without a message".to_owned(),
            },
        },
    }
}

/// The message and the line of the panic of `f`, as the panic hook sees them.
#[track_caller]
pub(crate) fn panic_at<R>(f: impl FnOnce() -> R) -> (String, String, u32) {
    use std::sync::Mutex;
    static HOOK: Mutex<()> = Mutex::new(());
    thread_local! {
        static SEEN: std::cell::RefCell<Option<(String, u32)>> =
            const { std::cell::RefCell::new(None) };
    }
    let _alone = HOOK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let old = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        let at = info.location().map(|l| (l.file().to_owned(), l.line()));
        SEEN.with(|seen| *seen.borrow_mut() = at);
    }));
    let message = catch_unwind(AssertUnwindSafe(|| panic_message(f)));
    std::panic::set_hook(old);
    let message = message.unwrap_or_else(|_| panic!("a panic was expected"));
    let (file, line) = SEEN.with(|seen| seen.borrow().clone()).expect("the hook has run");
    (message, file, line)
}
