//! Where there is no machine code: on other processors, and without the feature `jit`.

use std::convert::Infallible;
use std::marker::PhantomData;

use super::code::Step;
use super::lanes::Lane;
use super::repeats::Repeat;
use crate::Real;
use crate::program::body::Body;

/// There is none.
pub(super) struct Native<E>(Infallible, PhantomData<E>);

impl<E: Real> Native<E> {
    pub(super) fn is_fast(_: &Body<E>) -> bool {
        false
    }

    pub(super) fn numbers(_: &[Step], _: impl Iterator<Item = usize>, _: usize) -> Option<Self> {
        None
    }

    pub(super) fn lanes(_: &[Step], _: &[Repeat], _: &[u32], _: usize) -> Option<Self> {
        None
    }

    pub(super) fn bytes(&self) -> usize {
        match self.0 {}
    }

    pub(super) fn run(&self, _: usize, _: &[Step], _: &mut [E]) {
        match self.0 {}
    }

    pub(super) fn run_lanes(&self, _: &[Step], _: &mut [Lane<E>]) {
        match self.0 {}
    }
}
