//! The learning curve as a picture, twice: SVG and PNG.

use std::error::Error;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

const SIZE: (u32, u32) = (960, 600);
const TRAIN: RGBColor = RGBColor(0x1f, 0x5a, 0x96);
const TEST: RGBColor = RGBColor(0xd9, 0x5f, 0x02);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);

/// Draws the errors on the training and the test set after each epoch, and returns where.
pub(crate) fn learning_curve(curve: &[(f64, f64)]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    // A font that travels with the program: what the machine has installed does not matter.
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| "the font of the plot cannot be read")?;

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/housing");
    std::fs::create_dir_all(&folder)?;
    let (svg, png) = (folder.join("learning_curve.svg"), folder.join("learning_curve.png"));
    draw(&SVGBackend::new(&svg, SIZE).into_drawing_area(), curve)?;
    draw(&BitMapBackend::new(&png, SIZE).into_drawing_area(), curve)?;
    Ok(vec![svg, png])
}

fn draw<B>(area: &DrawingArea<B, Shift>, curve: &[(f64, f64)]) -> Result<(), Box<dyn Error>>
where
    B: DrawingBackend,
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let errors = || curve.iter().flat_map(|&(train, test)| [train, test]);
    let lowest = errors().fold(f64::INFINITY, f64::min);
    let highest = errors().fold(0.0, f64::max);

    // The error falls by a factor of fifty: on a logarithmic axis all of it can be read.
    let errors_axis = (0.8 * lowest..1.2 * highest).log_scale().base(2.0);
    let mut chart = ChartBuilder::on(area)
        .caption("Boston housing, 13-10-1 ReLU network", ("sans-serif", 26).with_color(INK))
        .margin(20)
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d(0..curve.len(), errors_axis)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc("mean squared error, ($1000)²")
        .axis_style(INK)
        .label_style(("sans-serif", 17).with_color(INK))
        .axis_desc_style(("sans-serif", 19).with_color(INK))
        .bold_line_style(INK.mix(0.15))
        .light_line_style(TRANSPARENT)
        .y_label_formatter(&|error| format!("{error:.0}"))
        .draw()?;

    let train = curve.iter().enumerate().map(|(k, &(train, _))| (k + 1, train));
    let test = curve.iter().enumerate().map(|(k, &(_, test))| (k + 1, test));
    let train = LineSeries::new(train, TRAIN.stroke_width(2));
    let test = LineSeries::new(test, TEST.stroke_width(2));
    for (series, name, colour) in [(train, "training set", TRAIN), (test, "test set", TEST)] {
        let key =
            move |(x, y)| PathElement::new([(x, y - 3), (x + 24, y - 3)], colour.stroke_width(2));
        chart.draw_series(series)?.label(name).legend(key);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(16)
        .legend_area_size(32)
        .label_font(("sans-serif", 19).with_color(INK))
        .background_style(WHITE)
        .border_style(INK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}
