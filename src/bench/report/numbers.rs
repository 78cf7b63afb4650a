//! Numbers for a reader: three digits that count, and a unit.

/// Three digits that count.
pub fn digits(value: f64) -> String {
    let places = match value.abs() {
        v if v < 0.9995 => 3,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.places$}")
}

/// With the prefix of a thousand, a million or a thousand millions.
fn scaled(value: f64, units: [&str; 4]) -> String {
    let (by, unit) = match value.abs() {
        v if v < 999.5 => (1.0, units[0]),
        v if v < 999.5e3 => (1e3, units[1]),
        v if v < 999.5e6 => (1e6, units[2]),
        _ => (1e9, units[3]),
    };
    format!("{}{unit}", digits(value / by))
}

/// Nanoseconds.
pub fn time(nanos: f64) -> String {
    scaled(nanos, [" ns", " µs", " ms", " s"])
}

/// A rate or a count.
pub fn count(value: f64) -> String {
    scaled(value, ["", " k", " M", " G"])
}

/// Bytes.
pub fn bytes(value: f64) -> String {
    let (by, unit) = match value {
        v if v < 1024.0 => (1.0, "B"),
        v if v < 1024.0 * 1024.0 => (1024.0, "KiB"),
        _ => (1024.0 * 1024.0, "MiB"),
    };
    let value = value / by;
    if value.fract() == 0.0 { format!("{value} {unit}") } else { format!("{} {unit}", digits(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!(time(95.43), "95.4 ns");
        assert_eq!(time(1234.0), "1.23 µs");
        assert_eq!(time(20e6), "20.0 ms");
        assert_eq!(count(20.5e6), "20.5 M");
        assert_eq!(count(999.7), "1.00 k");
        assert_eq!(digits(0.9996), "1.00");
        assert_eq!(bytes(64.0), "64 B");
        assert_eq!(bytes(65536.0), "64 KiB");
        assert_eq!(bytes(1.5 * 1024.0 * 1024.0), "1.50 MiB");
    }
}
