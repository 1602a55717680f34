//! `ba`: bundle adjustment. The errors of `p` observations of points by cameras, and the sparse Jacobian
//! of all of them by all cameras, points and weights.

mod sparse;

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use super::ready;
use crate::error::expect_len;
use crate::job::{Answer, Call};
use crate::{Error, Job, Objective};

use sparse::BOTH_ROWS;
pub use sparse::Sparse;

/// How many parameters a camera has: an axis times an angle (3), its centre (3), its focal length, its
/// principal point (2) and two coefficients of its distortion.
pub const CAMERA: usize = 11;

/// How many numbers an observation depends on: a camera, a point and a weight.
pub const BLOCK: usize = CAMERA + 3 + 1;

/// Which of them is the weight.
const WEIGHT: usize = BLOCK - 1;

/// The input as the protocol has it: one camera, point, weight and feature stand for all of them.
#[derive(Clone, Debug, Deserialize)]
struct Replicated {
    n: usize,
    m: usize,
    p: usize,
    cam: Vec<f64>,
    x: Vec<f64>,
    w: f64,
    feat: Vec<f64>,
}

/// The input of both functions.
#[derive(Clone, Debug)]
pub struct Input {
    /// The cameras.
    pub cameras: Vec<[f64; CAMERA]>,
    /// The points.
    pub points: Vec<[f64; 3]>,
    /// The weight of each observation.
    pub weights: Vec<f64>,
    /// Where each observation was seen.
    pub features: Vec<[f64; 2]>,
    /// The camera and the point of each observation.
    pub observations: Vec<(usize, usize)>,
}

impl Replicated {
    fn checked(self) -> Result<Input, Error> {
        let Replicated { n, m, p, cam, x, w, feat } = self;
        expect_len("the elements of cam", cam.len(), CAMERA)?;
        expect_len("the elements of x", x.len(), 3)?;
        expect_len("the elements of feat", feat.len(), 2)?;
        let camera = std::array::from_fn(|i| cam[i]);
        Input::replicated([n, m, p], camera, [x[0], x[1], x[2]], w, [feat[0], feat[1]])
    }
}

/// A vector of `len` elements, or an error if there is not the memory.
fn reserved<T>(len: usize) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    let reserved = all.try_reserve_exact(len);
    reserved.map_err(|_| Error::input("there is not enough memory for an input of this size"))?;
    Ok(all)
}

fn repeated<T: Copy>(element: T, len: usize) -> Result<Vec<T>, Error> {
    let mut all = reserved(len)?;
    all.resize(len, element);
    Ok(all)
}

impl Input {
    /// `n` cameras, `m` points and `p` observations that are all alike; observation `i` is that of point
    /// `i mod m` by camera `i mod n`.
    ///
    /// # Errors
    /// If there are none of them, or too many.
    pub fn replicated(
        [n, m, p]: [usize; 3],
        camera: [f64; CAMERA],
        point: [f64; 3],
        weight: f64,
        feature: [f64; 2],
    ) -> Result<Self, Error> {
        if n == 0 || m == 0 || p == 0 {
            return Err(Error::input("n, m and p should be at least 1"));
        }
        Sparse::check(n, m, p)?;
        let mut observations = reserved(p)?;
        observations.extend((0..p).map(|i| (i % n, i % m)));
        Ok(Input {
            cameras: repeated(camera, n)?,
            points: repeated(point, m)?,
            weights: repeated(weight, p)?,
            features: repeated(feature, p)?,
            observations,
        })
    }

    /// The numbers that observation `i` depends on.
    fn block(&self, i: usize) -> [f64; BLOCK] {
        let (camera, point) = self.observations[i];
        let (camera, point) = (&self.cameras[camera], &self.points[point]);
        let mut block = [0.0; BLOCK];
        block[..CAMERA].copy_from_slice(camera);
        block[CAMERA..CAMERA + 3].copy_from_slice(point);
        block[CAMERA + 3] = self.weights[i];
        block
    }

