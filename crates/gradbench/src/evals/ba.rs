//! `ba`: bundle adjustment. The errors of `p` observations of points by cameras, and the sparse Jacobian
//! of all of them by all cameras, points and weights.

mod sparse;

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

/// The error of one observation, or of many at once: the point is turned and projected by the camera, and
/// the distance from the feature is weighted. `block` has the camera, the point and the weight.
pub fn reprojection_error<T: Elementary>(block: [T; BLOCK], feature: [T; 2]) -> [T; 2] {
    let [r0, r1, r2, c0, c1, c2, focal, u, v, k1, k2, x0, x1, x2, weight] = block;
    let [x, y, z] = rotate([r0, r1, r2], [x0 - c0, x1 - c1, x2 - c2]);
    let (x, y) = (x / z, y / z);
    let square = x * x + y * y;
    let distortion = T::lit(1.0) + k1 * square + k2 * square * square;
    let x = x * distortion * focal + u;
    let y = y * distortion * focal + v;
    [weight * (x - feature[0]), weight * (y - feature[1])]
}

/// Rodrigues' rotation of `p` about the axis `r` by the angle `|r|`; where the angle is zero, its
/// linear part `p + r x p`, which has the right derivative there.
fn rotate<T: Elementary>(r: [T; 3], p: [T; 3]) -> [T; 3] {
    let (zero, one) = (T::lit(0.0), T::lit(1.0));
    let square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    // The branch that is not taken is computed all the same, so its root needs an argument with a slope.
    let angle = T::select_gt(square, zero, square, one).sqrt();
    let (sine, cosine) = (angle.sin(), angle.cos());
    let axis = r.map(|r| r / angle);
    let turned = cross(axis, p);
    let along = (axis[0] * p[0] + axis[1] * p[1] + axis[2] * p[2]) * (one - cosine);
    let linear = cross(r, p);
    std::array::from_fn(|i| {
        let rotated = p[i] * cosine + turned[i] * sine + axis[i] * along;
        T::select_gt(square, zero, rotated, p[i] + linear[i])
    })
}

fn cross<T: Elementary>(a: [T; 3], b: [T; 3]) -> [T; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// How many observations are on the tape at once: what is recorded of them should stay in the cache.
const CHUNK: usize = 1024;

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
    /// The blocks of the observations on the tape, row by row.
    blocks: Vec<[[f64; BLOCK]; 2]>,
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
            blocks: vec![[[0.0; BLOCK]; 2]; CHUNK.min(weights.len())],
            jacobian: Sparse::new(cameras.len(), points.len(), weights.len())?,
            input: input.clone(),
        })
    }

    /// What the last run has found.
    pub fn jacobian(&self) -> &Sparse {
        &self.jacobian
    }

    /// Takes the inputs of `len` observations from `first` on apart.
    fn gather(&mut self, first: usize, len: usize) {
        if self.columns[0].len() != len {
            self.columns = std::array::from_fn(|_| Tensor::zeros([len]));
            self.features = std::array::from_fn(|_| Tensor::zeros([len]));
        }
        let (input, range) = (&self.input, first..first + len);
        let mut columns = self.columns.each_mut().map(|column| column.as_mut_slice().iter_mut());
        for i in range.clone() {
            for (column, value) in columns.iter_mut().zip(input.block(i)) {
                *column.next().expect("a column has an element for each observation") = value;
            }
        }
        for (k, features) in self.features.iter_mut().enumerate() {
            let found = input.features[range.clone()].iter().map(|feature| feature[k]);
            features.as_mut_slice().iter_mut().zip(found).for_each(|(slot, f)| *slot = f);
        }
    }

    /// The blocks of the observations that were gathered.
    fn differentiate(&mut self) -> Result<(), Error> {
        let tape = &self.tape;
        let columns = self.columns.each_ref().map(|column| tape.tensor(column));
        let features = self.features.each_ref().map(|feature| tape.constant(feature));
        let errors = reprojection_error(columns, features);
        for (row, error) in errors.into_iter().enumerate() {
            let gradients = error.sum().backward()?;
            for (k, &column) in columns.iter().enumerate() {
                match gradients.get(column) {
                    Some(partials) => self
                        .blocks
                        .iter_mut()
                        .zip(partials.iter())
                        .for_each(|(block, &partial)| block[row][k] = partial),
                    None => self.blocks.iter_mut().for_each(|block| block[row][k] = 0.0),
                }
            }
        }
        Ok(())
    }

    /// The derivatives of the errors of all weights.
    fn weights(&mut self) -> Result<(), Error> {
        for weights in self.input.weights.chunks(CHUNK) {
            self.tape.reset();
            let weights = self.tape.tensor(weights);
            let gradient = weight_error(weights).sum().backward()?.wrt(weights);
            gradient.iter().for_each(|&partial| self.jacobian.push_weight(partial));
        }
        Ok(())
    }
}

impl Job for Jacobian {
    fn run(&mut self) -> Result<(), Error> {
        self.jacobian.clear();
        let p = self.input.weights.len();
        for first in (0..p).step_by(CHUNK) {
            let len = CHUNK.min(p - first);
            // The recording before holds the buffers that are filled here.
            self.tape.reset();
            self.gather(first, len);
            self.differentiate()?;
            let observations = &self.input.observations[first..];
            for (block, &(camera, point)) in self.blocks[..len].iter().zip(observations) {
                self.jacobian.push_observation(camera, point, block);
            }
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
