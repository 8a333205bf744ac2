//! Plots as SVG: one bar per axis for the ratio, one tick for the goal, on a logarithmic scale.

use std::fs;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::record::Record;

const WIDTH: u32 = 900;
const ROW: i32 = 24;
const HEAD: i32 = 56;
const LEFT: i32 = 240;
const RIGHT: i32 = 70;
/// Ratios beyond these are drawn at the edge; the figure beside the bar is exact.
const LEAST: f64 = 0.25;
const MOST: f64 = 128.0;

const REACHED: RGBColor = RGBColor(46, 125, 90);
const MISSED: RGBColor = RGBColor(190, 90, 50);
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(215, 215, 215);

/// Draws the ratios of one crate.
///
/// # Errors
///
/// When the file cannot be written.
pub fn ratios<'a>(
    file: &Path,
    krate: &str,
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<(), String> {
    let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let records: Vec<_> = records.into_iter().collect();
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| fail(&error))?;
    }
    let height = HEAD + ROW * records.len() as i32 + 16;
    let area = SVGBackend::new(file, (WIDTH, height as u32)).into_drawing_area();
    draw(&area, krate, &records, height).map_err(|error| fail(&error))?;
    area.present().map_err(|error| fail(&error))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(area: &Area<'_>, krate: &str, records: &[&Record], height: i32) -> Drawn {
    area.fill(&WHITE)?;
    let title = format!("{krate}: ratio to the baseline (more is better), tick = goal");
    write(area, &title, (12, 16), 15, HPos::Left, INK)?;
    for mark in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0] {
        let x = place(mark);
        line(area, [(x, HEAD - 8), (x, height - 12)], GRID, 1)?;
        write(
            area,
            &format!("{mark}"),
            (x, HEAD - 18),
            11,
            HPos::Center,
            INK,
        )?;
    }
    for (row, record) in (0..).zip(records) {
        let top = HEAD + ROW * row;
        let middle = top + ROW / 2;
        let color = if record.reaches_goal() {
            REACHED
        } else {
            MISSED
        };
        let (one, end) = (place(1.0), place(record.ratio));
        area.draw(&Rectangle::new(
            [
                (one.min(end), top + 5),
                (one.max(end).max(one + 1), top + ROW - 5),
            ],
            color.filled(),
        ))?;
        let goal = place(record.goal);
        line(area, [(goal, top + 2), (goal, top + ROW - 2)], INK, 2)?;
        write(
            area,
            &record.axis,
            (LEFT - 12, middle),
            12,
            HPos::Right,
            INK,
        )?;
        let figure = format!("{:.2}", record.ratio);
        let beside = one.max(end).max(goal) + 6;
        write(area, &figure, (beside, middle), 12, HPos::Left, color)?;
    }
    line(
        area,
        [(place(1.0), HEAD - 8), (place(1.0), height - 12)],
        INK,
        1,
    )
}

fn place(ratio: f64) -> i32 {
    let share = (ratio.clamp(LEAST, MOST) / LEAST).log2() / (MOST / LEAST).log2();
    let span = f64::from(WIDTH as i32 - LEFT - RIGHT);
    LEFT + (share * span).round() as i32
}

fn line(area: &Area<'_>, points: [(i32, i32); 2], color: RGBColor, width: u32) -> Drawn {
    area.draw(&PathElement::new(points, color.stroke_width(width)))?;
    Ok(())
}

fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    horizontal: HPos,
    color: RGBColor,
) -> Drawn {
    let style = ("sans-serif", size)
        .into_font()
        .color(&color)
        .pos(Pos::new(horizontal, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}
