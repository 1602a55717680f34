//! What a user may do wrong.
//!
//! [`rows`] provokes each error that there is, [`page`] holds `docs/errors.md` to what it says. The other modules walk
//! through mistakes in the calls of each family: none may end in an index, an `unwrap` or an overflow within the
//! library; each must be an error, or a panic at the line of the call that names the operation and its arguments.

mod networks;
mod others;
mod page;
mod rows;
mod tensors;
mod walk;
