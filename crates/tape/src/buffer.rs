//! The memory of tensors: elements that are shared, and that whoever holds them alone may write.
//!
//! An `Arc` asks for its only owner with a locked instruction, because somebody might be making an owner of a weak
//! pointer. That takes longer than to write to a small tensor, and a buffer has no weak pointers.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// Elements with one or more owners, who may be on several threads.
#[derive(Debug)]
pub(crate) struct Buffer<E>(Arc<Vec<E>>);

impl<E> Buffer<E> {
    pub(crate) fn new(elements: Vec<E>) -> Self {
        Buffer(Arc::new(elements))
    }

    /// Whether nobody else holds it.
    #[inline]
    pub(crate) fn is_unique(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// The elements for writing, if nobody else holds them.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Option<&mut [E]> {
        if !self.is_unique() {
            return None;
        }
        // What other owners have done before they let go of it comes before what is done now.
        fence(Ordering::Acquire);
        // SAFETY: this is the only owner and is borrowed for as long as the elements are, so no other one can be made
        // of it; and none of a weak pointer, because the `Arc` is in this module alone, which makes none.
        Some(unsafe { &mut *Arc::as_ptr(&self.0).cast_mut() })
    }

    /// Whether both are one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<E> Clone for Buffer<E> {
    #[inline]
    fn clone(&self) -> Self {
        Buffer(self.0.clone())
    }
}

impl<E> Deref for Buffer<E> {
    type Target = [E];
    #[inline]
    fn deref(&self) -> &[E] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_owner_may_write() {
        let mut buffer = Buffer::new(vec![1, 2]);
        let mut other = buffer.clone();
        assert!(buffer.get_mut().is_none() && other.get_mut().is_none());
        assert!(buffer.is_same(&other) && !buffer.is_unique());
        drop(other);
        buffer.get_mut().expect("the other owner is gone")[1] = 3;
        assert_eq!(*buffer, [1, 3]);
    }

    #[test]
    fn an_owner_on_another_thread_has_read_before_it_is_written() {
        let mut buffer = Buffer::new(vec![1; 1000]);
        let other = buffer.clone();
        let reader = std::thread::spawn(move || other.iter().sum::<i32>());
        let elements = loop {
            if let Some(elements) = buffer.get_mut() {
                break elements;
            }
            std::hint::spin_loop();
        };
        elements.fill(2);
        assert_eq!(reader.join().expect("the reader"), 1000);
    }
}
