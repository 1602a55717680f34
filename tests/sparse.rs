//! Sparse derivatives: patterns, colourings, and the entries against dense derivatives.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wengert::autograd::functional::{hessian, jacobian};
use wengert::autograd::sparse::{
    Bicolouring, Colouring, SparseDerivative, SparseMatrix, SparsityPattern,
};
use wengert::prelude::*;

fn rosenbrock(x: &[Var]) -> Var {
    x.windows(2).map(|x| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)).sum()
}

fn point(n: usize) -> Vec<f64> {
    (0..n).map(|i| (0.37 * i as f64).cos()).collect()
}

#[test]
fn a_chain_has_three_diagonals_and_three_colours() -> Result<(), ProgramError> {
    for n in [2, 3, 10, 1000] {
        let program = Program::record(n, rosenbrock)?;
        let h = SparseDerivative::hessian(&program)?;
        assert_eq!(h.pattern().entries(), 3 * n - 2);
        assert!(h.colours() <= 3, "{}", h.colours());
        let x = point(n);
        let made = h.eval(&x)?;
        for i in 0..n {
            let mut diagonal =
                if i + 1 < n { 1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 2.0 } else { 0.0 };
            diagonal += if i > 0 { 200.0 } else { 0.0 };
            assert!((made.get(i, i) - diagonal).abs() <= 1e-11 * diagonal.abs(), "{i}");
            if i + 1 < n {
                assert!((made.get(i, i + 1) + 400.0 * x[i]).abs() < 1e-10, "{i}");
                assert_eq!(made.get(i, i + 1), made.get(i + 1, i));
            }
        }
    }
    Ok(())
}

#[test]
fn an_arrow_has_two_colours() -> Result<(), ProgramError> {
    // Every variable meets the first one: by columns that takes as many colours as there are variables.
    let arrow = |x: &[Var]| x[1..].iter().map(|&y| (x[0] * y).sin()).sum::<Var>();
    let program = Program::record(50, arrow)?;
    let h = SparseDerivative::hessian(&program)?;
    assert_eq!((h.colours(), Colouring::columns(h.pattern()).colours()), (2, 50));
    let expected = hessian(|x: Vec<Var>| arrow(&x), point(50)).unwrap();
    approx::assert_relative_eq!(h.eval(&point(50))?.to_dense(), expected, epsilon = 1e-12);
    Ok(())
}

#[test]
fn jacobians_take_the_side_with_fewer_colours() -> Result<(), ProgramError> {
    // A dense row and a diagonal: by rows two passes, by columns as many as there are columns.
    let f = |x: &[Var]| {
        let mut y: Vec<Var> = x.iter().map(|x| x.exp()).collect();
        y.push(x.iter().map(|x| x.sin()).sum());
        y
    };
    let program = Program::record(40, f)?;
    let j = SparseDerivative::jacobian(&program)?;
    assert_eq!((j.colours(), j.pattern().entries()), (2, 80));
    let expected = jacobian(|x: Vec<Var>| f(&x), point(40)).unwrap();
    approx::assert_relative_eq!(j.eval(&point(40))?.to_dense(), expected, epsilon = 1e-13);
    // The pattern and the colouring serve another program of the same structure.
    let columns = Colouring::columns(j.pattern());
    let other =
        Program::record(40, |x: &[Var]| f(x).into_iter().map(|y| y * 2.0).collect::<Vec<_>>())?;
    let twice = SparseDerivative::jacobian_by_columns(&other, j.pattern().clone(), &columns)?;
    approx::assert_relative_eq!(
        twice.eval(&point(40))?.to_dense(),
        expected.map(|e| 2.0 * e),
        epsilon = 1e-13
    );
    assert_eq!(twice.colours(), 40);
    Ok(())
}

