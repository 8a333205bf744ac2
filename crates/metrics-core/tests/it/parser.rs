//! A reader of exposition pages, written from the formats' specifications, strict on purpose.

use std::collections::{BTreeMap, BTreeSet};

use brolly_metrics_core::Format;

/// What a page says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) families: Vec<Family>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) unit: Option<String>,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Page {
    pub(crate) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.iter().flat_map(|family| &family.samples)
    }

    /// The value of the sample with this name and these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: BTreeMap<String, String> = labels
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut samples = self.samples();
        let found = samples.find(|sample| sample.name == name && sample.labels == labels);
        found.map(|sample| sample.value)
    }
}

/// Reads a page, or says which line breaks which rule.
pub(crate) fn parse(page: &str, format: Format) -> Result<Page, String> {
    let body = match format {
        Format::Text => page,
        Format::OpenMetrics => page.strip_suffix("# EOF\n").ok_or("no `# EOF`")?,
    };
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut reader = Reader {
        format,
        page: Page::default(),
        seen: BTreeSet::new(),
        names: BTreeSet::new(),
    };
    // Only a line feed ends a line; `lines` would take a carriage return too.
    for line in body.split_terminator('\n') {
        reader
            .line(line)
            .map_err(|rule| format!("{rule}: {line:?}"))?;
    }
    for family in &reader.page.families {
        check(family)?;
    }
    Ok(reader.page)
}

struct Reader {
    format: Format,
    page: Page,
    seen: BTreeSet<(String, Labels)>,
    names: BTreeSet<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        match line.strip_prefix("# ") {
            Some(comment) => self.comment(comment),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), &'static str> {
        let (keyword, rest) = comment.split_once(' ').ok_or("a comment of one word")?;
        let (name, text) = rest.split_once(' ').ok_or("a comment without a text")?;
        if keyword == "HELP" {
            if !is_name(name, true) {
                return Err("not a name");
            }
            if !self.names.insert(name.to_owned()) {
                return Err("a family twice");
            }
            self.page.families.push(Family {
                name: name.to_owned(),
                kind: String::new(),
                help: unescape(text, self.format == Format::OpenMetrics)?,
                unit: None,
                samples: Vec::new(),
            });
            return Ok(());
        }
        let family = self.page.families.last_mut().ok_or("no HELP before it")?;
        if family.name != name || !family.samples.is_empty() {
            return Err("not in its family's head");
        }
        match keyword {
            "TYPE" if family.kind.is_empty() => family.kind = text.to_owned(),
            "UNIT" if family.unit.is_none() && self.format == Format::OpenMetrics => {
                if !name.ends_with(&format!("_{text}")) {
                    return Err("the name does not end with the unit");
                }
                family.unit = Some(text.to_owned());
            }
            _ => return Err("a comment that is not expected here"),
        }
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), &'static str> {
        let at = line.find(['{', ' ']).ok_or("no value")?;
        let (name, rest) = line.split_at(at);
        if !is_name(name, true) {
            return Err("not a name");
        }
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let value = value.strip_prefix(' ').ok_or("no space before the value")?;
        let sample = Sample {
            name: name.to_owned(),
            labels: labels.iter().cloned().collect(),
            value: number(value).ok_or("not a number")?,
        };
        if sample.labels.len() != labels.len() {
            return Err("a label twice");
        }
        if !labels
            .iter()
            .filter(|(name, _)| name != "le" && name != "quantile")
            .is_sorted()
        {
            return Err("labels out of order");
        }
        if !self.seen.insert((sample.name.clone(), labels)) {
            return Err("a sample twice");
        }
        let family = self.page.families.last_mut().ok_or("no family before it")?;
        if !belongs(family, name, self.format) {
            return Err("not a sample of its family");
        }
        family.samples.push(sample);
        Ok(())
    }
}

/// Names and values, in the order of the page.
type Labels = Vec<(String, String)>;

/// The labels after a brace, and what follows the closing one.
fn labels(mut rest: &str) -> Result<(Labels, &str), &'static str> {
    let mut all = Vec::new();
    loop {
        let (name, value) = rest.split_once("=\"").ok_or("not a label")?;
        if !is_name(name, false) {
            return Err("not a label name");
        }
        let mut is_escaped = false;
        let end = value.find(|c| {
            let is_end = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        });
        let end = end.ok_or("a label value without an end")?;
        all.push((name.to_owned(), unescape(&value[..end], true)?));
        let after = &value[end + 1..];
        match (after.strip_prefix(','), after.strip_prefix('}')) {
            (Some(more), _) => rest = more,
            (_, Some(end)) => return Ok((all, end)),
            _ => return Err("labels without an end"),
        }
    }
}

fn unescape(text: &str, are_quotes_escaped: bool) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\0' => return Err("a NUL"),
            '"' if are_quotes_escaped => return Err("a bare quote"),
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('\\') => out.push('\\'),
                Some('"') if are_quotes_escaped => out.push('"'),
                _ => return Err("not an escape"),
            },
            c => out.push(c),
        }
    }
    Ok(out)
}

fn is_name(name: &str, may_have_colons: bool) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || (c == ':' && may_have_colons);
    let mut chars = name.chars();
    chars.next().is_some_and(is_first) && chars.all(|c| is_first(c) || c.is_ascii_digit())
}

pub(crate) fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        // Rust knows more words for these than the formats do.
        _ if text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.e".contains(&b)) =>
        {
            text.parse().ok()
        }
        _ => None,
    }
}

fn belongs(family: &Family, sample: &str, format: Format) -> bool {
    let Some(suffix) = sample.strip_prefix(family.name.as_str()) else {
        return false;
    };
    let is_open = format == Format::OpenMetrics;
    match family.kind.as_str() {
        "counter" if is_open => ["_total", "_created"].contains(&suffix),
        "counter" => suffix.is_empty() && sample.ends_with("_total"),
        "gauge" => suffix.is_empty(),
        "histogram" => {
            ["_bucket", "_sum", "_count"].contains(&suffix) || (is_open && suffix == "_created")
        }
        "summary" => ["", "_sum", "_count"].contains(&suffix) || (is_open && suffix == "_created"),
        _ => false,
    }
}

/// The rules about a family as a whole.
fn check(family: &Family) -> Result<(), String> {
    if family.kind != "histogram" {
        return Ok(());
    }
    let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in &family.samples {
        if sample.name.ends_with("_bucket") {
            let mut labels = sample.labels.clone();
            let le = labels.remove("le").and_then(|le| number(&le));
            let le = le.ok_or_else(|| format!("a bucket without a bound: {sample:?}"))?;
            series.entry(labels).or_default().push((le, sample.value));
        }
    }
    let count = format!("{}_count", family.name);
    for (labels, buckets) in series {
        let grows = |a: &(f64, f64), b: &(f64, f64)| a.0 < b.0 && a.1 <= b.1;
        let last = buckets.last().copied();
        let total = family
            .samples
            .iter()
            .find(|sample| sample.name == count && sample.labels == labels);
        let total = total.map(|sample| (f64::INFINITY, sample.value));
        if !buckets.is_sorted_by(grows) || last != total {
            return Err(format!(
                "buckets of {} {labels:?}: {buckets:?}",
                family.name
            ));
        }
    }
    Ok(())
}
