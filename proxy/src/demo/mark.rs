//! Numbers that look like chance and are the same on every machine: hashes and picks.

/// The 64-bit FNV-1a hash of `bytes`.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |state, &byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Spreads the bits of `number` over the whole word, so that neighbours differ everywhere.
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// One of `choices`, always the same for the same `number`.
///
/// # Panics
///
/// If `choices` is empty.
pub(super) fn pick<T>(choices: &[T], number: u64) -> &T {
    let length = choices.len() as u64;
    let index = usize::try_from(mix(number) % length).expect("an index is below a length");
    &choices[index]
}

/// A number from `low` up to, but not including, `high`.
pub(super) const fn between(low: u64, high: u64, number: u64) -> u64 {
    low + mix(number) % (high - low)
}

/// The strong entity tag of `body`.
pub(super) fn etag(body: &[u8]) -> String {
    format!("\"{:016x}\"", hash(body))
}

/// The eight hex digits that a hashed file name carries.
pub(super) fn name_hash(body: &[u8]) -> String {
    let folded = hash(body);
    format!("{:08x}", (folded >> 32) ^ (folded & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_published_fnv_vectors_do() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn names_a_file_with_eight_hex_digits() {
        let name = name_hash(b"body");
        assert_eq!(name.len(), 8);
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
