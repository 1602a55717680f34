//! `ba`: bundle adjustment. The errors of `p` observations of points by cameras, and the sparse Jacobian
//! of all of them by all cameras, points and weights.

mod sparse;

use std::convert::identity;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use wengert::prelude::*;

use crate::error::expect_len;
use crate::job::{Answer, Call};
use crate::{Error, Job, Objective};

pub use sparse::Sparse;

/// How many parameters a camera has: an axis times an angle (3), its centre (3), its focal length, its
/// principal point (2) and two coefficients of its distortion.
pub const CAMERA: usize = 11;

/// How many numbers an observation depends on: a camera, a point and a weight.
pub const BLOCK: usize = CAMERA + 3 + 1;

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
        self.cameras[self.observations[i].0][..3].iter().map(|r| r * r).sum::<f64>() != 0.0
    }

    /// Both kinds of errors on plain numbers.
    pub fn objective(&self) -> Errors {
        let observed = self.features.iter().enumerate();
        let reprojection = observed.map(|(i, &feature)| {
            reprojection_error(self.block(i), feature, self.is_turned(i), identity)
        });
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

/// The error of one observation, or of many at once: the point is turned and projected by the camera, and
/// the distance from the feature is weighted.
///
/// `block` has the camera, the point and the weight; `turned` is whether the angle of the camera is not
/// zero, for all of them. Each value that the derivatives need goes through `keep`, which may compute
/// it where it is recorded and not computed yet.
pub fn reprojection_error<T: Elementary>(
    block: [T; BLOCK],
    feature: [T; 2],
    turned: bool,
    keep: impl Fn(T) -> T,
) -> [T; 2] {
    let [r0, r1, r2, c0, c1, c2, focal, u, v, k1, k2, x0, x1, x2, weight] = block;
    let centred = [x0 - c0, x1 - c1, x2 - c2].map(&keep);
    let [x, y, z] = rotate([r0, r1, r2], centred, turned, &keep);
    let (x, y) = (keep(x / z), keep(y / z));
    let square = keep(x * x + y * y);
    let slope = keep(k1 + k2 * square);
    let distortion = keep(T::lit(1.0) + slope * square);
    let scale = keep(distortion * focal);
    let projected = [x * scale + u, y * scale + v];
    std::array::from_fn(|i| weight * keep(projected[i] - feature[i]))
}

/// Rodrigues' rotation of `p` about the axis `r` by the angle `|r|`. Where the angle is zero it is its
/// linear part `p + r x p`, because the root has no derivative there.
fn rotate<T: Elementary>(r: [T; 3], p: [T; 3], turned: bool, keep: &impl Fn(T) -> T) -> [T; 3] {
    if !turned {
        let product = cross(r, p);
        return std::array::from_fn(|i| keep(p[i] + product[i]));
    }
    let angle = keep((r[0] * r[0] + r[1] * r[1] + r[2] * r[2]).sqrt());
    let (sine, cosine) = (keep(angle.sin()), keep(angle.cos()));
    let inverse = keep(angle.recip());
    let axis = r.map(|r| keep(r * inverse));
    let product = cross(axis, p).map(keep);
    let (dot, versine) = (axis[0] * p[0] + axis[1] * p[1] + axis[2] * p[2], T::lit(1.0) - cosine);
    let along = keep(keep(dot) * keep(versine));
    std::array::from_fn(|i| keep(p[i] * cosine + product[i] * sine + axis[i] * along))
}

fn cross<T: Elementary>(a: [T; 3], b: [T; 3]) -> [T; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// How many observations are on the tape at once: what is recorded of them should stay in the cache. It is no
/// power of two, for elements of all columns to have places of their own there.
const CHUNK: usize = 1500;

/// The job of finding the Jacobian.
///
/// Observations do not depend on each other. So many are recorded as one, each of the 15 inputs a tensor
/// with an element for each observation, and the gradient of the sum of their first errors has all their
/// first rows: two backward passes give all 2 x 15 blocks.
pub struct Jacobian {
    tape: Tape,
    input: Input,
    /// The inputs and the features of the observations on the tape.
    columns: [Tensor; BLOCK],
    features: [Tensor; 2],
    jacobian: Sparse,
}

impl Jacobian {
    /// The Jacobian at a point.
    ///
    /// # Errors
    /// If there is not enough memory for it.
    pub fn new(input: &Input) -> Result<Self, Error> {
        let Input { cameras, points, weights, .. } = input;
        Ok(Jacobian {
            tape: Tape::new(),
            columns: std::array::from_fn(|_| Tensor::zeros([0])),
            features: std::array::from_fn(|_| Tensor::zeros([0])),
            jacobian: Sparse::new(cameras.len(), points.len(), weights.len())?,
            input: input.clone(),
        })
    }

    /// What the last run has found.
    pub fn jacobian(&self) -> &Sparse {
        &self.jacobian
    }

    /// Takes the inputs of some observations apart.
    fn gather(&mut self, observations: Range<usize>) {
        let len = observations.len();
        if self.columns[0].len() != len {
            self.columns = std::array::from_fn(|_| Tensor::zeros([len]));
            self.features = std::array::from_fn(|_| Tensor::zeros([len]));
        }
        let mut columns = self.columns.each_mut().map(Tensor::as_mut_slice);
        let mut features = self.features.each_mut().map(Tensor::as_mut_slice);
        for (slot, i) in observations.enumerate() {
            let (block, feature) = (self.input.block(i), &self.input.features[i]);
            columns.iter_mut().zip(&block).for_each(|(column, &value)| column[slot] = value);
            features.iter_mut().zip(feature).for_each(|(column, &value)| column[slot] = value);
        }
    }

    /// Appends the blocks of the observations that were gathered.
    fn differentiate(&mut self, observations: Range<usize>) -> Result<(), Error> {
        let tape = &self.tape;
        let columns = self.columns.each_ref().map(|column| tape.tensor(column));
        let features = self.features.each_ref().map(|feature| tape.constant(feature));
        let turned = self.input.is_turned(observations.start);
        let errors = reprojection_error(columns, features, turned, computed);
        let first = errors[0].sum().backward()?;
        let second = errors[1].sum().backward()?;
        let partials = [first, second].map(|g| columns.map(|column| g.wrt(column)));
        let partials = partials.each_ref().map(|row| row.each_ref().map(Tensor::as_slice));
        let mut block = [[0.0; BLOCK]; 2];
        for (i, &(camera, point)) in self.input.observations[observations].iter().enumerate() {
            for (row, partials) in block.iter_mut().zip(&partials) {
                row.iter_mut().zip(partials).for_each(|(slot, partials)| *slot = partials[i]);
            }
            self.jacobian.push_observation(camera, point, &block);
        }
        Ok(())
    }

    /// Appends the derivatives of the errors of all weights.
    fn weights(&mut self) -> Result<(), Error> {
        for weights in self.input.weights.chunks(CHUNK) {
            self.tape.reset();
            let weights = self.tape.tensor(weights);
            let gradient = weight_error(weights).sum().backward()?.wrt(weights);
            gradient.iter().for_each(|&partial| self.jacobian.push_weight(partial));
        }
        Ok(())
    }

    /// The next observations, at most a chunk, whose cameras are all turned or all not.
    fn chunk_from(&self, first: usize) -> Range<usize> {
        let turned = self.input.is_turned(first);
        let end = self.input.weights.len().min(first + CHUNK);
        let other = (first..end).find(|&i| self.input.is_turned(i) != turned);
        first..other.unwrap_or(end)
    }
}

/// Computes a recorded value now. A backward pass would compute it again wherever it is needed.
fn computed(value: TensorVar) -> TensorVar {
    value.value();
    value
}

impl Job for Jacobian {
    fn run(&mut self) -> Result<(), Error> {
        self.jacobian.clear();
        let mut first = 0;
        while first < self.input.weights.len() {
            let chunk = self.chunk_from(first);
            // The recording before holds the buffers that are filled here.
            self.tape.reset();
            self.gather(chunk.clone());
            self.differentiate(chunk.clone())?;
            first = chunk.end;
        }
        self.weights()
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
