//! The sparse Jacobian of bundle adjustment against differences, and its structure.

use gradbench::Job;
use gradbench::evals::ba::{self, CAMERA, Input, Jacobian, Sparse};

fn wave(seed: f64, i: usize) -> f64 {
    (1.7 * i as f64 + seed).sin()
}

/// Cameras, points and observations that all differ.
fn scene(n: usize, m: usize, p: usize) -> Input {
    let base = [0.02, -0.12, 0.25, 0.8, -0.3, 6.0, 4.0, 3.2, 2.4, -0.1, 0.01];
    let mut input = Input::replicated([n, m, p], base, [-0.6, 0.5, -1.0], 0.9, [3.0, 2.5]).unwrap();
    for (i, camera) in input.cameras.iter_mut().enumerate() {
        camera.iter_mut().enumerate().for_each(|(k, c)| *c += 0.05 * wave(0.3, CAMERA * i + k));
    }
    for (i, point) in input.points.iter_mut().enumerate() {
        point.iter_mut().enumerate().for_each(|(k, x)| *x += 0.3 * wave(0.7, 3 * i + k));
    }
    for (i, (weight, feature)) in input.weights.iter_mut().zip(&mut input.features).enumerate() {
        *weight += 0.1 * wave(1.1, i);
        feature[0] += wave(1.3, i);
    }
    input
}

/// All errors in the order of the rows of the Jacobian.
fn errors(input: &Input) -> Vec<f64> {
    let errors = input.objective();
    errors.reprojection.into_iter().flatten().chain(errors.weight).collect()
}

/// What the Jacobian is by, in the order of its columns.
fn variable(input: &mut Input, column: usize) -> &mut f64 {
    let of_cameras = CAMERA * input.cameras.len();
    let of_points = 3 * input.points.len();
    match column {
        c if c < of_cameras => &mut input.cameras[c / CAMERA][c % CAMERA],
        c if c < of_cameras + of_points => {
            let c = c - of_cameras;
            &mut input.points[c / 3][c % 3]
        }
        c => &mut input.weights[c - of_cameras - of_points],
    }
}

fn columns(input: &Input) -> usize {
    CAMERA * input.cameras.len() + 3 * input.points.len() + input.weights.len()
}

/// The column of the dense Jacobian by central differences of fourth order.
fn difference(input: &Input, column: usize) -> Vec<f64> {
    let at = |step: f64| {
        let mut input = input.clone();
        *variable(&mut input, column) += step;
        errors(&input)
    };
    let [a, b, c, d] = [5e-4, -5e-4, 1e-3, -1e-3].map(at);
    let slope = |i: usize| (4.0 * (a[i] - b[i]) / 1e-3 - (c[i] - d[i]) / 2e-3) / 3.0;
    (0..a.len()).map(slope).collect()
}

/// The dense matrix, by rows. An element that is there twice is a mistake.
fn dense(sparse: &Sparse, columns: usize) -> Vec<Vec<f64>> {
    let mut rows = Vec::new();
    for ends in sparse.rows.windows(2) {
        let mut row = vec![0.0; columns];
        let mut seen = vec![false; columns];
        for at in ends[0] as usize..ends[1] as usize {
            let column = sparse.columns[at] as usize;
            assert!(!std::mem::replace(&mut seen[column], true), "column {column} twice");
            row[column] = sparse.values[at];
        }
        rows.push(row);
    }
    rows
}

#[track_caller]
fn assert_jacobian(input: &Input) {
    let mut job = Jacobian::new(input).unwrap();
    job.run().unwrap();
    job.run().unwrap();
    let columns = columns(input);
    let found = dense(job.jacobian(), columns);
    let p = input.weights.len();
    assert_eq!(found.len(), 3 * p);
    assert_eq!(job.jacobian().values.len(), 31 * p);
    for column in 0..columns {
        let expected = difference(input, column);
        for (row, (found, &b)) in found.iter().zip(&expected).enumerate() {
            let a = found[column];
            let error = (a - b).abs() / (a.abs() + b.abs()).max(1.0);
            assert!(error <= 1e-8, "row {row}, column {column}: {a} and {b}");
        }
    }
}

