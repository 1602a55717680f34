//! The parameter store.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use slotmap::{Key, KeyData, SlotMap, new_key_type};
use tape::{Label, Real, Tape, Tensor};

use crate::Error;
use crate::bind::{Bound, Spares};

new_key_type! {
    /// The place of an entry in its store. Other stores have the same places; a [`ParamKey`] is of one.
    pub(crate) struct EntryId;
}

/// Names a parameter of a [`Params`]; stable as long as the parameter is not removed.
///
/// A key means something to the store that made it, and to the clones of that store made later. No two
/// parameters of a process have the same key, but for a parameter and its clones: a store that gets
/// the key of another one says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamKey {
    /// The store that all clones come from, which tells a foreign key from that of a removed parameter.
    pub(crate) family: u64,
    /// The store that made the key: after a clone, both may use the same place for what is inserted.
    store: u64,
    pub(crate) id: EntryId,
}

/// The group of parameters that were inserted without one.
pub const DEFAULT_GROUP: &str = "default";

/// The store whose leaves a label names. Numbers are never handed out twice.
static NEXT_STORE: AtomicU64 = AtomicU64::new(1);

fn next_store() -> u64 {
    NEXT_STORE.fetch_add(1, Ordering::Relaxed)
}

/// Named tensors that an optimiser changes.
///
/// A parameter is found by the [`ParamKey`] that [`insert`](Params::insert) returns, or by name. To
/// compute with parameters, [`bind`](Params::bind) them to a tape.
///
/// ```
/// use autograd::Differentiate;
/// use optim::{Params, Sgd};
/// use tape::{Tape, Tensor};
///
/// let mut params = Params::new();
/// let w = params.insert("w", Tensor::from([1.0, 2.0]));
/// let b = params.insert_in("bias", "b", Tensor::scalar(0.5));
///
/// let tape = Tape::new();
/// let p = params.bind(&tape);
/// let loss = (p[w] * p[w]).sum() + p[b];
/// Sgd::new(0.1).step(&mut params, loss.backward()?)?;
///
/// assert_eq!(params.get(w), &Tensor::from([0.8, 1.6]));
/// assert_eq!(params.get(b).item(), 0.4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each store has an identity of its own, which the leaves of `bind` carry: several stores may take
/// part in one recording, and the optimiser of each takes its own gradients. A clone is another
/// store with the same keys, names and values; buffers are shared until one of the two writes.
///
/// The leaves also carry which value of the parameter they have. A step moves the parameter on, and
/// then refuses gradients by leaves of before: `bind` belongs into the loop.
#[derive(Debug)]
pub struct Params<E: Real = f64> {
    id: u64,
    /// The identity of the store that this one is a clone of, at however many removes, or its own.
    family: u64,
    entries: SlotMap<EntryId, Entry<E>>,
    by_name: HashMap<String, EntryId>,
    /// The entries in the order of insertion, which a slot map forgets when its places are used again.
    order: Vec<EntryId>,
    spares: Spares<E>,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry<E: Real> {
    key: ParamKey,
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) value: Tensor<E>,
    /// How often the value was written.
    pub(crate) version: u64,
    /// The buffer that held the value before the last step, to be written by the next one.
    spare: Option<Tensor<E>>,
}

impl<E: Real> Params<E> {
    /// An empty store.
    pub fn new() -> Self {
        let id = next_store();
        Params {
            id,
            family: id,
            entries: SlotMap::with_key(),
            by_name: HashMap::new(),
            order: Vec::new(),
            spares: Spares::default(),
        }
    }

