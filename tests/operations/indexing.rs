//! Operations that read or write at given places.

use super::*;

#[test]
fn rows_of_tables() {
    let table = numbers([5, 3], -1.0, 1.0);
    let indices = [4, 0, 4, 2, 4];
    let tape = Tape::new();
    let rows = tape.tensor(&table).embedding(indices).value();
    assert_eq!(rows, table.rows(&indices));
    assert_gradients!(|t: TensorVar| t.embedding(indices).square(), &table);
    assert_gradients!(|t: TensorVar| t.embedding([1; 3]) * t.embedding([0, 1, 2]), &table);
    let numbers_only = numbers([6], -1.0, 1.0);
    assert_eq!(tape.tensor(&numbers_only).embedding([5, 5]).shape(), [2]);
    assert_gradients!(|t: TensorVar| t.embedding([5, 1, 5]).square(), &numbers_only);
    // Tables whose rows are tensors.
    let deep = numbers([3, 2, 2], -1.0, 1.0);
    assert_eq!(tape.tensor(&deep).embedding([2]).shape(), [1, 2, 2]);
    assert_gradients!(|t: TensorVar| t.embedding([2, 0]).square(), &deep);
}

#[test]
fn kernels_of_indexing() {
    for shape in [[1, 1], [4, 3], [7, 20]] {
        let x = numbers(shape, -1.0, 1.0);
        let [n, d] = shape;
        let rows: Vec<usize> = (0..11).map(|i| (7 * i + 3) % n).collect();
        let columns: Vec<usize> = (0..6).map(|i| (5 * i + 1) % d).collect();
        let places: Vec<usize> = (0..n * 4).map(|i| (3 * i + 2) % d).collect();
        assert_kernels_are_composites(|v| v[0].embedding(&rows), std::slice::from_ref(&x));
        assert_kernels_are_composites(|v| v[0].index_select(1, &columns), std::slice::from_ref(&x));
        assert_kernels_are_composites(
            |v| v[0].gather(1, [n, 4], &places),
            std::slice::from_ref(&x),
        );
        // What a kernel is lent is added to.
        let several = |v: &[TensorVar]| {
            v[0].embedding(&rows).square().sum()
                + v[0].embedding(&rows[..3]).sum()
                + v[0].gather(1, [n, 4], &places).square().sum()
                + v[0].index_select(1, &columns).sum()
        };
        assert_kernels_are_composites(several, &[x]);
    }
}

#[test]
fn no_rows() {
    let tape = Tape::new();
    let table = tape.tensor(numbers([4, 2], -1.0, 1.0));
    let none = table.embedding(Vec::new());
    assert_eq!(none.shape(), [0, 2]);
    assert_eq!(none.sum().backward().unwrap().wrt(table), Tensor::zeros([4, 2]));
    let narrow = tape.tensor(Tensor::zeros([4, 0]));
    assert_eq!(narrow.embedding([1, 2]).sum().backward().unwrap().wrt(narrow).len(), 0);
}
