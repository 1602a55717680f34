//! Parameters as variables of a tape.

use std::ops::Index;
use std::sync::{Arc, Mutex, PoisonError};

use slotmap::SecondaryMap;
use tape::{Real, TensorVar};

use crate::ParamKey;
use crate::params::EntryId;

/// The tables of earlier binds, empty, for later ones.
pub(crate) type Spares<E> = Arc<Mutex<Vec<Table<E>>>>;

type Table<E> = SecondaryMap<EntryId, (ParamKey, TensorVar<E>)>;

/// The parameters of a store as variables of a tape; see [`Params::bind`](crate::Params::bind).
///
/// ```
/// use optim::Params;
/// use tape::{Tape, Tensor};
///
/// let mut params = Params::new();
/// let w = params.insert("w", Tensor::from([1.0, 2.0]));
/// let tape = Tape::new();
/// let p = params.bind(&tape);
/// assert_eq!((p[w] + 1.0).value(), Tensor::from([2.0, 3.0]));
/// ```
#[derive(Debug)]
pub struct Bound<E: Real = f64> {
    /// `None` only at the end of the drop: an empty table to put in its place would allocate.
    leaves: Option<Table<E>>,
    /// That of the store.
    family: u64,
    spares: Spares<E>,
}

impl<E: Real> Bound<E> {
    pub(crate) fn recycled(family: u64, spares: &Spares<E>) -> Self {
        // Tables in the list are empty whatever a panic may have interrupted.
        let table = spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Bound { leaves: Some(table.unwrap_or_default()), family, spares: spares.clone() }
    }

    pub(crate) fn insert(&mut self, key: ParamKey, leaf: TensorVar<E>) {
        if let Some(leaves) = &mut self.leaves {
            leaves.insert(key.id, (key, leaf));
        }
    }

    /// The variable of a parameter; `None` if it was not in the store when it was bound.
    pub fn get(&self, key: ParamKey) -> Option<TensorVar<E>> {
        self.find(key).copied()
    }

    fn find(&self, key: ParamKey) -> Option<&TensorVar<E>> {
        let (bound, leaf) = self.leaves.as_ref()?.get(key.id)?;
        (*bound == key).then_some(leaf)
    }
}

impl<E: Real> Index<ParamKey> for Bound<E> {
    type Output = TensorVar<E>;

    /// The variable of a parameter.
    ///
    /// # Panics
    /// If the key belongs to another store, or the parameter was not in the store when that was
    /// bound.
    #[track_caller]
    fn index(&self, key: ParamKey) -> &TensorVar<E> {
        match self.find(key) {
            Some(leaf) => leaf,
            None if key.family != self.family => panic!(
                "the key belongs to another store than the bound parameters; keys are of the store \
                 whose insert returned them, and of its clones"
            ),
            None => panic!(
                "the key is not among the bound parameters: its parameter was inserted after bind \
                 (or after the clone), or removed before"
            ),
        }
    }
}

impl<E: Real> Drop for Bound<E> {
    fn drop(&mut self) {
        let Some(mut table) = self.leaves.take() else {
            return;
        };
        table.clear();
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        spares.push(table);
    }
}