    /// Adds a parameter, in the group [`DEFAULT_GROUP`].
    ///
    /// # Panics
    /// If there is one of this name; see [`try_insert`](Params::try_insert).
    #[track_caller]
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Tensor<E>>) -> ParamKey {
        self.insert_in(DEFAULT_GROUP, name, value)
    }

    /// Adds a parameter to a group, by which transforms choose the parameters they apply to.
    ///
    /// # Panics
    /// If there is a parameter of this name; see [`try_insert_in`](Params::try_insert_in).
    #[track_caller]
    pub fn insert_in(
        &mut self,
        group: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<Tensor<E>>,
    ) -> ParamKey {
        // A closure would panic at a line of its own.
        match self.try_insert_in(group, name, value) {
            Ok(key) => key,
            Err(e) => panic!("{e}"),
        }
    }

    /// Like [`insert`](Params::insert), for names from outside.
    ///
    /// # Errors
    /// If there is a parameter of this name.
    #[track_caller]
    pub fn try_insert(
        &mut self,
        name: impl Into<String>,
        value: impl Into<Tensor<E>>,
    ) -> Result<ParamKey, Error> {
        self.try_insert_in(DEFAULT_GROUP, name, value)
    }

    /// Like [`insert_in`](Params::insert_in), for names from outside.
    ///
    /// # Errors
    /// If there is a parameter of this name.
    #[track_caller]
    pub fn try_insert_in(
        &mut self,
        group: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<Tensor<E>>,
    ) -> Result<ParamKey, Error> {
        let name = name.into();
        if self.by_name.contains_key(&name) {
            return Err(Error::DuplicateName { name, location: Location::caller() });
        }
        let (group, value) = (group.into(), value.into());
        let (family, store) = (self.family, self.id);
        let id = self.entries.insert_with_key(|id| Entry {
            key: ParamKey { family, store, id },
            name: name.clone(),
            group,
            value,
            version: 0,
            spare: None,
        });
        self.by_name.insert(name, id);
        self.order.push(id);
        Ok(self.entries[id].key)
    }

    /// The value of a parameter.
    ///
    /// # Panics
    /// If the key belongs to another store, or its parameter was removed.
    #[track_caller]
    pub fn get(&self, key: ParamKey) -> &Tensor<E> {
        &self.expect("get", key).value
    }

    /// Gives a parameter a new value of the same shape. Values recorded before do not change.
    ///
    /// # Panics
    /// If the key belongs to another store, its parameter was removed, or the shape differs; see [`try_set`](Params::try_set).
    #[track_caller]
    pub fn set(&mut self, key: ParamKey, value: impl Into<Tensor<E>>) {
        if let Err(e) = self.try_set(key, value) {
            panic!("{e}");
        }
    }

    /// Like [`set`](Params::set), for values from outside.
    ///
    /// # Errors
    /// If the key belongs to another store, its parameter was removed, or the shape differs.
    #[track_caller]
    pub fn try_set(&mut self, key: ParamKey, value: impl Into<Tensor<E>>) -> Result<(), Error> {
        let location = Location::caller();
        let value = value.into();
        self.find("set", key)?;
        let entry = &mut self.entries[key.id];
        if entry.value.shape() != value.shape() {
            return Err(Error::Shape {
                operation: "set",
                parameter: entry.name.clone(),
                expected: Box::new(entry.value.shape().clone()),
                found: Box::new(value.shape().clone()),
                location,
            });
        }
        entry.value = value;
        entry.version += 1;
        Ok(())
    }

    /// The key of a name.
    pub fn key(&self, name: &str) -> Option<ParamKey> {
        self.by_name.get(name).map(|&id| self.entries[id].key)
    }

    /// The name of a parameter.
    ///
    /// # Panics
    /// If the key belongs to another store, or its parameter was removed.
    #[track_caller]
    pub fn name(&self, key: ParamKey) -> &str {
        &self.expect("name", key).name
    }

    /// The group of a parameter.
    ///
    /// # Panics
    /// If the key belongs to another store, or its parameter was removed.
    #[track_caller]
    pub fn group(&self, key: ParamKey) -> &str {
        &self.expect("group", key).group
    }

    /// Takes a parameter out of the store; `None` if it is no longer there.
    ///
    /// # Panics
    /// If the key belongs to another store.
    #[track_caller]
    pub fn remove(&mut self, key: ParamKey) -> Option<Tensor<E>> {
        match self.find("remove", key) {
            Ok(_) => {}
            Err(Error::UnknownKey { .. }) => return None,
            Err(e) => panic!("{e}"),
        }
        let entry = self.entries.remove(key.id)?;
        self.by_name.remove(&entry.name);
        self.order.retain(|&id| id != key.id);
        Some(entry.value)
    }

    /// The parameters in the order in which they were inserted.
    pub fn iter(&self) -> impl Iterator<Item = (ParamKey, &str, &Tensor<E>)> {
        self.order.iter().map(|&id| {
            let entry = &self.entries[id];
            (entry.key, entry.name.as_str(), &entry.value)
        })
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many numbers all parameters have together.
    pub fn elements(&self) -> usize {
        self.iter().map(|(.., value)| value.len()).sum()
    }

    /// The identity of this store, unique in the process: the `store` of its labels.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Records every parameter on `tape` as an independent variable that shares its buffer.
    ///
    /// The variables have the values of now: after a step, or a [`set`](Params::set), bind again.
    ///
    /// Parameters may be bound several times on a tape: a step adds up their gradients. In a loop
    /// this does not allocate.
    #[track_caller]
    pub fn bind(&self, tape: &Tape<E>) -> Bound<E> {
        let mut bound = Bound::recycled(self.family, &self.spares);
        for (id, entry) in self.order.iter().map(|&id| (id, &self.entries[id])) {
            let key = id.data().as_ffi();
            let label = Label { store: self.id, key, version: entry.version };
            bound.insert(entry.key, tape.labelled(label, entry.value.clone()));
        }
        bound
    }

    /// The entry that a label names, if it is of this store and the parameter exists.
    pub(crate) fn labelled(&self, label: Label) -> Option<(EntryId, &Entry<E>)> {
        let id = own_entry(self.id, label)?;
        Some((id, self.entries.get(id)?))
    }

    /// An entry that is in the store.
    pub(crate) fn entry(&self, id: EntryId) -> &Entry<E> {
        &self.entries[id]
    }

    /// An entry that is in the store.
    pub(crate) fn entry_mut(&mut self, id: EntryId) -> &mut Entry<E> {
        &mut self.entries[id]
    }

    #[track_caller]
    fn find(&self, operation: &'static str, key: ParamKey) -> Result<&Entry<E>, Error> {
        let location = Location::caller();
        match self.entries.get(key.id) {
            Some(entry) if entry.key == key => Ok(entry),
            _ if key.family != self.family => Err(Error::ForeignKey { operation, location }),
            _ => Err(Error::UnknownKey { operation, location }),
        }
    }

    #[track_caller]
    fn expect(&self, operation: &'static str, key: ParamKey) -> &Entry<E> {
        match self.find(operation, key) {
            Ok(entry) => entry,
            Err(e) => panic!("{e}"),
        }
    }
}