#[test]
fn an_arrow_of_rows_and_columns_has_few_colours() -> Result<(), ProgramError> {
    // A dense row, a dense column, and a band of three: by one side as many passes as there are variables.
    const N: usize = 60;
    let f = |x: &[Var]| -> Vec<Var> {
        let sum = x.iter().enumerate().map(|(k, x)| (x * (1.0 + k as f64)).sin()).sum::<Var>();
        let band = |i: usize| (x[i - 1] * x[i]).exp() + x[(i + 1) % N].powi(2) * x[0];
        std::iter::once(sum).chain((1..N).map(band)).collect()
    };
    let program = Program::record(N, f)?;
    let j = SparseDerivative::jacobian(&program)?;
    assert_eq!(Colouring::columns(j.pattern()).colours(), N);
    assert!(Colouring::rows(j.pattern()).colours() >= N - 1);
    assert!(j.colours() <= 6, "{}", j.colours());
    let expected = jacobian(|x: Vec<Var>| f(&x), point(N)).unwrap();
    approx::assert_relative_eq!(j.eval(&point(N))?.to_dense(), expected, epsilon = 1e-12);
    // The colouring serves another program of the same structure.
    let colouring = Bicolouring::new(j.pattern());
    assert_eq!((colouring.rows(), colouring.colours()), (1, j.colours()));
    let twice =
        Program::record(N, |x: &[Var]| f(x).into_iter().map(|y| y * 2.0).collect::<Vec<_>>())?;
    let twice = SparseDerivative::jacobian_by_both(&twice, j.pattern().clone(), &colouring)?;
    let expected = expected.map(|e| 2.0 * e);
    approx::assert_relative_eq!(twice.eval(&point(N))?.to_dense(), expected, epsilon = 1e-12);
    // Nothing to ask for.
    let constant = Program::record(2, |_: &[Var]| [Var::constant(1.0), Var::constant(2.0)])?;
    let nothing = SparseDerivative::jacobian(&constant)?;
    assert_eq!((nothing.colours(), nothing.pattern().entries()), (0, 0));
    assert_eq!(nothing.eval(&[1.0, 2.0])?.get(1, 1), 0.0);
    Ok(())
}

#[test]
#[should_panic(expected = "have one colour")]
fn a_bicolouring_that_does_not_separate() {
    let narrow = SparsityPattern::from_rows(3, (0..3).map(|i| vec![i]));
    let program = Program::record(3, |x: &[Var]| [x[0] * x[1], x[1], x[2]]).unwrap();
    let pattern = SparsityPattern::jacobian(&program);
    let _ = SparseDerivative::jacobian_by_both(&program, pattern, &Bicolouring::new(&narrow));
}

#[test]
fn of_several_divisions_the_best_one_is_taken() {
    // The corners of a tetrahedron by its edges: any two corners have an edge in common, but the edges fall into
    // three pairs that do not meet. The bound speaks for the corners.
    let edges = |i: usize| {
        (0..4).filter(move |&j| j != i).map(move |j| i.max(j) * (i.max(j) - 1) / 2 + i.min(j))
    };
    let corners = SparsityPattern::from_rows(6, (0..4).map(|i| edges(i).collect()));
    assert_eq!(
        (Colouring::rows(&corners).colours(), Colouring::columns(&corners).colours()),
        (4, 3)
    );
    assert_eq!(Bicolouring::new(&corners).colours(), 3);
}

/// The columns are apart, but the rows of the reverse passes meet.
#[test]
#[should_panic(expected = "have one colour")]
fn a_bicolouring_whose_rows_meet() {
    let narrow = SparsityPattern::from_rows(6, [vec![0, 1, 2], vec![3, 4, 5], vec![0], vec![3]]);
    let colouring = Bicolouring::new(&narrow);
    assert_eq!((colouring.rows(), colouring.columns()), (2, 0));
    let program =
        Program::record(6, |x: &[Var]| [x[0] * x[1] * x[2] * x[3], x[3] * x[4] * x[5], x[0], x[3]]);
    let program = program.unwrap();
    let pattern = SparsityPattern::jacobian(&program);
    let _ = SparseDerivative::jacobian_by_both(&program, pattern, &colouring);
}

#[test]
fn what_has_no_derivative_is_not_in_the_pattern() -> Result<(), ProgramError> {
    let program = Program::record(4, |x: &[Var]| {
        [Var::select_gt(x[0], x[1], x[2], 1.0), x[3].stop_gradient() * x[0], 3.0.into()]
    })?;
    let pattern = SparsityPattern::jacobian(&program);
    assert_eq!((pattern.row(0), pattern.row(1), pattern.row(2)), (&[2][..], &[0][..], &[][..]));
    Ok(())
}

