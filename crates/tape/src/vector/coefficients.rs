//! The numbers that the functions in machine code use, too: coefficients of polynomials, the lowest power first, and how
//! arguments are reduced.
//!
//! Where they are good, and how good, stands at the functions.

pub(crate) mod double {
    /// 1.5 * 2^52: to a sum with it every number below 2^51 is rounded to an integer.
    pub(crate) const SHIFT: f64 = 6_755_399_441_055_744.0;
    /// The sum with an integer has in its lowest bits that integer and the bias of two exponents.
    pub(crate) const TWO_BIASES: f64 = SHIFT + 2046.0;
    /// `ln 2` as a number of 41 bits and a rest.
    pub(crate) const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fefa_4000);
    pub(crate) const LN2_LOW: f64 = -1.7239444525614835e-13;
    /// `(e^r - 1 - r) / r^2`.
    pub(crate) const EXP: [f64; 11] = [
        0.5,
        0.1666666666666667,
        0.041666666666666685,
        0.008333333333326082,
        0.0013888888888874294,
        0.0001984126987500567,
        2.4801587347587177e-05,
        2.7557255166245233e-06,
        2.7557252673292366e-07,
        2.5105314116534945e-08,
        2.092167017912071e-09,
    ];
    /// `(2^r - 1) / r`.
    pub(crate) const EXP2: [f64; 12] = [
        std::f64::consts::LN_2,
        0.24022650695910072,
        0.055504108664821625,
        0.009618129107628487,
        0.001333355814640629,
        0.0001540353039335456,
        1.5252733841785816e-05,
        1.3215486823495732e-06,
        1.017805697025038e-07,
        7.054891387020564e-09,
        4.4558387461354103e-10,
        2.5737932444201745e-11,
    ];
    /// `R / z` of the file for logarithms.
    pub(crate) const LN: [f64; 7] = [
        0.666666666666667,
        0.3999999999989789,
        0.2857142862665141,
        0.22222211031749325,
        0.18182896207631685,
        0.15331497764506818,
        0.1461909699201228,
    ];
    /// `(tanh x - x) / x^3` in `x^2`.
    pub(crate) const TANH: [f64; 11] = [
        -0.3333333333333333,
        0.13333333333330366,
        -0.053968253964912095,
        0.021869488389248685,
        -0.008863232211891515,
        0.0035920841829763617,
        -0.0014554712030310896,
        0.0005880791009559692,
        -0.00023230981495909138,
        8.16240610675778e-05,
        -1.837849140380553e-05,
    ];
}
pub(crate) mod single {
    /// 1.5 * 2^23: to a sum with it every number below 2^22 is rounded to an integer.
    pub(crate) const SHIFT: f32 = 12_582_912.0;
    /// The sum with an integer has in its lowest bits that integer and the bias of two exponents.
    pub(crate) const TWO_BIASES: f32 = SHIFT + 254.0;
    /// `ln 2` as a number of 14 bits and a rest.
    pub(crate) const LN2_HIGH: f32 = 0.693_176_27;
    pub(crate) const LN2_LOW: f32 = -2.9088971e-05;
    /// `(e^r - 1 - r) / r^2`.
    pub(crate) const EXP: [f32; 5] = [0.5, 0.16666576, 0.041666374, 0.008363238, 0.0013941216];
    /// `(ln(1 + f) - f + f^2 / 2) / f^3`.
    pub(crate) const LN: [f32; 9] = [
        0.3333333,
        -0.2499998,
        0.20000689,
        -0.16669153,
        0.14251138,
        -0.123966455,
        0.11634797,
        -0.11660358,
        0.07332628,
    ];
    /// `(tanh x - x) / x^3` in `x^2`.
    pub(crate) const TANH: [f32; 5] =
        [-0.3333333, 0.13332933, -0.05387633, 0.021121472, -0.0062836604];
    /// `(erf x - x) / x` in `x^2`.
    pub(crate) const ERF_NEAR: [f32; 7] = [
        0.12837917,
        -0.37612635,
        0.11283703,
        -0.0268598,
        0.005201961,
        -0.0008152631,
        8.4099214e-05,
    ];
    /// `-ln(1 - erf x)`.
    pub(crate) const ERF_FAR: [f32; 7] =
        [0.00020703285, 1.1276273, 0.637266, 0.10385618, -0.022189679, 0.003033666, -0.00019494387];
}