/// The entry that a label names, if it is of this store.
pub(crate) fn own_entry(store: u64, label: Label) -> Option<EntryId> {
    (label.store == store).then(|| EntryId::from(KeyData::from_ffi(label.key)))
}

impl<E: Real> Default for Params<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Real> Clone for Params<E> {
    /// Another store, with an identity of its own: gradients of the one never reach the other.
    fn clone(&self) -> Self {
        let mut entries = self.entries.clone();
        // A spare that two stores hold could be written by neither.
        for entry in entries.values_mut() {
            entry.spare = None;
        }
        Params {
            id: next_store(),
            family: self.family,
            entries,
            by_name: self.by_name.clone(),
            order: self.order.clone(),
            spares: Spares::default(),
        }
    }
}

impl<E: Real> Entry<E> {
    /// Lets `write` change the value. It gets the old elements and a buffer for all new ones; or, without
    /// old elements, the ones to change.
    ///
    /// If somebody else holds the buffer (a tape whose leaf this is), the new value goes to the spare one,
    /// and the old elements stay as they were recorded.
    pub(crate) fn rewrite(&mut self, write: impl FnOnce(Option<&[E]>, &mut [E])) {
        self.version += 1;
        if let Some(values) = self.value.get_mut_slice() {
            return write(None, values);
        }
        // There may be none yet, or the recording that holds it may still be in use.
        let spare = self.spare.take_if(|spare| spare.get_mut_slice().is_some());
        let mut target = spare.unwrap_or_else(|| Tensor::zeros(self.value.shape().clone()));
        write(Some(self.value.as_slice()), target.as_mut_slice());
        self.spare = Some(std::mem::replace(&mut self.value, target));
    }

    /// As [`rewrite`](Entry::rewrite), into a tensor of the same shape in place of the spare one: `write`
    /// finds there what it holds, and afterwards the old value is in it. Says whether it was done: not if
    /// the value can be changed in place, or if somebody else holds the buffer of `room`, too.
    pub(crate) fn exchange(
        &mut self,
        room: &mut Tensor<E>,
        write: impl FnOnce(&[E], &mut [E]),
    ) -> bool {
        if self.value.get_mut_slice().is_some() {
            return false;
        }
        let Some(target) = room.get_mut_slice() else {
            return false;
        };
        write(self.value.as_slice(), target);
        self.version += 1;
        self.spare = None;
        std::mem::swap(&mut self.value, room);
        true
    }
}
