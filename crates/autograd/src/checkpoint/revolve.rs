//! A long loop, reversed with few states in memory.

use tape::{Real, Tape, Var};

use crate::{Differentiate, Error};

/// The result of [`loop_gradient`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoopGradient<E: Real = f64> {
    /// The value of the loss.
    pub value: E,
    /// Its gradient by the initial state.
    pub state: Vec<E>,
    /// Its gradient by the parameters.
    pub parameters: Vec<E>,
    /// How many steps were done without being recorded; see [`forward_steps`].
    pub forward_steps: usize,
}

/// The gradient of `loss(state after all steps, parameters)` for a loop
/// `state = step(k, state, parameters)`, `k = 0..steps`, with at most `snapshots` states in memory.
///
/// One step at a time is recorded, from the last to the first. Its state is computed anew from the last
/// snapshot before it, and snapshots are placed so that the number of steps is the least possible: Griewank and
/// Walther, *Algorithm 799: revolve*, 2000. With `s` snapshots, `r` times the work is enough for
/// `(s + r)! / (s! r!)` steps: with 30, six times for two million.
///
/// ```
/// use autograd::checkpoint::loop_gradient;
///
/// // Newton's law of cooling by Euler's method: T' = -k (T - 20).
/// let step = |_: usize, t: &[tape::Var], k: &[tape::Var]| vec![t[0] - 0.01 * k[0] * (t[0] - 20.0)];
/// let g = loop_gradient(1000, 5, &[90.0], &[0.3], step, |t, _| t[0])?;
/// let factor = 1.0 - 0.01 * 0.3f64;
/// approx::assert_relative_eq!(g.value, 20.0 + 70.0 * factor.powi(1000), max_relative = 1e-12);
/// approx::assert_relative_eq!(g.state[0], factor.powi(1000), max_relative = 1e-12);
/// # Ok::<(), autograd::Error>(())
/// ```
///
/// The steps that are not recorded are calls with constants, so `step` is one function for both. It must do
/// the same every time.
///
/// # Errors
/// As [`backward`](Differentiate::backward), if a step or the loss uses a rule that refuses.
///
/// # Panics
/// If `snapshots` is 0, if `step` gives another number of values than its state has, and where `step` and
/// `loss` do.
#[track_caller]
pub fn loop_gradient<E: Real>(
    steps: usize,
    snapshots: usize,
    state: &[E],
    parameters: &[E],
    step: impl Fn(usize, &[Var<E>], &[Var<E>]) -> Vec<Var<E>>,
    loss: impl Fn(&[Var<E>], &[Var<E>]) -> Var<E>,
) -> Result<LoopGradient<E>, Error> {
    assert!(snapshots > 0, "loop_gradient: the initial state takes one snapshot");
    let constants: Vec<Var<E>> = parameters.iter().map(|&p| p.into()).collect();
    let mut tape = Tape::default();
    let mut forward_steps = 0;
    let mut gradient = vec![E::ZERO; parameters.len()];
    // The value of the loss, and the cotangent of the state that the last recorded step began with.
    let mut value = E::ZERO;
    let mut adjoint = vec![E::ZERO; state.len()];
    let mut kept: Vec<(usize, Vec<Var<E>>)> = vec![(0, state.iter().map(|&x| x.into()).collect())];
    for target in (0..steps.max(1)).rev() {
        let (mut k, mut now) = kept.last().cloned().expect("the initial state is kept to the end");
        while k < target {
            // The snapshots that are free, and the one that holds this state.
            let available = snapshots - kept.len() + 1;
            let next = k + advance(target + 1 - k, available);
            for i in k..next {
                now = step(i, &now, &constants);
                assert_same_length(state.len(), now.len());
            }
            forward_steps += next - k;
            k = next;
            if k < target {
                kept.push((k, now.clone()));
            }
        }
        // Record step `target`, and the loss behind the last one.
        tape.reset();
        let x: Vec<Var<E>> = now.iter().map(|x| tape.var(x.freeze())).collect();
        let p = tape.vars_from(parameters);
        let y = if steps == 0 { x.clone() } else { step(target, &x, &p) };
        assert_same_length(state.len(), y.len());
        let pairing = if target + 1 >= steps {
            let loss = loss(&y, &p);
            value = loss.freeze();
            loss
        } else {
            let terms = y.iter().zip(&adjoint).map(|(&y, &g)| y * g);
            terms.reduce(|sum, term| sum + term).unwrap_or_default()
        };
        let variables: Vec<Var<E>> = x.iter().chain(&p).copied().collect();
        let mut flat = vec![E::ZERO; variables.len()];
        if !pairing.is_constant() {
            let gradients = pairing.backward()?;
            flat.iter_mut().zip(&variables).for_each(|(g, &v)| *g = gradients.wrt(v));
        }
        adjoint.copy_from_slice(&flat[..x.len()]);
        gradient.iter_mut().zip(&flat[x.len()..]).for_each(|(sum, &g)| *sum += g);
        if kept.last().is_some_and(|&(k, _)| k == target && k > 0) {
            kept.pop();
        }
    }
    Ok(LoopGradient { value, state: adjoint, parameters: gradient, forward_steps })
}

