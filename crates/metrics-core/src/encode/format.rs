//! [`Format`]: the two ways a page is written, and which of them a client asks for.

/// How a page of metrics is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Prometheus text format, version 0.0.4.
    #[default]
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What to send in the header `Content-Type` of a page in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that the header `Accept` of a request asks for.
    ///
    /// The media type with the highest `q` wins; of two with the same, OpenMetrics. A wildcard
    /// stands for the text format. When nothing acceptable is named, also because the header is
    /// empty or broken, the answer is the text format, which everything reads.
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        // What stands between double quotes is text, commas included.
        let mut is_quoted = false;
        let ranges = accept.split(move |c| {
            is_quoted ^= c == '"';
            c == ',' && !is_quoted
        });
        let ranges = ranges.filter_map(acceptable);
        // Of equal ones `max_by` keeps the last, and OpenMetrics sorts after text.
        let best = ranges.max_by_key(|(format, weight)| (*weight, *format == Self::OpenMetrics));
        best.map_or(Self::Text, |(format, _)| format)
    }
}

/// The format and the weight, in thousandths, of one entry of `Accept`; none for what cannot be
/// served.
fn acceptable(range: &str) -> Option<(Format, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let (format, versions): (_, &[&str]) = match media_type.as_str() {
        "application/openmetrics-text" => (Format::OpenMetrics, &["1.0.0", "0.0.1"]),
        "text/plain" => (Format::Text, &["0.0.4"]),
        "text/*" | "*/*" => (Format::Text, &[]),
        _ => return None,
    };
    let mut weight = 1_000;
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" if !versions.is_empty() && !versions.contains(&value) => return None,
            "q" => weight = thousandths(value)?,
            _ => {}
        }
    }
    (weight > 0).then_some((format, weight))
}

/// A weight of HTTP: 0 to 1 with at most three decimals.
fn thousandths(weight: &str) -> Option<u16> {
    let value: f64 = weight.parse().ok()?;
    (0.0..=1.0)
        .contains(&value)
        .then(|| (value * 1_000.0).round() as u16)
}
