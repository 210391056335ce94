//! Numbers in strings, read as Go's `strconv` reads them with base 0.

/// A float without a fraction, as a whole number of 64 bits.
pub(super) fn whole(value: f64) -> Option<i64> {
    // Invariant: the upper bound is exclusive, since 2^63 itself does not fit.
    let fits =
        value.fract() == 0.0 && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    fits.then_some(value as i64)
}

/// Reads `12`, `-0x1f`, `0o17`, `017` (octal), `0b11`; underscores may separate digits.
pub(super) fn parse_int(text: &str) -> Result<i64, String> {
    let syntax = || format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let prefix = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match prefix.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(_) if digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let separated = digits.strip_prefix('_').filter(|_| radix != 10).unwrap_or(digits);
    if separated.is_empty()
        || separated.starts_with(['_', '+', '-'])
        || separated.ends_with('_')
        || separated.contains("__")
    {
        return Err(syntax());
    }
    let plain: String = separated.chars().filter(|c| *c != '_').collect();
    if !plain.chars().all(|c| c.is_digit(radix)) {
        return Err(syntax());
    }
    let value = i128::from_str_radix(&plain, radix).unwrap_or(i128::MAX);
    let value = if negative { -value } else { value };
    i64::try_from(value).map_err(|_| format!("strconv.ParseInt: parsing {text:?}: value out of range"))
}

/// Reads a decimal number.
pub(super) fn parse_float(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("strconv.ParseFloat: parsing {text:?}: value out of range")),
        Err(_) => Err(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_strings() {
        for (text, expected) in [
            ("0", Some(0)),
            ("42", Some(42)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("0644", Some(420)),
            ("0o644", Some(420)),
            ("0x1A4", Some(420)),
            ("0b110", Some(6)),
            ("1_000", Some(1000)),
            ("0x_ff", Some(255)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("99999999999999999999999999999999999999999999", None),
            ("", None),
            ("-", None),
            ("08", None),
            ("0x", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("1.5", None),
            ("--1", None),
            ("0x-1", None),
            ("١", None),
            ("é", None),
        ] {
            assert_eq!(parse_int(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn floats_that_are_whole() {
        for (value, expected) in [
            (420.0, Some(420)),
            (-0.0, Some(0)),
            (420.5, None),
            (1e18, Some(1_000_000_000_000_000_000)),
            (9.3e18, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(whole(value), expected, "{value}");
        }
    }
}