#[track_caller]
fn assert_same_length(state: usize, made: usize) {
    assert!(made == state, "loop_gradient: a step makes {made} values of a state of {state}");
}

/// The least number of unrecorded steps with which a loop of `l` steps can be reversed with `s` states in
/// memory, the initial one among them.
///
/// `r l - C(s + r, r - 1)`, where `r` is the least number with `l <= C(s + r, s)`.
///
/// ```
/// use autograd::checkpoint::forward_steps;
///
/// assert_eq!(forward_steps(10, 10), 9); // Room for all: each step but the last, once.
/// assert_eq!(forward_steps(4, 1), 3 + 2 + 1); // Every time from the beginning.
/// ```
///
/// # Panics
/// If `snapshots` is 0.
#[track_caller]
pub fn forward_steps(steps: usize, snapshots: usize) -> usize {
    assert!(snapshots > 0, "forward_steps: the initial state takes one snapshot");
    match repetitions(steps, snapshots) {
        0 => 0,
        r => r.saturating_mul(steps).saturating_sub(binomial(snapshots.saturating_add(r), r - 1)),
    }
}

/// The least `r` for which `length <= C(snapshots + r, snapshots)`.
fn repetitions(length: usize, snapshots: usize) -> usize {
    match length {
        0 | 1 => 0,
        // C(s + 1, s) is s + 1, also where that is more than a usize holds.
        _ if length - 1 <= snapshots => 1,
        _ => (2..)
            .find(|&r| length <= binomial(snapshots.saturating_add(r), snapshots))
            .expect("it grows without bound"),
    }
}

/// How far to go from a snapshot before the next one is placed, when `length` pieces are to be reversed with
/// so many snapshots, this one among them.
fn advance(length: usize, snapshots: usize) -> usize {
    let r = repetitions(length, snapshots);
    if snapshots == 1 || r == 0 {
        return length - 1;
    }
    // Any place between these bounds is optimal: with r - 1 repetitions on the left, and r on the right.
    let most_left = binomial(snapshots - 1 + r, snapshots);
    let least_right = binomial(snapshots - 1 + r - 1, snapshots - 1);
    most_left.min(length.saturating_sub(least_right)).clamp(1, length - 1)
}

/// `n! / (k! (n - k)!)`, or the largest number where that is more.
fn binomial(n: usize, k: usize) -> usize {
    let mut value: u128 = 1;
    for i in 0..k.min(n.saturating_sub(k)) {
        value = value * (n - i) as u128 / (i + 1) as u128;
        if value > usize::MAX as u128 {
            return usize::MAX;
        }
    }
    value as usize
}
