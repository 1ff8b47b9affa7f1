//! Passwords: Argon2id in PHC form. The command line hashes them, the authenticator verifies them.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use rand::seq::IndexedRandom;

/// The system's source of randomness failed: no salt, no hash.
#[derive(Debug, thiserror::Error)]
#[error("could not hash the password: {0}")]
pub struct HashError(String);

/// Hashes a password with a fresh salt (Argon2id, 19 MiB, two passes: some 20 ms), in PHC form, as [`vumi_kit::account::Account::password_hash`] keeps it.
pub fn hash_password(password: &str) -> Result<String, HashError> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash: PasswordHash| hash.to_string())
        .map_err(|failed| HashError(failed.to_string()))
}

/// SMPP has room for 8 characters.
const SMPP_LENGTH: usize = 8;
/// What a password for SMPP is made of: nothing that is taken for something else where it is read aloud.
const SMPP_CHARACTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// A new password for SMPP: 8 letters and digits, some 46 bits.
#[must_use]
pub fn new_smpp_password() -> String {
    let mut chance = rand::rng();
    (0..SMPP_LENGTH).filter_map(|_| SMPP_CHARACTERS.choose(&mut chance)).map(|byte| char::from(*byte)).collect()
}

/// Whether a password is the one that was hashed. Takes some 20 ms of a core: call it on a blocking thread.
#[must_use]
pub fn verify_password(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::{hash_password, new_smpp_password, verify_password};

    #[test]
    fn a_password_for_smpp_has_8_characters_and_is_another_one_each_time() {
        let (one, other) = (new_smpp_password(), new_smpp_password());
        assert!(one.len() == 8 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn only_the_password_that_was_hashed_is_right() {
        let hash = hash_password("password").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        assert!(verify_password("password", &hash));
        assert!(!verify_password("Password", &hash));
        assert!(!verify_password("password", "not a hash"));
    }
}
