//! `kmeans`: the sum of the squared distances of points from the nearest of some centroids,
//! `f(C) = sum_i min_j |C_j - P_i|^2`, and the direction of Newton's method, which is the gradient over the
//! diagonal of the Hessian.

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use crate::error::expect_len;
use crate::job::{Answer, Call};
use crate::{Error, Job, Matrix, Objective};

/// The input of both functions.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    /// The points, a row each.
    pub points: Matrix,
    /// The centroids, a row each.
    pub centroids: Matrix,
}

impl Input {
    fn checked(self) -> Result<Self, Error> {
        let Input { points, centroids } = &self;
        if points.data.is_empty() || centroids.data.is_empty() {
            return Err(Error::input("there should be points, centroids and coordinates"));
        }
        expect_len("the coordinates of a centroid", centroids.columns, points.columns)?;
        Ok(self)
    }

    /// The function on plain numbers.
    pub fn cost(&self) -> f64 {
        let mut distances = Distances::new(&self.centroids);
        self.points.iter_rows().map(|point| smallest(distances.from(point))).sum()
    }
}

/// How many centroids are met at once. They do not depend on each other, so the compiler makes vector
/// instructions of a loop over them.
const LANES: usize = 8;

/// Finds the squared distances of a point from all centroids.
struct Distances {
    /// The dimension.
    d: usize,
    /// The coordinates of the first centroids, of the next ones, and so on; the last are filled up with
    /// centroids that are infinitely far.
    coordinates: Vec<[f64; LANES]>,
    distances: Vec<[f64; LANES]>,
}

impl Distances {
    fn new(centroids: &Matrix) -> Self {
        let (d, groups) = (centroids.columns, centroids.rows.div_ceil(LANES));
        let mut coordinates = vec![[f64::INFINITY; LANES]; groups * d];
        for (j, centroid) in centroids.iter_rows().enumerate() {
            for (l, &c) in centroid.iter().enumerate() {
                coordinates[j / LANES * d + l][j % LANES] = c;
            }
        }
        Distances { d, coordinates, distances: vec![[0.0; LANES]; groups] }
    }

    fn from(&mut self, point: &[f64]) -> &[[f64; LANES]] {
        for (out, group) in self.distances.iter_mut().zip(self.coordinates.chunks_exact(self.d)) {
            let mut sums = [0.0; LANES];
            for (p, coordinates) in point.iter().zip(group) {
                for (sum, c) in sums.iter_mut().zip(coordinates) {
                    *sum += (p - c) * (p - c);
                }
            }
            *out = sums;
        }
        &self.distances
    }
}

/// The smallest of some numbers.
fn smallest(numbers: &[[f64; LANES]]) -> f64 {
    let mut best = [f64::INFINITY; LANES];
    for numbers in numbers {
        for (best, &x) in best.iter_mut().zip(numbers) {
            *best = if x < *best { x } else { *best };
        }
    }
    best.into_iter().fold(f64::INFINITY, f64::min)
}

/// Where the smallest of some numbers is, the first one where there are several.
fn place_of_smallest(numbers: &[[f64; LANES]]) -> usize {
    let smallest = smallest(numbers);
    numbers.as_flattened().iter().position(|&x| x == smallest).unwrap_or(0)
}

/// The direction of Newton's method.
///
/// Which centroid is the nearest to a point is found on plain numbers: a minimum hands its cotangent to
/// the smallest operand alone, and the choice itself has no derivative. So what is recorded is the sum of
/// the squared distances to the chosen ones.
///
/// The Hessian `H` of it is diagonal, because no term has two coordinates of centroids in it. So its
/// diagonal is the product of `H` with the vector of ones: one backward pass over the recorded gradient.
pub struct Direction {
    tape: Tape,
    input: Input,
    points: Tensor,
    centroids: Tensor,
    direction: Matrix,
}

impl Direction {
    /// The direction at the given centroids.
    pub fn new(input: &Input) -> Self {
        Direction {
            tape: Tape::new(),
            points: input.points.tensor(),
            centroids: input.centroids.tensor(),
            direction: input.centroids.clone(),
            input: input.clone(),
        }
    }

    /// What the last run has found.
    pub fn direction(&self) -> &Matrix {
        &self.direction
    }
}

impl Job for Direction {
    fn run(&mut self) -> Result<(), Error> {
        let Input { points, centroids } = &self.input;
        let mut distances = Distances::new(centroids);
        let nearest = points.iter_rows().map(|point| place_of_smallest(distances.from(point)));
        let chosen: Vec<_> = nearest.collect();

        self.tape.reset();
        let c = self.tape.tensor(&self.centroids);
        let cost = (c.index_select(0, chosen) - &self.points).square().sum();
        let gradient = cost.grad_recorded(&[c])?[0].expect("every point has chosen a centroid");
        let diagonal = gradient.sum().backward()?.wrt(c);

        if let Some(at) = diagonal.iter().position(|&h| h == 0.0) {
            let j = at / centroids.columns;
            let message = "is the nearest to no point, so the Hessian is singular";
            return Err(Error::input(format!("centroid {j} {message}")));
        }
        let gradient = gradient.value();
        let quotients = gradient.iter().zip(diagonal.iter()).map(|(g, h)| g / h);
        self.direction.data.iter_mut().zip(quotients).for_each(|(d, quotient)| *d = quotient);
        Ok(())
    }

    fn output(&self) -> impl Serialize {
        self.direction()
    }
}

pub(crate) fn evaluate(function: &str, call: &Call<'_>) -> Result<Answer, Error> {
    let input = call.input::<Input>()?.checked()?;
    match function {
        "cost" => call.repeat(|| Ok(Objective::new(|| input.cost()))),
        "dir" => call.repeat(|| Ok(Direction::new(&input))),
        _ => Err(Error::Function { module: "kmeans", function: function.to_owned() }),
    }
}
