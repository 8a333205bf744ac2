//! Inputs: samples of known shape, label sets, and what a page of text must say.

use std::collections::BTreeMap;

use crate::driver::random;

/// A duration, in both forms that libraries take.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub seconds: f64,
    pub nanos: u64,
}

impl Sample {
    fn of_nanos(nanos: u64) -> Self {
        Self {
            seconds: nanos as f64 / 1e9,
            nanos,
        }
    }
}

/// The default buckets of most libraries, in seconds.
pub const CLASSIC: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// [`CLASSIC`] in nanoseconds.
pub fn classic_nanos() -> Vec<u64> {
    CLASSIC.iter().map(|bound| (bound * 1e9) as u64).collect()
}

/// What samples are drawn from.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Median 5 ms, sigma 1: most latencies.
    Lognormal,
    /// Nine of ten around 0.1 ms, the tenth around 50 ms: a cache and what lies behind it.
    Bimodal,
    /// From 0.1 ms to an hour, alpha 1.1: a heavy tail.
    Pareto,
}

impl Shape {
    pub fn name(self) -> &'static str {
        match self {
            Self::Lognormal => "lognormal",
            Self::Bimodal => "bimodal",
            Self::Pareto => "pareto",
        }
    }

    /// The same samples in every run.
    pub fn samples(self, count: usize) -> Vec<Sample> {
        let mut state = 0x5eed;
        let draw = |_| {
            let seconds = match self {
                Self::Lognormal => 0.005 * normal(&mut state).exp(),
                Self::Bimodal if uniform(&mut state) < 0.9 => {
                    0.0001 * (0.2 * normal(&mut state)).exp()
                }
                Self::Bimodal => 0.05 * (0.2 * normal(&mut state)).exp(),
                Self::Pareto => {
                    let tail: f64 = 1.0 - uniform(&mut state);
                    (0.0001 * tail.powf(-1.0 / 1.1)).min(3600.0)
                }
            };
            Sample::of_nanos((seconds * 1e9) as u64)
        };
        (0..count).map(draw).collect()
    }
}

/// From 0 to 1, without 1.
fn uniform(state: &mut u64) -> f64 {
    (random(state) >> 11) as f64 / (1u64 << 53) as f64
}

/// Box and Muller's.
fn normal(state: &mut u64) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(state)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(state)).cos()
}

/// Label names of all families here.
pub const LABELS: [&str; 2] = ["route", "status"];

/// Values for [`LABELS`].
pub type LabelSet = [String; 2];

/// `rows` × `columns` label sets.
pub fn label_sets(rows: usize, columns: usize) -> Vec<LabelSet> {
    let row = |row| {
        (0..columns).map(move |column| {
            [
                format!("/api/v1/items/{row:03}"),
                format!("{}", 200 + column),
            ]
        })
    };
    (0..rows).flat_map(row).collect()
}

/// Places of `len` label sets in random order.
pub fn random_places(len: usize, count: usize) -> Vec<u32> {
    let mut state = 7;
    (0..count)
        .map(|_| (random(&mut state) % len as u64) as u32)
        .collect()
}

/// Label sets that only correct escaping keeps apart and readable.
pub fn hostile_label_sets() -> Vec<LabelSet> {
    [
        ["say \"hello\"", "quote"],
        ["two\nlines", "newline"],
        ["back\\slash", "one"],
        ["back\\\\slash", "one"],
        ["ends with \\", "backslash"],
        ["ünïcode → 傘", "utf-8"],
    ]
    .map(|set| set.map(str::to_owned))
    .to_vec()
}

/// A line of a page: the name, the labels without escapes, and the value.
pub type Line = (String, BTreeMap<String, String>, f64);

/// The samples of a page in the text format.
///
/// # Errors
///
/// When a line cannot be read.
pub fn parse(page: &[u8]) -> Result<Vec<Line>, String> {
    let page = std::str::from_utf8(page).map_err(|_| "the page is not UTF-8".to_owned())?;
    page.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| parse_line(line).ok_or_else(|| format!("cannot be parsed: {line}")))
        .collect()
}

fn parse_line(line: &str) -> Option<Line> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next()? {
                    (_, '\\') => value.push(match chars.next()?.1 {
                        'n' => '\n',
                        escaped @ ('"' | '\\') => escaped,
                        _ => return None,
                    }),
                    (at, '"') => break at,
                    (_, plain) => value.push(plain),
                }
            };
            if labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            rest = &after[end + 1..];
        }
    }
    let value = rest.split_whitespace().next()?;
    Some((name.to_owned(), labels, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_their_escapes() {
        let page = b"# TYPE a counter\na_total{x=\"1\\\\2\",y=\"\\\"\\n\"} 7 123\nb 0.5\n";
        let lines = parse(page).expect("the page is valid");
        assert_eq!(lines.len(), 2);
        let (name, labels, value) = &lines[0];
        assert_eq!((name.as_str(), *value), ("a_total", 7.0));
        assert_eq!(labels["x"], "1\\2");
        assert_eq!(labels["y"], "\"\n");
        assert_eq!(lines[1].2, 0.5);
    }

    #[test]
    fn broken_lines_are_told() {
        for page in [
            "a{x=\"1} 2",
            "a{x=\"\\q\"} 2",
            "a{x=\"1\",x=\"1\"} 2",
            "a{x=\"1\"}",
        ] {
            assert!(parse(page.as_bytes()).is_err(), "{page}");
        }
    }

    #[test]
    fn samples_have_the_shape_that_was_asked_for() {
        let median = |shape: Shape| {
            let mut samples = shape.samples(10_001);
            samples.sort_by_key(|sample| sample.nanos);
            samples[5_000].seconds
        };
        assert!((0.0045..0.0055).contains(&median(Shape::Lognormal)));
        assert!((0.00009..0.00012).contains(&median(Shape::Bimodal)));
        assert!((0.00017..0.00021).contains(&median(Shape::Pareto)));
    }
}
