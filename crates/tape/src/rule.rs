//! Elementwise rules: the extension points [`Unary`], [`Binary`] and [`Ternary`].
//!
//! A rule is written once, generically, and used in every way: as the plain function, as a node of
//! the scalar lane, traced into the instructions of a fused tensor kernel, and applied to recorded
//! values, which makes the derivative itself a recorded expression: derivatives of any order with
//! nothing more to write. The operations of this crate are rules of the same traits (see
//! [`primitive`](crate::primitive)).

use std::any::{Any, TypeId};
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::op::{Displaced, recycle_place};
use crate::symbol::{Symbol, Trace};
use crate::{Elementary, Real, TensorVar, Var};

/// An elementwise function of one argument.
///
/// ```
/// use tape::{Elementary, Tape, Unary};
///
/// /// The Gaussian bump `exp(-(x / width)^2)`.
/// #[derive(Clone, Copy)]
/// struct Bump {
///     width: f64,
/// }
///
/// impl Unary for Bump {
///     const NAME: &'static str = "bump";
///
///     fn value<T: Elementary>(&self, x: T) -> T {
///         let z = x / T::lit(self.width);
///         (-(z * z)).exp()
///     }
///
///     fn partial<T: Elementary>(&self, x: T, y: T) -> T {
///         T::lit(-2.0 / (self.width * self.width)) * x * y
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.var(0.5);
/// assert_eq!(x.apply(Bump { width: 2.0 }).value(), (-0.0625f64).exp());
/// ```
///
/// Parameters of the rule are its fields: they are constants. What is to be differentiated is an
/// operand, not a field. There is no `if` on a value, because a rule sees values of many kinds; a
/// branch is [`select_gt`](Elementary::select_gt). Constants are `T::lit(2.0)`.
pub trait Unary: Send + Sync + 'static {
    /// The name in messages.
    const NAME: &'static str;
    /// The function.
    fn value<T: Elementary>(&self, x: T) -> T;
    /// The derivative, from the argument `x` and the value `y`.
    fn partial<T: Elementary>(&self, x: T, y: T) -> T;
    /// `g` times the derivative. Replace it where the product has a shorter form, or where a zero
    /// must not be multiplied by an infinity.
    #[inline(always)]
    fn pull<T: Elementary>(&self, g: T, x: T, y: T) -> T {
        g * self.partial(x, y)
    }
}

/// An elementwise function of two arguments; they broadcast against each other.
pub trait Binary: Send + Sync + 'static {
    /// The name in messages.
    const NAME: &'static str;
    /// The function.
    fn value<T: Elementary>(&self, a: T, b: T) -> T;
    /// The derivative by `a`, from the arguments and the value `y`.
    fn partial_a<T: Elementary>(&self, a: T, b: T, y: T) -> T;
    /// The derivative by `b`, from the arguments and the value `y`.
    fn partial_b<T: Elementary>(&self, a: T, b: T, y: T) -> T;
    /// `g` times the derivative by `a`.
    #[inline(always)]
    fn pull_a<T: Elementary>(&self, g: T, a: T, b: T, y: T) -> T {
        g * self.partial_a(a, b, y)
    }
    /// `g` times the derivative by `b`.
    #[inline(always)]
    fn pull_b<T: Elementary>(&self, g: T, a: T, b: T, y: T) -> T {
        g * self.partial_b(a, b, y)
    }
}

/// An elementwise function of three arguments; they broadcast against each other.
pub trait Ternary: Send + Sync + 'static {
    /// The name in messages.
    const NAME: &'static str;
    /// The function.
    fn value<T: Elementary>(&self, a: T, b: T, c: T) -> T;
    /// The derivative by `a`, from the arguments and the value `y`.
    fn partial_a<T: Elementary>(&self, a: T, b: T, c: T, y: T) -> T;
    /// The derivative by `b`, from the arguments and the value `y`.
    fn partial_b<T: Elementary>(&self, a: T, b: T, c: T, y: T) -> T;
    /// The derivative by `c`, from the arguments and the value `y`.
    fn partial_c<T: Elementary>(&self, a: T, b: T, c: T, y: T) -> T;
}

