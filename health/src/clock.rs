//! Time as the original writes it: `2006-01-02 15:04:05`, in the machine's time zone.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The original's form.
const FORM: &str = "%Y-%m-%d %H:%M:%S";

/// Now.
pub fn now() -> String {
    text(SystemTime::now())
}

/// A moment.
pub fn text(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap_or_default().to_zoned(TimeZone::system()).strftime(FORM).to_string()
}

/// A moment in the form that all machines read alike (RFC 3339, UTC).
pub fn universal(time: SystemTime) -> String {
    let whole = Timestamp::try_from(time).unwrap_or_default().as_second();
    Timestamp::from_second(whole).unwrap_or_default().to_string()
}

/// How long ago a moment in either form was; nothing for text that is none. What lies ahead was just now.
pub fn age(text: &str) -> Option<Duration> {
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => DateTime::strptime(FORM, text).ok()?.to_zoned(TimeZone::system()).ok()?.timestamp(),
    };
    let age = Timestamp::now().duration_since(moment);
    Some(Duration::try_from(age).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        let past = SystemTime::now() - Duration::from_secs(90);
        for text in [text(past), universal(past)] {
            let age = age(&text).unwrap();
            assert!((89..=120).contains(&age.as_secs()), "{text}: {age:?}");
        }
        assert_eq!(text(past).len(), "2006-01-02 15:04:05".len());
        assert!(universal(past).ends_with('Z') && !universal(past).contains('.'));
    }

    #[test]
    fn what_lies_ahead_was_just_now_and_other_text_is_none() {
        assert_eq!(age(&text(SystemTime::now() + Duration::from_secs(100))), Some(Duration::ZERO));
        for wrong in ["", "yesterday", "2026-13-01 00:00:00"] {
            assert_eq!(age(wrong), None, "{wrong}");
        }
    }
}