#[test]
fn patterns_and_matrices() {
    let pattern = SparsityPattern::from_rows(3, [vec![2, 0], vec![], vec![1, 1]]);
    assert_eq!((pattern.rows(), pattern.entries()), (3, 3));
    assert_eq!(pattern.iter().collect::<Vec<_>>(), [(0, 0), (0, 2), (2, 1)]);
    assert_eq!(pattern.transposed().transposed(), pattern);
    let symmetric = pattern.symmetric();
    assert_eq!(
        symmetric.iter().collect::<Vec<_>>(),
        [(0, 0), (0, 2), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    );
    let matrix = SparseMatrix::new(pattern, vec![1.0, 2.0, 3.0]);
    let dense = Tensor::from([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, 3.0, 0.0]]);
    assert_eq!(matrix.to_dense(), dense);
    assert_eq!(matrix.times(&[1.0, 10.0, 100.0]), [201.0, 0.0, 30.0]);
    assert_eq!(matrix.transposed().values(), [1.0, 3.0, 2.0]);
    let theirs = faer::sparse::SparseRowMat::from(&matrix);
    assert_eq!((theirs.get(0, 2), theirs.get(1, 1)), (Some(&2.0), None));
    let theirs = sprs::CsMat::from(&matrix);
    assert_eq!((theirs.get(2, 1), theirs.nnz()), (Some(&3.0), 3));
}

#[test]
#[should_panic(expected = "row 0 has an entry in column 3 of 3")]
fn a_pattern_with_an_entry_outside() {
    SparsityPattern::from_rows(3, [vec![3]]);
}

#[test]
#[should_panic(expected = "two entries of row 0 have one colour")]
fn a_colouring_that_does_not_separate() {
    let narrow = SparsityPattern::from_rows(2, [vec![0], vec![1]]);
    let program = Program::record(2, |x: &[Var]| [x[0] * x[1], x[0]]).unwrap();
    let pattern = SparsityPattern::jacobian(&program);
    let _ = SparseDerivative::jacobian_by_columns(&program, pattern, &Colouring::columns(&narrow));
}

#[test]
#[should_panic(expected = "cannot be read off")]
fn a_colouring_that_is_no_star_colouring() {
    let narrow = SparsityPattern::from_rows(4, (0..4).map(|i| vec![i]));
    let program = Program::record(4, rosenbrock).unwrap();
    let pattern = SparsityPattern::jacobian(&program.gradient().unwrap()).symmetric();
    let _ = SparseDerivative::hessian_with(&program, pattern, &Colouring::star(&narrow));
}

/// Sums of products of few variables each, chosen at random.
fn terms() -> impl Strategy<Value = (usize, Vec<Vec<usize>>)> {
    (2..16usize).prop_flat_map(|n| {
        let term = prop::collection::vec(0..n, 1..4);
        (Just(n), prop::collection::vec(term, 1..24))
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1964),
        ..Default::default()
    })]

    #[test]
    fn random_structures((n, terms) in terms()) {
        let term = |x: &[Var], term: &[usize]| {
            term.iter().enumerate().map(|(k, &i)| (x[i] + 0.1 * k as f64).sin()).product::<Var>()
        };
        let each = |x: &[Var]| terms.iter().map(|t| term(x, t)).collect::<Vec<Var>>();
        let x = point(n);
        let program = Program::record(n, each).unwrap();
        let made = SparseDerivative::jacobian(&program).unwrap();
        let expected = jacobian(|x: Vec<Var>| each(&x), x.clone()).unwrap();
        approx::assert_relative_eq!(made.eval(&x).unwrap().to_dense(), expected, epsilon = 1e-12);
        // By either side.
        let pattern = SparsityPattern::jacobian(&program);
        let rows = SparseDerivative::jacobian_by_rows(&program, pattern.clone(), &Colouring::rows(&pattern));
        approx::assert_relative_eq!(rows.unwrap().eval(&x).unwrap().to_dense(), expected, epsilon = 1e-12);
        let columns = Colouring::columns(&pattern);
        // With at most three lengths of rows all divisions are tried, those of one side alone among them.
        let fewest = columns.colours().min(Colouring::rows(&pattern).colours());
        assert!(Bicolouring::new(&pattern).colours() <= fewest);
        let columns = SparseDerivative::jacobian_by_columns(&program, pattern, &columns);
        approx::assert_relative_eq!(columns.unwrap().eval(&x).unwrap().to_dense(), expected, epsilon = 1e-12);
        let sum = |x: &[Var]| each(x).into_iter().sum::<Var>();
        let program = Program::record(n, sum).unwrap();
        let made = SparseDerivative::hessian(&program).unwrap();
        let expected = hessian(|x: Vec<Var>| sum(&x), x.clone()).unwrap();
        approx::assert_relative_eq!(made.eval(&x).unwrap().to_dense(), expected, epsilon = 1e-11);
    }
}
