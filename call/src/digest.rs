//! Digests and the few derived names that are hashes of other identities.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::xxh3_64;

/// Ends every string and number in the bytes that are hashed, so that no two inputs run together.
pub(crate) const END: u8 = 0;

/// The name of a call or of its content: an algorithm, a colon, a value.
///
/// Computed ones are `xxh3:` and 16 lower-case hexadecimal digits; chosen ones may use any algorithm
/// (`sha256:…`, `argon2:…`). Cheap to clone; compared as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

impl Digest {
    /// Takes a digest that was made elsewhere, as it is.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The XXH3-64 digest (seed 0) of `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(format!("xxh3:{:016x}", xxh3_64(bytes)).into())
    }

    /// The whole text, algorithm included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 13 characters by which a service is found when it was given no name: the same recipe has
    /// the same name in every session.
    ///
    /// What follows the algorithm is read as hexadecimal; a digest that is not is hashed as its text.
    ///
    /// # Source
    /// Dagger 0.19.11, `Service.hostname`.
    pub fn host_name(&self) -> String {
        let value = self.0.split_once(':').map_or(&*self.0, |(_, value)| value);
        match decode_hex(value) {
            Some(bytes) => host_label(&bytes),
            None => host_label(self.0.as_bytes()),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

impl Borrow<str> for Digest {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The digest of a list of strings, each ended by a zero byte: the key of everything that is
/// identified by a few texts rather than by a call.
///
/// # Source
/// Dagger 0.19.11, `HashStrings`.
pub fn hash_strings<S: AsRef<str>>(parts: &[S]) -> Digest {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(part.as_ref().as_bytes());
        bytes.push(END);
    }
    Digest::of_bytes(&bytes)
}

/// The name under which a secret or socket called `name` is known in the scope of one module, so that
/// equal names in two modules are two things.
///
/// `module_source` is the digest of the module's source, empty outside modules.
///
/// # Source
/// Dagger 0.19.11, the accessor of `Query.secret` and `Host.unixSocket`.
pub fn accessor(name: &str, module_source: &str) -> String {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&hmac_sha256(module_source.as_bytes(), b""));
    encode_hex(&bytes)
}

/// Thirteen characters (`0-9a-v`) that stand for `bytes` in host names: the domain label of a session
/// is that of its identifier.
///
/// # Source
/// Dagger 0.19.11: base32hex, lower case, without padding, of the big-endian XXH3-64.
pub fn host_label(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let hash = u128::from(xxh3_64(bytes)) << 1; // 65 bits: 13 characters of 5 bits, the last bit is padding
    (0..13).rev().map(|place| char::from(ALPHABET[((hash >> (5 * place)) & 31) as usize])).collect()
}

/// HMAC of RFC 2104 over SHA-256.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0_u8; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(padded.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_do_not_run_together() {
        assert_eq!(hash_strings(&["a"]).as_str(), "xxh3:0d78baac08237ddb");
        assert_eq!(hash_strings(&["a", "b"]).as_str(), "xxh3:50e9fe6f7fb8a296");
        assert_ne!(hash_strings(&["ab"]), hash_strings(&["a", "b"]));
    }

    #[test]
    fn host_names_of_recipe_and_session() {
        assert_eq!(Digest::new("xxh3:b503af8ae8f8e99b").host_name(), "srgiv6u1k4ahc");
        assert_eq!(host_label(b"s1"), "j8jlsfq594od2");
        assert_eq!(Digest::new("argon2:Zz+/").host_name().len(), 13);
    }

    #[test]
    fn hmac_of_rfc_4231() {
        let key = [0xaa_u8; 131];
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            encode_hex(&hmac_sha256(&key, message)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        assert_eq!(
            encode_hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn accessor_is_the_name_then_the_scope() {
        let outside = accessor("n", "");
        assert!(outside.starts_with("6e"));
        assert_eq!(outside.len(), 2 + 64);
        assert_ne!(outside, accessor("n", "xxh3:0000000000000001"));
    }
}
