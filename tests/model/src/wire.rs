//! Numbers and checksums on the wire, in network byte order (RFC 1700, "Data Notations").

/// The 16-bit number at an offset, if the bytes have it.
pub(crate) fn get16(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

/// The bytes at an offset, if they are all there.
pub(crate) fn get<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Puts bytes at an offset.
pub(crate) fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

/// The one's-complement sum of all 16-bit words; an odd last byte is padded (RFC 1071 §4.1).
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0;
    for part in parts {
        for pair in part.chunks(2) {
            let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
            sum = plus(sum, word);
        }
    }
    sum
}

/// Addition with the carry brought around.
fn plus(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// A checksum after `old` was replaced by `new`, word by word:
/// `HC' = ~(~HC + ~m + m')` (RFC 1624 §3, eqn. 3).
pub(crate) fn adjust(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let mut sum = !checksum;
    for (old, new) in old.chunks_exact(2).zip(new.chunks_exact(2)) {
        sum = plus(sum, !u16::from_be_bytes([old[0], old[1]]));
        sum = plus(sum, u16::from_be_bytes([new[0], new[1]]));
    }
    !sum
}

/// A UDP checksum likewise. Zero says that there is none, and stays (RFC 768; RFC 6936 §4 for
/// IPv6); a computed zero is sent as all ones.
pub(crate) fn adjust_udp(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    match checksum {
        0 => 0,
        _ => match adjust(checksum, old, new) {
            0 => 0xffff,
            adjusted => adjusted,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 1624 §4.
    #[test]
    fn the_standards_examples() {
        assert_eq!(adjust(0xdd2f, &[0x55, 0x55], &[0x32, 0x85]), 0x0000);
        assert_eq!(sum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), 0xddf2);
    }

    #[test]
    fn udp_has_no_checksum_of_zero() {
        assert_eq!(adjust_udp(0xdd2f, &[0x55, 0x55], &[0x32, 0x85]), 0xffff);
        assert_eq!(adjust_udp(0, &[0x55, 0x55], &[0x32, 0x85]), 0);
    }
}
