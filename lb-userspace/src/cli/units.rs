//! Numbers for people: three digits and an SI prefix; JSON has the exact ones.

/// A count, such as `12.3k`.
pub(super) fn count(number: u64) -> String {
    if number < 10_000 { number.to_string() } else { scaled(number, "") }
}

/// Bytes, such as `1.23 MB`.
pub(super) fn bytes(number: u64) -> String {
    if number < 1000 { format!("{number} B") } else { scaled(number, " ") + "B" }
}

/// A rate of bytes, such as `1.23 MB/s`.
pub(super) fn bytes_per_second(number: u64) -> String {
    bytes(number) + "/s"
}

/// A part of a whole, such as `33.3%`.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1}%", part * 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn scaled(number: u64, gap: &str) -> String {
    let mut number = number as f64;
    let mut prefix = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        // 999.5 would be rounded to four digits.
        if number < 999.5 {
            break;
        }
        number /= 1000.0;
        prefix = next;
    }
    let decimals = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}{gap}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([0, 9999].map(count), ["0", "9999"]);
        assert_eq!([10_000, 12_345, 999_499].map(count), ["10.0k", "12.3k", "999k"]);
        assert_eq!([999_500, 1_234_567].map(count), ["1.00M", "1.23M"]);
        assert_eq!([0, 999, 1000, 9_994].map(bytes), ["0 B", "999 B", "1.00 kB", "9.99 kB"]);
        assert_eq!([9_996, 100_000].map(bytes), ["10.0 kB", "100 kB"]);
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(percent(1.0 / 3.0), "33.3%");
    }
}
