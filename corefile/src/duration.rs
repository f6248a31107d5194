//! Durations as Go writes them: `5s`, `1m30s`, `500ms`.

/// The units, in microseconds; longer ones first where one begins with another.
const UNITS: [(&str, u64); 7] =
    [("ms", 1000), ("us", 1), ("µs", 1), ("ns", 0), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000)];

/// Milliseconds of a duration, rounded up; none where it is no duration.
pub fn milliseconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    if text.is_empty() {
        return None;
    }
    let (mut rest, mut total) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|&digits| digits > 0)?;
        let (number, behind) = rest.split_at(digits);
        let (unit, micros) = UNITS.iter().find(|(unit, _)| behind.starts_with(unit))?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        total = total.checked_add(whole.checked_mul(*micros)?)?;
        // Six digits are as exact as microseconds.
        let part: String = part.chars().chain("000000".chars()).take(6).collect();
        total = total.checked_add(part.parse::<u64>().ok()?.checked_mul(*micros)? / 1_000_000)?;
        rest = behind.get(unit.len()..)?;
    }
    Some(total.div_ceil(1000))
}

/// Seconds of a duration, or of a bare number, rounded up.
pub fn seconds(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| milliseconds(text).map(|milliseconds| milliseconds.div_ceil(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        for (text, expected) in [
            ("5s", Some(5000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            ("1.5h", Some(5_400_000)),
            ("1us", Some(1)),
            ("0", Some(0)),
            ("5", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("5d", None),
            ("99999999999999999999s", None),
            ("9999999999999999h", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
        assert_eq!((seconds("30"), seconds("1500ms"), seconds("x")), (Some(30), Some(2), None));
    }
}
