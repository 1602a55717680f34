//! The error functions, in double precision.

use super::double::{divide, fast_two_sum, scale, two_product, two_sum};
use super::exponential::{clamp, exp, reduced};
use super::{Arithmetic, poly};

/// `erf(x) / x - 1` for `z = x^2 <= 1`: minimax polynomial, error 2^-57.
#[inline(always)]
fn erf_near<A: Arithmetic>(z: f64) -> f64 {
    poly!(
        A,
        z,
        0.1283791670955126,
        -0.3761263890318355,
        0.11283791670945253,
        -0.02686617064327622,
        0.005223977607423468,
        -0.0008548325989696758,
        0.00012055295320494294,
        -1.4924744663335489e-05,
        1.6447517677871873e-06,
        -1.6209175911748696e-07,
        1.3722976265924504e-08,
        -7.801188874097751e-10
    )
}

/// Below 1 `x + x P(x^2)`, else `1 - e^-Q(x)`, where `Q = -ln(erfc)` is a polynomial on
/// `[1, 6]`, minimax for the error of the result: 2^-57.
#[inline(always)]
pub(super) fn erf<A: Arithmetic>(x: f64) -> f64 {
    let a = clamp(x.abs(), 0.0, 6.0);
    let near = A::fma(a, erf_near::<A>(a * a), a);
    let q = poly!(
        A,
        a,
        4.801340805973403e-07,
        1.1283742999423942,
        0.6366427224905653,
        0.10270584241170087,
        -0.0189945815252476,
        -0.000404717571752193,
        0.0019099246185605788,
        -0.0007658948620859124,
        0.00013211251991273703,
        2.1700176161043837e-05,
        -2.3374113348850285e-05,
        8.833591156814216e-06,
        -2.17456479400581e-06,
        3.801920839207269e-07,
        -4.731651335053977e-08,
        4.014238790891597e-09,
        -2.0890621313317482e-10,
        5.041422963457563e-12
    );
    let far = 1.0 - exp::<A>(-q);
    (if a < 1.0 { near } else { far }).copysign(x)
}

/// Near 0 `1 - erf x`. Else, with `a = |x|`, `e^(-a^2) H(t) / (a + 3)`, where
/// `H = e^(a^2) erfc(a) (a + 3)` is a minimax polynomial in `t = (a - 3) / (a + 3)` for `a` from 0.43 to
/// 28, error 2^-59; and 2 less that for `x < 0`. All three factors are pairs.
#[inline(always)]
pub(super) fn erfc<A: Arithmetic>(x: f64) -> f64 {
    let near = 1.0 - A::fma(x, erf_near::<A>(x * x), x);
    let a = clamp(x.abs(), 0.0, 28.0);
    let (square, square_low) = two_product::<A>(a, a);
    let (n, r, t) = reduced::<A>(-square);
    let (e, rest) = fast_two_sum(1.0, r);
    let e_low = (rest + t) - square_low * (e + t);
    let below = two_sum(a, 3.0);
    let (t, t_low) = divide::<A>(two_sum(a, -3.0), below);
    let q = poly!(
        A,
        t,
        0.590228357104102,
        -0.310467261900562,
        0.11952776128727564,
        -0.026827234624692595,
        -0.0012124166268122694,
        0.0030340620048879344,
        -0.0005483096976937487,
        -0.00027677788000973183,
        0.00010756154180795406,
        3.0398339612009494e-05,
        -1.747089485653481e-05,
        -4.7497627138896366e-06,
        2.766648816965544e-06,
        9.997726328367855e-07,
        -4.110235855285983e-07,
        -2.3394412249301763e-07,
        5.06294558741289e-08,
        4.965654445612745e-08,
        -4.8832874006580995e-09,
        -6.739025315085865e-09,
        6.185029914068267e-10
    );
    // The constant and linear terms are added as pairs, because they cancel for large `a`.
    let (q, q_low) = two_sum(-0.8833944531698836, t * q);
    let (tq, error) = two_product::<A>(t, q);
    let (h, rest) = two_sum(1.0740069070883398, tq);
    let h_low = (rest + error)
        + (t * (q_low + -3.594114806912549e-17) + (q * t_low - 8.910186350357513e-17));
    let (p, error) = two_product::<A>(e, h);
    let (y, y_low) = divide::<A>((p, error + (e * h_low + e_low * h)), below);
    let tail = scale(y + y_low, n);
    let far = if x < 0.0 { 2.0 - tail } else { tail };
    if x.abs() < 0.4375 { near } else { far }
}