    /// Whether the camera of observation `i` has an angle that is not zero.
    fn is_turned(&self, i: usize) -> bool {
        let [r0, r1, r2, ..] = self.cameras[self.observations[i].0];
        square_of_angle([r0, r1, r2]) != 0.0
    }

    /// Both kinds of errors on plain numbers.
    pub fn objective(&self) -> Errors {
        let observed = self.features.iter().enumerate();
        let reprojection = observed.map(|(i, &feature)| reprojection_error(self.block(i), feature));
        Errors {
            reprojection: reprojection.collect(),
            weight: self.weights.iter().map(|&w| weight_error(w)).collect(),
        }
    }
}

/// The errors of all observations.
#[derive(Clone, Debug)]
pub struct Errors {
    /// The distance of the projected point from where it was seen.
    pub reprojection: Vec<[f64; 2]>,
    /// The distance of a weight from 1, so to speak.
    pub weight: Vec<f64>,
}

/// As the protocol has it: all observations are alike, so the first stands for all of them.
impl Serialize for Errors {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (count, weight) = (self.weight.len(), self.weight.first());
        serde_json::json!({
            "reproj_error": { "elements": self.reprojection.first(), "repeated": count },
            "w_err": { "element": weight, "repeated": count },
        })
        .serialize(serializer)
    }
}

/// `1 - w^2`.
pub fn weight_error<T: Elementary>(w: T) -> T {
    T::lit(1.0) - w * w
}

/// The error of one observation: the point is turned and projected by the camera, and the distance from
/// the feature is weighted. `block` has the camera, the point and the weight.
pub fn reprojection_error<T: Elementary + PartialEq>(block: [T; BLOCK], feature: [T; 2]) -> [T; 2] {
    let [r0, r1, r2, c0, c1, c2, focal, u, v, k1, k2, x0, x1, x2, weight] = block;
    let [x, y, z] = rotate([r0, r1, r2], [x0 - c0, x1 - c1, x2 - c2]);
    let (x, y) = (x / z, y / z);
    let square = x * x + y * y;
    let distortion = T::lit(1.0) + (k1 + k2 * square) * square;
    let scale = distortion * focal;
    [weight * (x * scale + u - feature[0]), weight * (y * scale + v - feature[1])]
}

/// Rodrigues' rotation of `p` about the axis `r` by the angle `|r|`. Where the angle is zero it is its
/// linear part `p + r x p`, because the root has no derivative there.
fn rotate<T: Elementary + PartialEq>(r: [T; 3], p: [T; 3]) -> [T; 3] {
    let square = square_of_angle(r);
    if square == T::lit(0.0) {
        let product = cross(r, p);
        return std::array::from_fn(|i| p[i] + product[i]);
    }
    let angle = square.sqrt();
    let (sine, cosine, inverse) = (angle.sin(), angle.cos(), angle.recip());
    let axis = r.map(|r| r * inverse);
    let product = cross(axis, p);
    let dot = axis[0] * p[0] + axis[1] * p[1] + axis[2] * p[2];
    let along = dot * (T::lit(1.0) - cosine);
    std::array::from_fn(|i| p[i] * cosine + product[i] * sine + axis[i] * along)
}

fn square_of_angle<T: Elementary>(r: [T; 3]) -> T {
    r[0] * r[0] + r[1] * r[1] + r[2] * r[2]
}

