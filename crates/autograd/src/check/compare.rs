//! The comparisons of a check.

use tape::Real;

use super::difference::{Context, Sample, differentiate};
use super::problem::{Problem, Random, pair};
use super::settings::Settings;
use super::{CheckError, Comparison, Entry, Place};

/// The element at which two sweeps differ most; `None` if there are no elements.
pub(super) fn compare_sweeps<E: Real>(
    settings: &Settings,
    first: &[E],
    recorded: &[E],
) -> Option<Entry> {
    let size = first.iter().fold(0.0, |size: f64, g| {
        let g = g.to_f64().abs();
        if g.is_finite() { size.max(g) } else { size }
    });
    let distance = |i: usize| {
        let distance = (first[i].to_f64() - recorded[i].to_f64()).abs();
        if distance.is_nan() { f64::INFINITY } else { distance }
    };
    let worst = (0..first.len()).max_by(|&i, &j| distance(i).total_cmp(&distance(j)))?;
    let (a, b) = (first[worst].to_f64(), recorded[worst].to_f64());
    Some(settings.agree(Comparison::Sweeps, Place::Element(worst), a, b, size))
}

/// A random direction, longer where the function may be expected to be smooth over longer steps.
fn direction<E: Real>(problem: &Problem<'_, E>, random: &mut Random) -> Vec<f64> {
    (0..problem.point.len())
        .map(|i| E::lit(random.sign_and_size() * problem.scale(i)).to_f64())
        .collect()
}

/// The unit vectors.
fn unit(n: usize, i: usize) -> Vec<f64> {
    (0..n).map(|k| if k == i { 1.0 } else { 0.0 }).collect()
}

/// Compares the gradient with differences of values.
#[track_caller]
pub(super) fn first_order<E: Real>(
    problem: &Problem<'_, E>,
    settings: &Settings,
    gradient: &[E],
    directions: Option<usize>,
    random: &mut Random,
    entries: &mut Vec<Entry>,
) -> Result<(), CheckError> {
    let n = problem.point.len();
    let center = problem.value(&problem.point)?;
    for k in 0..directions.unwrap_or(n) {
        let (index, along, step) = match directions {
            Some(_) => (Place::Direction(k), direction(problem, random), 1.0),
            None => (Place::Element(k), unit(n, k), problem.scale(k)),
        };
        let terms = || (0..n).filter(|&i| along[i] != 0.0);
        let analytic: f64 = terms().map(|i| gradient[i].to_f64() * along[i]).sum();
        let sensitivity =
            terms().map(|i| (gradient[i].to_f64() * problem.point[i].to_f64()).abs()).sum();
        let found = differentiate(
            &[center],
            |offset| Ok::<_, CheckError>(vec![problem.value(&problem.moved(&along, offset))?]),
            settings.step * step,
            &[settings.context(analytic, sensitivity)],
        )?;
        entries.push(settings.judge(Comparison::First, index, analytic, found[0]));
    }
    Ok(())
}

/// Compares the Hessian, row by row in one slice, with differences of gradients.
#[track_caller]
pub(super) fn second_order<E: Real>(
    problem: &Problem<'_, E>,
    settings: &Settings,
    gradient: &[E],
    hessian: &[E],
    entries: &mut Vec<Entry>,
) -> Result<(), CheckError> {
    let sample = |g: &E| Sample { value: g.to_f64(), magnitude: g.to_f64().abs() };
    let n = problem.point.len();
    let center: Vec<Sample> = gradient.iter().map(sample).collect();
    for j in 0..n {
        let x = problem.point[j].to_f64();
        let contexts: Vec<Context> = (0..n)
            .map(|i| hessian[i * n + j].to_f64())
            .map(|analytic| settings.context(analytic, (analytic * x).abs()))
            .collect();
        let along = unit(n, j);
        let at = |offset| -> Result<Vec<Sample>, CheckError> {
            let gradient = problem.gradient(&problem.moved(&along, offset))?;
            Ok(gradient.iter().map(sample).collect())
        };
        let found = differentiate(&center, at, settings.step * problem.scale(j), &contexts)?;
        for (i, found) in found.into_iter().enumerate() {
            let (index, analytic) = (Place::Pair(i, j), contexts[i].analytic);
            entries.push(settings.judge(Comparison::Second, index, analytic, found));
        }
    }
    Ok(())
}

/// The product of the Hessian with a vector.
pub(super) type Product<'a, E> = dyn Fn(&[E]) -> Result<Vec<E>, CheckError> + 'a;

/// Compares `<H w, v>`, for two random directions, with the difference of `<grad, w>` along `v`. With
/// `v = w` an error that is antisymmetric would not be seen.
#[track_caller]
pub(super) fn second_along<E: Real>(
    problem: &Problem<'_, E>,
    settings: &Settings,
    k: usize,
    product: &Product<'_, E>,
    random: &mut Random,
) -> Result<Entry, CheckError> {
    let (v, w) = (direction(problem, random), direction(problem, random));
    let weights: Vec<E> = w.iter().map(|&w| E::lit(w)).collect();
    let row = product(&weights)?;
    let analytic: f64 = row.iter().zip(&v).map(|(h, v)| h.to_f64() * v).sum();
    let sensitivity = pair(&row, &problem.point).magnitude;
    let at = |offset| -> Result<Vec<Sample>, CheckError> {
        let gradient = problem.gradient(&problem.moved(&v, offset))?;
        Ok(vec![pair(&gradient, &weights)])
    };
    let center = at(0.0)?;
    let contexts = [settings.context(analytic, sensitivity)];
    let found = differentiate(&center, at, settings.step, &contexts)?;
    let index = Place::Direction(k);
    Ok(settings.judge(Comparison::Second, index, analytic, found[0]))
}
