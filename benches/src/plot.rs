//! Plots as SVG: ratios of a crate, one bar per axis; what a mean is made of, as lines or points.

use std::collections::{BTreeMap, BTreeSet};
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

/// Draws the ratios of one crate: a bar per axis, a tick for the goal, on a logarithmic scale.
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

/// Colours of entrants, ours first.
const COLORS: [RGBColor; 8] = [
    REACHED,
    RGBColor(120, 190, 150),
    RGBColor(150, 150, 150),
    RGBColor(40, 90, 180),
    RGBColor(200, 120, 20),
    RGBColor(150, 60, 160),
    RGBColor(190, 50, 60),
    RGBColor(90, 60, 30),
];
const PANEL: i32 = 200;
/// Peers in a picture of cells: the best by mean, one of each family.
const MOST_PEERS: usize = 4;

/// Draws what a mean is made of. Cells named by their threads, as in `x_t4`, become lines over the
/// threads; any others become rows of points.
///
/// # Errors
///
/// When the file cannot be written.
pub fn cells(file: &Path, record: &Record) -> Result<(), String> {
    let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let panels = panels(record);
    let height = HEAD
        + if panels.is_empty() {
            (ROW - 6) * record.cells.len() as i32 + 16
        } else {
            (panels.len() as i32 + 1) / 2 * (PANEL + 44)
        };
    let area = SVGBackend::new(file, (WIDTH, height as u32)).into_drawing_area();
    let drawn = head(&area, record).and_then(|()| match panels.is_empty() {
        true => rows(&area, record, height),
        false => lines(&area, record, &panels),
    });
    drawn.map_err(|error| fail(&error))?;
    area.present().map_err(|error| fail(&error))
}

/// Ours and its variants, floors, and the best peers.
fn shown(record: &Record) -> Vec<String> {
    let mean = |name: &String| {
        let figures = record.cells.values().filter_map(|cell| cell.get(name));
        let (sum, count) = figures.fold((0.0, 0u32), |(sum, count), it| (sum + it, count + 1));
        sum / f64::from(count.max(1))
    };
    let all: BTreeSet<&String> = record.cells.values().flat_map(|cell| cell.keys()).collect();
    let (mut shown, mut peers): (Vec<String>, Vec<String>) = all
        .into_iter()
        .cloned()
        .partition(|name| !record.peers.contains_key(name));
    shown.sort_by_key(|name| (name != "ours", !name.starts_with("ours"), name.clone()));
    peers.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    let mut families: Vec<String> = Vec::new();
    for name in peers {
        let family = name.split(' ').next().unwrap_or(&name).to_owned();
        if families.len() < MOST_PEERS && !families.contains(&family) {
            families.push(family);
            shown.push(name);
        }
    }
    shown.truncate(COLORS.len());
    shown
}

fn head(area: &Area<'_>, record: &Record) -> Drawn {
    area.fill(&WHITE)?;
    let title = format!("{}: {}, {}", record.krate, record.axis, record.unit);
    write(area, &title, (12, 14), 15, HPos::Left, INK)?;
    let mut x = 14;
    for (name, color) in shown(record).iter().zip(COLORS) {
        area.draw(&Circle::new((x, 34), 4, color.filled()))?;
        write(area, name, (x + 9, 34), 11, HPos::Left, INK)?;
        x += 30 + 7 * name.len() as i32;
    }
    Ok(())
}

fn rows(area: &Area<'_>, record: &Record, height: i32) -> Drawn {
    let at = |percent: f64| {
        LEFT + (percent / 100.0 * f64::from(WIDTH as i32 - LEFT - 20)).round() as i32
    };
    for mark in [0.0, 20.0, 40.0, 60.0, 80.0, 100.0] {
        line(
            area,
            [(at(mark), HEAD - 4), (at(mark), height - 12)],
            GRID,
            1,
        )?;
        write(
            area,
            &format!("{mark}"),
            (at(mark), HEAD - 9),
            10,
            HPos::Center,
            INK,
        )?;
    }
    let entrants: Vec<_> = shown(record).into_iter().zip(COLORS).collect();
    for (row, (name, figures)) in (0..).zip(&record.cells) {
        let middle = HEAD + (ROW - 6) * row + (ROW - 6) / 2;
        write(area, name, (LEFT - 12, middle), 11, HPos::Right, INK)?;
        line(area, [(at(0.0), middle), (at(100.0), middle)], GRID, 1)?;
        // Ours last, so that nothing hides it.
        for (entrant, color) in entrants.iter().rev() {
            let Some(figure) = figures.get(entrant) else {
                continue;
            };
            let size = if entrant == "ours" { 5 } else { 3 };
            area.draw(&Circle::new((at(*figure), middle), size, color.filled()))?;
        }
    }
    Ok(())
}

/// A panel's name, and its cells by threads.
type Panel<'a> = (String, Vec<(u32, &'a BTreeMap<String, f64>)>);

fn panels(record: &Record) -> Vec<Panel<'_>> {
    let mut panels: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (name, figures) in &record.cells {
        let split = name.trim_end_matches("_ttl").rsplit_once("_t");
        let Some((panel, Ok(threads))) = split.map(|(panel, it)| (panel, it.parse())) else {
            return Vec::new();
        };
        panels
            .entry(panel.to_owned())
            .or_default()
            .push((threads, figures));
    }
    for cells in panels.values_mut() {
        cells.sort_by_key(|(threads, _)| *threads);
    }
    panels.into_iter().collect()
}

fn lines(area: &Area<'_>, record: &Record, panels: &[Panel<'_>]) -> Drawn {
    let entrants: Vec<_> = shown(record).into_iter().zip(COLORS).collect();
    let width = WIDTH as i32 / 2;
    for (number, (name, cells)) in (0..).zip(panels) {
        let (left, top) = (
            number % 2 * width + 50,
            HEAD + number / 2 * (PANEL + 44) + 14,
        );
        let right = left + width - 80;
        let figures = cells.iter().flat_map(|(_, figures)| {
            entrants
                .iter()
                .filter_map(|(entrant, _)| figures.get(entrant))
        });
        let most = figures.fold(1.0, |most: f64, it| most.max(*it));
        let y = |figure: f64| top + PANEL - (figure / most * f64::from(PANEL - 10)).round() as i32;
        let steps = (cells.len() as i32 - 1).max(1);
        let x = |at: i32| left + (right - left) * at / steps;
        write(
            area,
            name,
            ((left + right) / 2, top - 8),
            12,
            HPos::Center,
            INK,
        )?;
        for mark in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let level = y(most * mark);
            line(area, [(left, level), (right, level)], GRID, 1)?;
            let figure = format!("{:.1}", most * mark);
            write(area, &figure, (left - 6, level), 10, HPos::Right, INK)?;
        }
        for (at, (threads, _)) in (0..).zip(cells) {
            let label = format!("{threads}");
            write(
                area,
                &label,
                (x(at), top + PANEL + 12),
                10,
                HPos::Center,
                INK,
            )?;
        }
        for (entrant, color) in entrants.iter().rev() {
            let points = (0..).zip(cells).filter_map(|(at, (_, figures))| {
                figures.get(entrant).map(|figure| (x(at), y(*figure)))
            });
            let points: Vec<_> = points.collect();
            let wide = if entrant == "ours" { 3 } else { 1 };
            for point in &points {
                area.draw(&Circle::new(*point, wide + 1, color.filled()))?;
            }
            area.draw(&PathElement::new(points, color.stroke_width(wide)))?;
        }
    }
    Ok(())
}
