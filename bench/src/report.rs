//! Figures as a table on the terminal and as one JSON object a line in `target/bench/`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Under which conditions.
    pub conditions: String,
}

/// Prints figures as a table and writes them to `target/bench/NAME.json`.
///
/// # Errors
/// Where the file cannot be written.
pub fn publish(name: &str, figures: &[Figure]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Figure { name, value, unit, conditions } in figures {
        writeln!(out, "{name:<34} {value:>12.1} {unit:<14} {conditions}")?;
    }
    write(name, figures)
}

/// Writes figures to `target/bench/NAME.json`.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(name: &str, figures: &[Figure]) -> io::Result<()> {
    let folder = Path::new("target/bench");
    fs::create_dir_all(folder)?;
    let mut file = fs::File::create(folder.join(format!("{name}.json")))?;
    for Figure { name, value, unit, conditions } in figures {
        writeln!(file, r#"{{"name":"{name}","value":{value:.3},"unit":"{unit}","conditions":"{conditions}"}}"#)?;
    }
    Ok(())
}