/// The most operands that an elementwise operation takes.
pub(crate) const MAX_OPERANDS: usize = 4;

/// A rule whose type is forgotten, as the tape keeps it.
///
/// `k` numbers the operand that a cotangent is for. Arguments beyond the arity are fillers.
pub(crate) trait ErasedRule<E: Real>: Any + Send + Sync {
    fn name(&self) -> &'static str;
    fn arity(&self) -> usize;
    fn pull(&self, k: usize, g: E, args: [E; MAX_OPERANDS], y: E) -> E;
    fn pull_var(&self, k: usize, g: Var<E>, args: [Var<E>; MAX_OPERANDS], y: Var<E>) -> Var<E>;
    fn pull_tensor(
        &self,
        k: usize,
        g: TensorVar<E>,
        args: [TensorVar<E>; MAX_OPERANDS],
        y: TensorVar<E>,
    ) -> TensorVar<E>;
    fn value(&self, args: [E; MAX_OPERANDS]) -> E;
    fn trace(&self, args: [Symbol; MAX_OPERANDS]) -> Symbol;
}

pub(crate) struct UnaryRule<U>(pub(crate) U);
pub(crate) struct BinaryRule<B>(pub(crate) B);
pub(crate) struct TernaryRule<R>(pub(crate) R);

macro_rules! erased {
    ($wrapper:ident: $bound:ident, $arity:literal, |$rule:ident, $k:ident, $g:ident, $a:ident, $y:ident| $pull:expr, $value:expr) => {
        impl<E: Real, R: $bound> ErasedRule<E> for $wrapper<R> {
            fn name(&self) -> &'static str {
                R::NAME
            }
            fn arity(&self) -> usize {
                $arity
            }
            fn pull(&self, $k: usize, $g: E, $a: [E; MAX_OPERANDS], $y: E) -> E {
                let $rule = &self.0;
                $pull
            }
            fn pull_var(
                &self,
                $k: usize,
                $g: Var<E>,
                $a: [Var<E>; MAX_OPERANDS],
                $y: Var<E>,
            ) -> Var<E> {
                let $rule = &self.0;
                $pull
            }
            fn pull_tensor(
                &self,
                $k: usize,
                $g: TensorVar<E>,
                $a: [TensorVar<E>; MAX_OPERANDS],
                $y: TensorVar<E>,
            ) -> TensorVar<E> {
                let $rule = &self.0;
                $pull
            }
            fn value(&self, $a: [E; MAX_OPERANDS]) -> E {
                let $rule = &self.0;
                $value
            }
            fn trace(&self, $a: [Symbol; MAX_OPERANDS]) -> Symbol {
                let $rule = &self.0;
                $value
            }
        }
    };
}

erased!(UnaryRule: Unary, 1, |r, _k, g, a, y| r.pull(g, a[0], y), r.value(a[0]));
erased!(BinaryRule: Binary, 2, |r, k, g, a, y| match k {
    0 => r.pull_a(g, a[0], a[1], y),
    _ => r.pull_b(g, a[0], a[1], y),
}, r.value(a[0], a[1]));
erased!(TernaryRule: Ternary, 3, |r, k, g, a, y| g * match k {
    0 => r.partial_a(a[0], a[1], a[2], y),
    1 => r.partial_b(a[0], a[1], a[2], y),
    _ => r.partial_c(a[0], a[1], a[2], y),
}, r.value(a[0], a[1], a[2]));

/// A rule in the table of a tape, and its instructions once a tensor kernel has asked for them.
pub(crate) struct Entry<E: Real> {
    pub(crate) rule: Arc<dyn ErasedRule<E>>,
    trace: RefCell<Trace>,
    traced: Cell<bool>,
}

impl<E: Real> Entry<E> {
    fn new(rule: Arc<dyn ErasedRule<E>>) -> Self {
        Entry { rule, trace: RefCell::default(), traced: Cell::new(false) }
    }

