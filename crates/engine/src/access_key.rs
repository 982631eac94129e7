//! Access keys: tokens for clients that sign their requests and never send the secret. To check a signature the server needs
//! the secret itself, so it is kept encrypted (`seal`); everything else of them is a token's.

use runyard_store::{self as store, token::AccessKey};

use crate::{Actor, Engine, Error, Result, seal, token};

/// Who signs with a key, and with what.
#[derive(Clone)]
pub struct Signer {
    /// What their signatures are made with. Never printed.
    pub secret: String,
    /// Who they are.
    pub actor: Actor,
}

/// The signer with this access key id; `None`: nobody has it. Read anew each time, so that a revoked key stops working at
/// once: that is one row by its index, and less work than the signature.
///
/// # Errors
/// [`Error::Unauthorized`] when the key was revoked or has expired; a conflict when another data folder's key encrypted it.
pub async fn lookup(engine: &Engine, id: &str) -> Result<Option<Signer>> {
    let (wanted, now) = (id.to_owned(), engine.now());
    let found = engine.db.read(move |tx| Ok::<_, Error>(store::token::by_access_key(tx, &wanted)?)).await?;
    let Some(token) = found else { return Ok(None) };
    token::works(&token, now)?;
    let Some(key) = &token.access_key else { return Ok(None) };
    let secret = seal::unseal(engine, &place(id), &key.sealed, &format!("the access key `{id}`"))?;
    Ok(Some(Signer {
        secret,
        actor: Actor { token_id: Some(token.id), name: token.name, scope: token.scope },
    }))
}

/// A new access key for a token with this secret.
pub(crate) fn fresh(engine: &Engine, secret: &str) -> AccessKey {
    let mut bytes = [0; 20];
    engine.clock.fill(&mut bytes);
    // Clients take letters and digits alone.
    let letters = bytes.map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte & 31)]));
    let id = format!("RYD{}", letters.iter().collect::<String>());
    let sealed = seal::seal(engine, &place(&id), secret);
    AccessKey { id, sealed }
}

fn place(id: &str) -> String {
    format!("access key {id}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use super::*;
    use crate::{
        tests::Stopped,
        token::{NewToken, Token, create, revoke},
    };
    use runyard_domain::token::Scope;

    async fn with_key(engine: &Engine, expires_in_s: Option<i64>) -> (Token, String) {
        let actor = Actor { token_id: None, name: "ann".into(), scope: Scope::Admin };
        let new = NewToken {
            name: "pai".into(),
            scope: "admin".into(),
            expires_in_s,
            access_key: true,
            ..NewToken::default()
        };
        create(engine, &actor, new).await.unwrap()
    }

    #[tokio::test]
    async fn a_signer_is_found_with_the_secret_that_was_shown_once() {
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::tests::engine(Arc::default(), folder.path());
        let (token, secret) = with_key(&engine, None).await;
        let key = token.access_key.unwrap();
        assert!(key.id.len() == 23 && key.id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}", key.id);
        let sealed = key.sealed.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!sealed, "the secret lies open");
        let signer = lookup(&engine, &key.id).await.unwrap().unwrap();
        assert_eq!((signer.secret, signer.actor.name.as_str()), (secret.clone(), "pai"));
        assert_eq!(signer.actor.token_id, Some(token.id));
        assert!(lookup(&engine, "RYDNOBODY").await.unwrap().is_none());
        assert_eq!(token::authenticate(&engine, &secret).await.unwrap().name, "pai");
    }

    #[tokio::test]
    async fn a_revoked_or_expired_key_is_told_from_an_unknown_one() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Stopped::default());
        let engine = crate::tests::engine(clock.clone(), folder.path());
        let (revoked, _) = with_key(&engine, None).await;
        let (expiring, _) = with_key(&engine, Some(60)).await;
        let id = |token: &Token| token.access_key.clone().unwrap().id;
        let admin = Actor { token_id: None, name: "ann".into(), scope: Scope::Admin };
        revoke(&engine, &admin, revoked.id).await.unwrap();
        let refused = lookup(&engine, &id(&revoked)).await.err().unwrap().to_string();
        assert!(refused.contains("was revoked"), "{refused}");
        assert!(lookup(&engine, &id(&expiring)).await.unwrap().is_some());
        clock.0.store(60_000, Ordering::Relaxed);
        let refused = lookup(&engine, &id(&expiring)).await.err().unwrap().to_string();
        assert!(refused.contains("has expired"), "{refused}");
    }
}
