//! Fresh identifiers of builds and containers.

use rand::Rng;

/// 25 random lower-case letters and digits, about 129 bits.
///
/// # Source
/// BuildKit v0.32.2 `identity/randomid.go`: tools that list builds expect this shape.
pub(crate) fn fresh() -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..25).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}
