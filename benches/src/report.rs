//! `report`: tables between markers in the documents, plots into `docs/assets/`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::axis::Axes;
use crate::plot;
use crate::records::{self, Kept};
use crate::table;

/// Writes every table and plot anew from the newest records of `crates`.
///
/// # Errors
///
/// When a record cannot be read, a marker is missing in `docs/BENCHMARKS.md`, or a file cannot be
/// written.
pub fn run(crates: &[(&str, Axes)]) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (krate, axes) in crates {
        let kept = records::newest(krate, &axes())?;
        if kept.is_empty() {
            eprintln!("{krate}: no records; `cargo xtask bench {krate}` takes them");
            continue;
        }
        let picture = format!("assets/bench-{krate}.svg");
        let assets = root.join("docs").join(&picture);
        plot::ratios(&assets, krate, kept.iter().map(|it| &it.record))?;
        println!("{}", plain(&assets));

        let mut pictures = format!("![Ratios of {krate} by axis]({picture})\n\n");
        for it in kept.iter().filter(|it| !it.record.cells.is_empty()) {
            let axis = &it.record.axis;
            let picture = format!("assets/bench-{krate}-{axis}.svg");
            let file = root.join("docs").join(&picture);
            plot::cells(&file, &it.record)?;
            println!("{}", plain(&file));
            pictures += &format!("![Cells of {axis}]({picture})\n\n");
        }

        let page = root.join("docs/BENCHMARKS.md");
        let text = format!(
            "{}\n{pictures}{}",
            caption(krate, &kept),
            table::full(kept.iter().map(|it| &it.record)),
        );
        if !fill(&page, krate, &text)? {
            return Err(format!("{}: no markers for {krate}", plain(&page)));
        }

        // A crate shows the table on its front page if it has a place for it.
        let readme = root.join("crates").join(krate).join("README.md");
        let text = format!(
            "{}\n{}",
            caption(krate, &kept),
            table::short(kept.iter().map(|it| &it.record)),
        );
        fill(&readme, krate, &text)?;
    }
    Ok(())
}

/// When, where and by which command the figures were taken.
fn caption(krate: &str, kept: &[Kept]) -> String {
    let newest = kept.iter().max_by(|a, b| a.taken.cmp(&b.taken));
    let Some(newest) = newest else {
        return String::new();
    };
    let (date, _) = newest.taken.split_once('T').unwrap_or((&newest.taken, ""));
    let quick = if kept.iter().any(|it| it.record.quick) {
        " --quick"
    } else {
        ""
    };
    let reached = kept.iter().filter(|it| it.record.reaches_goal()).count();
    format!(
        "`cargo xtask bench {krate}{quick}`, {date}, {}.\n{reached} of {} goals reached.\n",
        newest.machine,
        kept.len(),
    )
}

/// Replaces what stands between the markers of `krate` in `file`. Says whether there were any.
fn fill(file: &Path, krate: &str, text: &str) -> Result<bool, String> {
    let fail = |error: std::io::Error| format!("{}: {error}", plain(file));
    let old = fs::read_to_string(file).map_err(fail)?;
    let Some(new) = between_markers(&old, krate, text) else {
        return Ok(false);
    };
    if new != old {
        fs::write(file, new).map_err(fail)?;
        println!("{}", plain(file));
    }
    Ok(true)
}

fn between_markers(page: &str, krate: &str, text: &str) -> Option<String> {
    let (open, close) = (
        format!("<!-- bench:{krate} -->"),
        format!("<!-- /bench:{krate} -->"),
    );
    let (before, rest) = page.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}\n{text}{close}{after}"))
}

/// A path without the detour through `benches/..`.
fn plain(path: &Path) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::between_markers;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let page = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n";
        let new = between_markers(page, "x", "new\n").expect("the markers are there");
        assert_eq!(new, "a\n<!-- bench:x -->\nnew\n<!-- /bench:x -->\nb\n");
        assert_eq!(between_markers(&new, "x", "new\n").as_deref(), Some(&*new));
        assert_eq!(between_markers(page, "y", "new\n"), None);
    }
}
