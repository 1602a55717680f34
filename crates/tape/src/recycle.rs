//! Buffers that outlive a `reset`, so that a training loop stops allocating after its first steps.

use smallvec::SmallVec;

use crate::buffer::Buffer;
use crate::engine::Cotangent;
use crate::{Label, Real, Tensor, TensorVar};

/// After how many resets without use the buffers of one length are given back to the allocator.
const IDLE_RESETS: u32 = 64;

/// The free buffers of one thread, by length.
#[doc(hidden)]
pub struct Pool<E: Real> {
    /// Sorted by length.
    classes: Vec<Class<E>>,
    /// Where the classes are that were asked for last, by a hash of their length: to search takes longer than all else
    /// that is done to a small buffer.
    places: [u32; PLACES],
    numbers: Shelf<E>,
    slots: Shelf<Option<Cotangent<E>>>,
    leaves: Shelf<LeafCotangent<E>>,
    flags: Shelf<bool>,
    offsets: Shelf<usize>,
    /// The tapes alive on this thread; the last one to go empties the pool.
    tapes: usize,
    /// How many plain functions are under way: their results leave for good, so they are not counted here.
    paused: usize,
}

const PLACES: usize = 64;

impl<E: Real> Pool<E> {
    /// Where the class of a length is, or belongs.
    #[inline]
    fn find(&mut self, len: usize) -> Result<usize, usize> {
        // The golden ratio: lengths that are multiples of a power of two have different places, too.
        let hash = (len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let place = &mut self.places[hash as usize % PLACES];
        let k = *place as usize;
        if self.classes.get(k).is_some_and(|class| class.len == len) {
            return Ok(k);
        }
        let found = self.classes.binary_search_by_key(&len, |class| class.len);
        if let Ok(k) = found {
            *place = k as u32;
        }
        found
    }
}

struct Class<E> {
    len: usize,
    free: Vec<Buffer<E>>,
    /// How many were taken and have not come back. No more are accepted: the buffers that a user moves
    /// onto a tape would pile up here.
    out: usize,
    idle: u32,
}

/// Empty vectors that have a capacity.
#[doc(hidden)]
pub struct Shelf<T>(SmallVec<[Vec<T>; SHELF]>);

/// How many vectors a shelf holds: as many as are in use at once, in sums that halve their terms.
const SHELF: usize = 16;

impl<T> Shelf<T> {
    /// The vector that fits `len` elements best; one that has to grow if none fits.
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        let best = (0..self.0.len()).min_by_key(|&k| {
            let capacity = self.0[k].capacity();
            (capacity < len, capacity)
        });
        best.map(|k| self.0.swap_remove(k))
    }
}

impl<E: Real> Default for Pool<E> {
    fn default() -> Self {
        Pool {
            classes: Vec::new(),
            places: [0; PLACES],
            numbers: Shelf(SmallVec::new()),
            slots: Shelf(SmallVec::new()),
            leaves: Shelf(SmallVec::new()),
            flags: Shelf(SmallVec::new()),
            offsets: Shelf(SmallVec::new()),
            tapes: 0,
            paused: 0,
        }
    }
}

fn with_pool<E: Real, R>(f: impl FnOnce(&mut Pool<E>) -> R) -> Option<R> {
    // At the end of a thread the pool may be gone before the last buffers are.
    E::pool().try_with(|pool| f(&mut pool.borrow_mut())).ok()
}

/// A buffer of `len` elements of unspecified value that nobody else holds.
pub(crate) fn take<E: Real>(len: usize) -> Buffer<E> {
    let recycled = with_pool(|pool: &mut Pool<E>| {
        if pool.tapes == 0 || pool.paused > 0 {
            return None;
        }
        let k = match pool.find(len) {
            Ok(k) => k,
            Err(k) => {
                pool.classes.insert(k, Class { len, free: Vec::new(), out: 0, idle: 0 });
                k
            }
        };
        let class = &mut pool.classes[k];
        class.out += 1;
        class.idle = 0;
        class.free.pop()
    });
    recycled.flatten().unwrap_or_else(|| Buffer::new(vec![E::ZERO; len]))
}

/// Gives a buffer back; one that somebody else still holds is left to its other owners.
pub(crate) fn give<E: Real>(buffer: Buffer<E>) {
    if !buffer.is_unique() {
        return;
    }
    with_pool(|pool: &mut Pool<E>| {
        if let Ok(k) = pool.find(buffer.len())
            && pool.classes[k].out > 0
            && pool.paused == 0
        {
            pool.classes[k].out -= 1;
            pool.classes[k].free.push(buffer);
        }
    });
}

pub(crate) fn tape_made<E: Real>() {
    with_pool(|pool: &mut Pool<E>| pool.tapes += 1);
}

/// From here on buffers come from the allocator and go back to it, until [`resume`].
pub(crate) fn pause<E: Real>() {
    with_pool(|pool: &mut Pool<E>| pool.paused += 1);
}

pub(crate) fn resume<E: Real>() {
    with_pool(|pool: &mut Pool<E>| pool.paused -= 1);
}

pub(crate) fn tape_reset<E: Real>() {
    with_pool(|pool: &mut Pool<E>| {
        pool.classes.retain_mut(|class| {
            class.idle += 1;
            class.idle <= IDLE_RESETS
        });
    });
}

pub(crate) fn tape_dropped<E: Real>() {
    with_pool(|pool: &mut Pool<E>| {
        pool.tapes -= 1;
        if pool.tapes == 0 {
            *pool = Pool { paused: pool.paused, ..Pool::default() };
        }
    });
}

