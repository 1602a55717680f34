//! Parameters as variables of a tape.

use std::ops::Index;
use std::sync::{Arc, Mutex, PoisonError};

use slotmap::SecondaryMap;
use tape::{Real, TensorVar};

use crate::ParamKey;

/// The tables of earlier binds, empty, for later ones.
pub(crate) type Spares<E> = Arc<Mutex<Vec<Table<E>>>>;

type Table<E> = SecondaryMap<ParamKey, TensorVar<E>>;

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
    spares: Spares<E>,
}

impl<E: Real> Bound<E> {
    pub(crate) fn recycled(spares: &Spares<E>) -> Self {
        // Tables in the list are empty whatever a panic may have interrupted.
        let table = spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Bound { leaves: Some(table.unwrap_or_default()), spares: spares.clone() }
    }

    pub(crate) fn insert(&mut self, key: ParamKey, leaf: TensorVar<E>) {
        if let Some(leaves) = &mut self.leaves {
            leaves.insert(key, leaf);
        }
    }

    /// The variable of a parameter; `None` if it was not in the store when it was bound.
    pub fn get(&self, key: ParamKey) -> Option<TensorVar<E>> {
        self.leaves.as_ref()?.get(key).copied()
    }
}

impl<E: Real> Index<ParamKey> for Bound<E> {
    type Output = TensorVar<E>;

    /// The variable of a parameter.
    ///
    /// # Panics
    /// If it was not in the store when that was bound.
    #[track_caller]
    fn index(&self, key: ParamKey) -> &TensorVar<E> {
        match self.leaves.as_ref().and_then(|leaves| leaves.get(key)) {
            Some(leaf) => leaf,
            None => panic!(
                "the key is not among the bound parameters: it belongs to another store, or its \
                 parameter was inserted after bind or removed before"
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
