//! Encryption of what must be readable again and must not lie open in the database or a backup of it: values of secrets,
//! secrets of access keys. Never logs what it seals; what it seals is bound to its place, so it opens nowhere else.

use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};

use crate::{Engine, Error, Result};

/// Of sealed bytes: which form, which key, which nonce; then what was encrypted, with its authentication.
const FORM: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;

/// Encrypts `text` for one `place` (such as `secret <project> <name>`), under a fresh random nonce.
pub(crate) fn seal(engine: &Engine, place: &str, text: &str) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    engine.clock.fill(&mut nonce);
    let key = key(&engine.options.key);
    let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
    let sealed = XChaCha20Poly1305::new(&Key::from(key))
        .encrypt(&XNonce::from(nonce), payload)
        .expect("XChaCha20-Poly1305 takes 256 GiB, and every text here has a limit far below");
    [&[FORM][..], &key_id(&key), &nonce, &sealed].concat()
}

/// What [`seal`] was given, at the same `place`; `what` names it in sentences.
///
/// # Errors
/// [`Error::Conflict`] (`sealed_elsewhere`) when another data folder's key sealed it, [`Error::Internal`] when it was altered.
pub(crate) fn unseal(engine: &Engine, place: &str, sealed: &[u8], what: &str) -> Result<String> {
    let altered = || Error::Internal(format!("{what} was altered in the database: set it again"));
    let (head, sealed) = sealed.split_at_checked(1 + KEY_ID + NONCE).ok_or_else(altered)?;
    let (id, nonce) = head[1..].split_at(KEY_ID);
    let key = key(&engine.options.key);
    if head[0] != FORM {
        return Err(altered());
    }
    if id != key_id(&key) {
        return Err(Error::Conflict {
            code: "sealed_elsewhere",
            message: format!(
                "{what} was encrypted with the key of another data folder: set it again through this server, or bring \
                 back the file `key` that it was set with"
            ),
        });
    }
    let nonce = <[u8; NONCE]>::try_from(nonce).map_err(|_| altered())?;
    let text = XChaCha20Poly1305::new(&Key::from(key))
        .decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: place.as_bytes() })
        .map_err(|_| altered())?;
    String::from_utf8(text).map_err(|_| altered())
}

/// The key of this module, made of the data folder's: what else that key signs says nothing about this one.
fn key(of_the_folder: &[u8; 32]) -> [u8; 32] {
    use hmac::{Hmac, KeyInit as _, Mac};
    let mut mac = <Hmac<Sha256>>::new_from_slice(of_the_folder).expect("an HMAC takes a key of any length");
    mac.update(b"seal key");
    mac.finalize().into_bytes().into()
}

/// Tells keys apart, and gives none away.
fn key_id(key: &[u8; 32]) -> [u8; KEY_ID] {
    let digest = Sha256::digest([&b"id of a seal key "[..], key].concat());
    let mut id = [0; KEY_ID];
    id.copy_from_slice(&digest[..KEY_ID]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> (Engine, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (crate::tests::engine(std::sync::Arc::default(), folder.path()), folder)
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_alone_and_says_nothing() {
        let (engine, _folder) = engine();
        let sealed = seal(&engine, "secret p hf", "hunter2 äöü");
        assert_ne!(sealed, seal(&engine, "secret p hf", "hunter2 äöü"), "a nonce was used twice");
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(unseal(&engine, "secret p hf", &sealed, "it").unwrap(), "hunter2 äöü");
        let moved = unseal(&engine, "secret p aws", &sealed, "the secret `aws`").unwrap_err();
        assert!(moved.to_string().contains("the secret `aws` was altered"), "{moved}");
        assert_eq!(unseal(&engine, "", &seal(&engine, "", ""), "it").unwrap(), "");
    }

    #[test]
    fn what_was_altered_or_cut_does_not_open() {
        let (engine, _folder) = engine();
        let sealed = seal(&engine, "place", "value");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(unseal(&engine, "place", &altered, "it").is_err(), "byte {at}");
            assert!(unseal(&engine, "place", &sealed[..at], "it").is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_folders_key_is_told_from_an_alteration() {
        let (engine, _folder) = engine();
        let mut sealed = seal(&engine, "place", "value");
        sealed[1] ^= 1;
        let error = unseal(&engine, "place", &sealed, "the secret `hf`").unwrap_err();
        assert!(error.to_string().contains("key of another data folder"), "{error}");
    }
}
