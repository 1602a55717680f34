//! Which columns are asked for together.

use super::SparsityPattern;

/// A colour for each column (or row) of a matrix. Those of one colour are computed in one pass.
///
/// It depends on the pattern alone, so it is made once and used for every program of the same structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colouring {
    colours: Vec<u32>,
    count: usize,
}

const NONE: u32 = u32::MAX;

impl Colouring {
    /// Columns that share a row get different colours (a distance-2 colouring of the bipartite graph), greedily,
    /// those with the most entries first.
    pub fn columns(pattern: &SparsityPattern) -> Self {
        let by_column = pattern.transposed();
        Self::greedily(&by_column, |j, colours, forbid| {
            for &i in by_column.row(j) {
                for &other in pattern.row(i) {
                    forbid(colours[other]);
                }
            }
        })
    }

    /// Rows that share a column get different colours.
    pub fn rows(pattern: &SparsityPattern) -> Self {
        Self::columns(&pattern.transposed())
    }

    /// A star colouring of a symmetric matrix: neighbours differ, and no path of four columns has two colours;
    /// so each entry can be read off in its own place or in that of its mirror image (Gebremedhin, Manne,
    /// Pothen, *What color is your Jacobian?*, 2005, algorithm 4.1).
    ///
    /// # Panics
    /// If the pattern is not square.
    #[track_caller]
    pub fn star(pattern: &SparsityPattern) -> Self {
        pattern.assert_size("columns", pattern.columns(), pattern.rows());
        let neighbours = |v: usize| pattern.row(v).iter().copied().filter(move |&w| w != v);
        Self::greedily(pattern, |v, colours, forbid| {
            for w in neighbours(v) {
                forbid(colours[w]);
                for x in neighbours(w).filter(|&x| x != v && colours[x] != NONE) {
                    // Next to one without a colour yet: that will have a neighbour on either side.
                    let closes_path = colours[w] == NONE
                        || neighbours(x).any(|y| y != w && colours[y] == colours[w]);
                    if closes_path {
                        forbid(colours[x]);
                    }
                }
            }
        })
    }

    /// Gives each row of `degrees` the first colour that `forbid` is not called with.
    fn greedily(
        degrees: &SparsityPattern,
        mut forbidden: impl FnMut(usize, &[u32], &mut dyn FnMut(u32)),
    ) -> Self {
        let n = degrees.rows();
        if degrees.entries() == 0 {
            // There is nothing to ask for.
            return Colouring { colours: vec![0; n], count: 0 };
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&v| std::cmp::Reverse(degrees.row(v).len()));
        let mut colours = vec![NONE; n];
        // For each colour, the last one that must not have it.
        let mut taken: Vec<usize> = Vec::new();
        for &v in &order {
            forbidden(v, &colours, &mut |colour| {
                if colour != NONE {
                    taken[colour as usize] = v;
                }
            });
            let colour = taken.iter().position(|&by| by != v).unwrap_or_else(|| {
                taken.push(usize::MAX);
                taken.len() - 1
            });
            colours[v] = colour as u32;
        }
        Colouring { colours, count: taken.len() }
    }

    /// How many colours there are.
    pub fn colours(&self) -> usize {
        self.count
    }

    /// The colour of column (or row) `k`.
    ///
    /// # Panics
    /// If there is no such column.
    #[track_caller]
    pub fn colour(&self, k: usize) -> usize {
        assert!(k < self.colours.len(), "colouring: number {k} of {}", self.colours.len());
        self.colours[k] as usize
    }

    /// The columns (or rows) that have a colour.
    pub fn members(&self, colour: usize) -> impl Iterator<Item = usize> + '_ {
        let own = move |&(_, &c): &(usize, &u32)| c as usize == colour;
        self.colours.iter().enumerate().filter(own).map(|(k, _)| k)
    }

    #[track_caller]
    pub(super) fn assert_separates_columns(&self, pattern: &SparsityPattern) {
        pattern.assert_size("columns", pattern.columns(), self.colours.len());
        assert!(self.count > 0 || pattern.entries() == 0, "colouring: no pass for any entry");
        let mut owner = vec![usize::MAX; self.count];
        for i in 0..pattern.rows() {
            for &j in pattern.row(i) {
                let owner = &mut owner[self.colour(j)];
                assert!(*owner != i, "colouring: two entries of row {i} have one colour");
                *owner = i;
            }
        }
    }

    /// For each entry of a symmetric pattern, where it stands in the passes: row and colour.
    ///
    /// # Panics
    /// If an entry cannot be read off.
    #[track_caller]
    pub(super) fn star_sources(&self, pattern: &SparsityPattern) -> Vec<(usize, usize)> {
        pattern.assert_size("columns", pattern.columns(), self.colours.len());
        // How many entries of a row have each colour.
        let mut counts = vec![(usize::MAX, 0u32); self.count];
        let mut alone = Vec::with_capacity(pattern.entries());
        for i in 0..pattern.rows() {
            for &j in pattern.row(i) {
                let count = &mut counts[self.colour(j)];
                *count = if count.0 == i { (i, count.1 + 1) } else { (i, 1) };
            }
            alone.extend(pattern.row(i).iter().map(|&j| counts[self.colour(j)].1 == 1));
        }
        // A loop and not closures, which would lose the caller's line.
        let mut sources = Vec::with_capacity(pattern.entries());
        for ((i, j), &own) in pattern.iter().zip(&alone) {
            let Ok(place) = pattern.row(j).binary_search(&i) else {
                panic!("colouring: the pattern has the entry ({i}, {j}) and not its mirror image")
            };
            let mirrored = alone[pattern.offsets()[j] + place];
            // The same of both for an entry and its mirror image, so that they have the same bits.
            let (low, high) = (i.min(j), i.max(j));
            let (low_row, high_row) = if i == low { (own, mirrored) } else { (mirrored, own) };
            assert!(low_row || high_row, "colouring: the entry ({i}, {j}) cannot be read off");
            let at_low = (low, self.colour(high));
            sources.push(if low_row { at_low } else { (high, self.colour(low)) });
        }
        sources
    }
}