#[test]
fn the_jacobian_is_that_of_differences() {
    assert_jacobian(&scene(2, 3, 7));
    assert_jacobian(&scene(3, 1, 2));
}

#[test]
fn a_camera_that_is_not_turned_has_its_linear_part() {
    let mut input = scene(2, 3, 6);
    input.cameras[1][..3].fill(0.0);
    // Differences of the function meet both of its branches, so the step must be seen by neither: the
    // rotation by a small angle is its linear part but for terms of second order, whose central
    // difference is zero.
    assert_jacobian(&input);
}

#[test]
fn an_angle_whose_square_is_too_small_is_none() {
    let mut input = scene(2, 3, 6);
    input.cameras[1][..3].fill(1e-170);
    assert_jacobian(&input);
    let mut linear = input.clone();
    linear.cameras[1][..3].fill(0.0);
    let values = |input: &Input| {
        let mut job = Jacobian::new(input).unwrap();
        job.run().unwrap();
        job.jacobian().values.clone()
    };
    // The other branch would divide by the angle, which is zero.
    assert_eq!(values(&input), values(&linear));
}

#[test]
fn an_observation_has_its_block_wherever_it_stands() {
    let mut input = scene(5, 7, 1030);
    // Every fifth observation takes the other branch.
    input.cameras[4][..3].fill(0.0);
    let mut job = Jacobian::new(&input).unwrap();
    job.run().unwrap();
    let jacobian = job.jacobian();
    for i in [0, 1, 4, 499, 500, 511, 624, 629, 1000, 1023, 1024, 1029] {
        let (camera, point) = input.observations[i];
        assert_eq!((camera, point), (i % 5, i % 7));
        let alone = Input {
            cameras: vec![input.cameras[camera]],
            points: vec![input.points[point]],
            weights: vec![input.weights[i]],
            features: vec![input.features[i]],
            observations: vec![(0, 0)],
        };
        let mut single = Jacobian::new(&alone).unwrap();
        single.run().unwrap();
        let here = jacobian.rows[2 * i] as usize..jacobian.rows[2 * i + 2] as usize;
        assert_eq!(jacobian.values[here.clone()], single.jacobian().values[..30]);
        assert_eq!(jacobian.columns[here.start] as usize, CAMERA * camera);
        assert_eq!(jacobian.columns[here.start + 11] as usize, CAMERA * 5 + 3 * point);
        assert_eq!(jacobian.columns[here.start + 14] as usize, CAMERA * 5 + 3 * 7 + i);
    }
    // One weight error is 1 - w^2.
    let last = *jacobian.values.last().unwrap();
    assert!((last + 2.0 * input.weights[1029]).abs() < 1e-14);
}

#[test]
fn a_rotation_by_a_right_angle_turns() {
    // The camera stands at the origin and is turned by 90 degrees about z: (1, 2, 4) becomes (-2, 1, 4).
    let mut camera = [0.0; CAMERA];
    camera[2] = std::f64::consts::FRAC_PI_2;
    (camera[6], camera[7], camera[8]) = (10.0, 1.0, 2.0);
    (camera[9], camera[10]) = (0.5, 0.25);
    let input = Input::replicated([1, 1, 1], camera, [1.0, 2.0, 4.0], 3.0, [0.5, 0.75]).unwrap();
    let square: f64 = 0.25 + 0.0625;
    let distortion = 1.0 + 0.5 * square + 0.25 * square * square;
    let expected = [-0.5 * distortion * 10.0 + 1.0 - 0.5, 0.25 * distortion * 10.0 + 2.0 - 0.75];
    let found = input.objective();
    for (found, expected) in found.reprojection[0].iter().zip(expected) {
        assert!((found - 3.0 * expected).abs() < 1e-12);
    }
    assert_eq!(found.weight, [ba::weight_error(3.0)]);
    assert_eq!(found.weight, [-8.0]);
}