fn cross<T: Elementary>(a: [T; 3], b: [T; 3]) -> [T; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The numbers that are given for an observation: the block, and the feature behind it.
const GIVEN: usize = BLOCK + 2;

/// The partial derivatives for one observation: by the elements of its block those of both reprojection errors,
/// and by the weight that of the weight's error.
const PARTIALS: usize = BOTH_ROWS + 1;

/// The program that makes the partial derivatives of one observation, whose camera is turned or not.
fn partials(turned: bool) -> Result<Program, Error> {
    let mut point = [1.0; GIVEN];
    point[..3].fill(if turned { 1.0 } else { 0.0 });
    let errors = Program::record_at(&point, |given| {
        let block = std::array::from_fn(|k| given[k]);
        let [x, y] = reprojection_error(block, [given[BLOCK], given[BLOCK + 1]]);
        [x, y, weight_error(given[WEIGHT])]
    })?;
    let row = |k: usize| k * GIVEN..k * GIVEN + BLOCK;
    let wanted: Vec<usize> = row(0).chain(row(1)).chain([2 * GIVEN + WEIGHT]).collect();
    ready(errors.jacobian()?.select(&wanted)?, |_| false)
}

/// How many observations are computed at once: what is given and found for them should stay in the cache. It
/// is no power of two, for the columns to have places of their own there.
const CHUNK: usize = 500;

/// The job of finding the Jacobian.
///
/// What an observation contributes is recorded once, with all its partial derivatives, and run for many
/// observations at a time. There are two programs, because a camera that is not turned takes the other branch of
/// the function; each program checks that the branch is its own.
pub struct Jacobian {
    input: Input,
    /// For cameras that are not turned, and for those that are.
    programs: [Program; 2],
    given: [Vec<f64>; GIVEN],
    partials: [Vec<f64>; PARTIALS],
    jacobian: Sparse,
}

impl Jacobian {
    /// The Jacobian at a point.
    ///
    /// # Errors
    /// If there is not enough memory for it.
    pub fn new(input: &Input) -> Result<Self, Error> {
        let Input { cameras, points, observations, .. } = input;
        Ok(Jacobian {
            programs: [partials(false)?, partials(true)?],
            given: std::array::from_fn(|_| vec![0.0; CHUNK]),
            partials: std::array::from_fn(|_| vec![0.0; CHUNK]),
            jacobian: Sparse::new(cameras.len(), points.len(), observations)?,
            input: input.clone(),
        })
    }

    /// What the last run has found.
    pub fn jacobian(&self) -> &Sparse {
        &self.jacobian
    }

    /// Fills in the elements of some observations, at most a chunk, whose cameras are all turned or all not.
    fn differentiate(&mut self, turned: bool, observations: &[usize]) -> Result<(), Error> {
        let len = observations.len();
        let mut given = self.given.each_mut().map(|column| &mut column[..len]);
        for (slot, &i) in observations.iter().enumerate() {
            let [block @ .., u, v] = &mut given;
            let columns = block.iter_mut().zip(self.input.block(i));
            columns.for_each(|(column, value)| column[slot] = value);
            [u[slot], v[slot]] = self.input.features[i];
        }
        let given = given.map(|column| &*column);
        let mut partials = self.partials.each_mut().map(|column| &mut column[..len]);
        self.programs[usize::from(turned)].eval_many_into(&given, &mut partials)?;
        let [of_block @ .., of_weight] = partials;
        let (blocks, weights) = self.jacobian.parts_mut();
        for (slot, &i) in observations.iter().enumerate() {
            let elements = blocks[i].iter_mut().zip(&of_block);
            elements.for_each(|(element, column)| *element = column[slot]);
            weights[i] = of_weight[slot];
        }
        Ok(())
    }
}

impl Job for Jacobian {
    fn run(&mut self) -> Result<(), Error> {
        let all = 0..self.input.observations.len();
        let (turned, others): (Vec<_>, Vec<_>) = all.partition(|&i| self.input.is_turned(i));
        turned.chunks(CHUNK).try_for_each(|chunk| self.differentiate(true, chunk))?;
        others.chunks(CHUNK).try_for_each(|chunk| self.differentiate(false, chunk))
    }

    fn output(&self) -> impl Serialize {
        self.jacobian.summary()
    }
}

pub(crate) fn evaluate(function: &str, call: &Call<'_>) -> Result<Answer, Error> {
    let input = call.input::<Replicated>()?.checked()?;
    match function {
        "objective" => call.repeat(|| Ok(Objective::new(|| input.objective()))),
        "jacobian" => call.repeat(|| Jacobian::new(&input)),
        _ => Err(Error::Function { module: "ba", function: function.to_owned() }),
    }
}