/// The gradient of a leaf, as a sweep leaves it.
#[derive(Clone, Debug)]
pub struct LeafCotangent<E: Real> {
    /// The leaf.
    pub leaf: TensorVar<E>,
    /// Its label, if it has one.
    pub label: Option<Label>,
    /// The gradient.
    pub value: Tensor<E>,
}

/// What the pool keeps vectors of.
pub trait Recyclable<E: Real>: Sized {
    #[doc(hidden)]
    fn shelf(pool: &mut Pool<E>) -> &mut Shelf<Self>;
    /// What becomes of an element when its vector returns.
    #[doc(hidden)]
    fn retire(self) {}
}

macro_rules! recyclable {
    ($($t:ty: $shelf:ident;)*) => { $(
        impl<E: Real> Recyclable<E> for $t {
            fn shelf(pool: &mut Pool<E>) -> &mut Shelf<Self> {
                &mut pool.$shelf
            }
        }
    )* };
}

recyclable! {
    bool: flags;
    usize: offsets;
}

impl<E: Real> Recyclable<E> for Option<Cotangent<E>> {
    fn shelf(pool: &mut Pool<E>) -> &mut Shelf<Self> {
        &mut pool.slots
    }
    fn retire(self) {
        if let Some(Cotangent::Owned(tensor)) = self {
            give(tensor.into_buffer());
        }
    }
}

impl Recyclable<f32> for f32 {
    fn shelf(pool: &mut Pool<f32>) -> &mut Shelf<f32> {
        &mut pool.numbers
    }
}

impl Recyclable<f64> for f64 {
    fn shelf(pool: &mut Pool<f64>) -> &mut Shelf<f64> {
        &mut pool.numbers
    }
}

impl<E: Real> Recyclable<E> for LeafCotangent<E> {
    fn shelf(pool: &mut Pool<E>) -> &mut Shelf<Self> {
        &mut pool.leaves
    }
    fn retire(self) {
        give(self.value.into_buffer());
    }
}

/// A vector that returns to the thread's pool when it is dropped.
#[derive(Debug)]
pub struct Recycled<E: Real, T: Recyclable<E>> {
    vector: Vec<T>,
    element: std::marker::PhantomData<E>,
}

/// Numbers in a vector that returns to the pool.
pub type Scratch<E> = Recycled<E, E>;

impl<E: Real, T: Recyclable<E>> Recycled<E, T> {
    /// No elements, with the capacity that an earlier vector had.
    pub fn empty() -> Self {
        Self::with_room(0)
    }

    fn with_room(len: usize) -> Self {
        let vector = with_pool(|pool: &mut Pool<E>| T::shelf(pool).take(len)).flatten();
        Recycled { vector: vector.unwrap_or_default(), element: std::marker::PhantomData }
    }

    /// `len` copies of `value`.
    pub fn filled(len: usize, value: T) -> Self
    where
        T: Clone,
    {
        let mut recycled = Self::with_room(len);
        recycled.vector.resize(len, value);
        recycled
    }
}

impl<E: Real + Recyclable<E>> Scratch<E> {
    /// As [`filled`](Self::filled), for as many slots as there are nodes: when there are many, they leave the caches.
    pub fn slots(len: usize, value: E) -> Self {
        let mut recycled = Self::with_room(len);
        crate::vector::resize(&mut recycled.vector, len, value);
        recycled
    }
}

impl<E: Real, T: Recyclable<E> + Clone> Clone for Recycled<E, T> {
    fn clone(&self) -> Self {
        let mut copy = Self::with_room(self.len());
        copy.extend_from_slice(self);
        copy
    }
}

impl<E: Real, T: Recyclable<E>> std::ops::Deref for Recycled<E, T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.vector
    }
}

impl<E: Real, T: Recyclable<E>> std::ops::DerefMut for Recycled<E, T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.vector
    }
}

impl<E: Real, T: Recyclable<E>> Drop for Recycled<E, T> {
    fn drop(&mut self) {
        let mut vector = std::mem::take(&mut self.vector);
        vector.drain(..).for_each(T::retire);
        with_pool(|pool: &mut Pool<E>| {
            let wanted = pool.tapes > 0;
            let shelf = &mut T::shelf(pool).0;
            if wanted && shelf.len() < SHELF && vector.capacity() > 0 {
                shelf.push(vector);
            }
        });
    }
}

/// Memory for numbers, from the pool and back.
pub(crate) struct Room<E: Real>(Option<Tensor<E>>);

impl<E: Real> Room<E> {
    /// `len` numbers of unspecified value.
    pub(crate) fn new(len: usize) -> Self {
        Room(Some(Tensor::uninitialised([len].into())))
    }

    pub(crate) fn zeros(len: usize) -> Self {
        Room(Some(Tensor::recycled([len].into(), E::ZERO)))
    }
}

impl<E: Real> std::ops::Deref for Room<E> {
    type Target = [E];
    fn deref(&self) -> &[E] {
        self.0.as_ref().map_or(&[], |tensor| tensor.as_slice())
    }
}

impl<E: Real> std::ops::DerefMut for Room<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        self.0.as_mut().map_or(&mut [], |tensor| tensor.as_mut_slice())
    }
}

impl<E: Real> Drop for Room<E> {
    fn drop(&mut self) {
        if let Some(tensor) = self.0.take() {
            give(tensor.into_buffer());
        }
    }
}