    fn holds<W: 'static>(&self) -> bool {
        let rule: &dyn Any = &*self.rule;
        rule.type_id() == TypeId::of::<W>()
    }

    /// Puts `rule` in place of the present one, in the same allocation where that is possible.
    fn replace<W: ErasedRule<E>>(&mut self, rule: W) -> Displaced<W, Arc<dyn ErasedRule<E>>> {
        self.traced.set(false);
        recycle_place(
            &mut self.rule,
            rule,
            |place| Arc::get_mut(place).map(|rule| rule as &mut dyn Any),
            |rule| Arc::new(rule),
        )
    }

    /// Sees to it that [`trace`](Self::trace) has the instructions of the rule.
    ///
    /// Runs the user's code, so the caller must hold nothing of the tape.
    pub(crate) fn make_trace(&self) {
        if self.traced.get() {
            return;
        }
        // Rules with parameters come anew in every step: the old list is the memory of the new one.
        let old = std::mem::take(&mut *self.trace.borrow_mut()).instructions;
        let trace = Trace::record(self.rule.arity(), old, |args| self.rule.trace(args));
        *self.trace.borrow_mut() = trace;
        self.traced.set(true);
    }

    /// The rule as instructions; [`make_trace`](Self::make_trace) must have run.
    pub(crate) fn trace(&self) -> Ref<'_, Trace> {
        debug_assert!(self.traced.get());
        self.trace.borrow()
    }
}

/// The rules that a tape has met: those without parameters once each and for good, those with
/// parameters once for every use until the next `reset`, in recycled places.
pub(crate) struct RuleTable<E: Real> {
    stateless: Vec<Rc<Entry<E>>>,
    stateful: Vec<Rc<Entry<E>>>,
    used: usize,
}

const STATEFUL: u32 = 1 << 30;

impl<E: Real> RuleTable<E> {
    pub(crate) fn new() -> Self {
        RuleTable { stateless: Vec::new(), stateful: Vec::new(), used: 0 }
    }

    /// The number of `rule`, by which [`get`](Self::get) finds it, and what it took the place of.
    pub(crate) fn insert<W: ErasedRule<E>>(
        &mut self,
        rule: W,
    ) -> (u32, Displaced<W, Arc<dyn ErasedRule<E>>>) {
        if size_of::<W>() == 0 {
            if let Some(k) = self.stateless.iter().position(|e| e.holds::<W>()) {
                return (k as u32, Displaced::Value(rule));
            }
            self.stateless.push(Rc::new(Entry::new(Arc::new(rule))));
            return ((self.stateless.len() - 1) as u32, Displaced::Nothing);
        }
        let k = self.used;
        self.used += 1;
        let displaced = match self.stateful.get_mut(k).map(Rc::get_mut) {
            Some(Some(entry)) => entry.replace(rule),
            Some(None) => {
                // Somebody still runs the old rule; the entry goes when they are done.
                self.stateful[k] = Rc::new(Entry::new(Arc::new(rule)));
                Displaced::Nothing
            }
            None => {
                self.stateful.push(Rc::new(Entry::new(Arc::new(rule))));
                Displaced::Nothing
            }
        };
        (STATEFUL | k as u32, displaced)
    }

    /// The number of a rule that a program holds as well, and what it took the place of.
    pub(crate) fn insert_shared(
        &mut self,
        rule: Arc<dyn ErasedRule<E>>,
    ) -> (u32, Option<Rc<Entry<E>>>) {
        let k = self.used;
        self.used += 1;
        let entry = Rc::new(Entry::new(rule));
        let displaced = match self.stateful.get_mut(k) {
            Some(place) => Some(std::mem::replace(place, entry)),
            None => {
                self.stateful.push(entry);
                None
            }
        };
        (STATEFUL | k as u32, displaced)
    }

    pub(crate) fn get(&self, k: u32) -> Rc<Entry<E>> {
        match k & STATEFUL {
            0 => self.stateless[k as usize].clone(),
            _ => self.stateful[(k & !STATEFUL) as usize].clone(),
        }
    }

    /// How many rules with parameters are in use; [`rewind`](Self::rewind) goes back to it.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn rewind(&mut self, used: usize) {
        self.used = used;
    }

    /// Takes out the rules with parameters, of which none may be in use.
    pub(crate) fn take_leftovers(&mut self) -> Vec<Rc<Entry<E>>> {
        debug_assert_eq!(self.used, 0);
        std::mem::take(&mut self.stateful)
    }
}
