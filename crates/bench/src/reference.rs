//! Reference values, computed in double precision by another engine: `peers/f64_reference.json`.

const TEXT: &str = include_str!("../peers/f64_reference.json");

/// The losses before the first update and after each of ten.
pub(crate) fn losses(workload: &str) -> Vec<f64> {
    let list = section(workload).split_once("\"jax_f64\": [").expect("a list of losses").1;
    let list = list.split_once(']').expect("the end of the list").0;
    list.split(',').map(number).collect()
}

/// The sum of the absolute values of the first gradient of a parameter.
pub(crate) fn gradient_norm(workload: &str, parameter: &str) -> f64 {
    let key = format!("\"{parameter}\": ");
    let rest = section(workload).split_once(&key).expect("every parameter has a reference").1;
    number(rest.split([',', '\n', '}']).next().expect("a number follows"))
}

/// Whether `value` is within a relative tolerance of `expected`.
pub(crate) fn close(value: f64, expected: f64, tolerance: f64) -> bool {
    (value - expected).abs() <= tolerance * expected.abs()
}

fn section(workload: &str) -> &'static str {
    let rest = TEXT.split_once(&format!("\"{workload}\": {{")).expect("a known workload").1;
    // A workload has a list and an object, which ends where the workload does.
    let end = rest.find('}').expect("the end of the norms");
    &rest[..end]
}

fn number(text: &str) -> f64 {
    text.trim().parse().expect("a number")
}
