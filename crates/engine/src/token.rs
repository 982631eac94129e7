//! Tokens: random, stored hashed, scoped, revocable.

use runyard_domain::{FieldErrors, JobId, Millis, RunId, TokenId, blueprint as rules, token::Scope};
use runyard_store as store;
pub use runyard_store::token::Token;
use sha2::{Digest, Sha256};

use crate::{Actor, Engine, Error, Result, access_key, idempotent::hex, project};

/// What a new token is for.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// For people.
    pub name: String,
    /// `admin`, `project`, `run`.
    pub scope: String,
    /// Id or name, for the scope `project`.
    pub project: Option<String>,
    /// Id, for the scope `run`.
    pub run: Option<String>,
    /// Seconds until it stops working.
    pub expires_in_s: Option<i64>,
    /// Also for clients that sign their requests.
    pub access_key: bool,
}

/// Longest life of a token that expires, in seconds: ten years.
const MAX_LIFE_S: i64 = 10 * 366 * 24 * 3600;

/// Creates a token; the second part is its secret, shown this once. Never wider than the actor's own scope.
pub async fn create(engine: &Engine, actor: &Actor, new: NewToken) -> Result<(Token, String)> {
    let mut errors = FieldErrors::default();
    rules::check_name("name", &new.name, &mut errors);
    if let Some(life) = new.expires_in_s.filter(|life| !(1..=MAX_LIFE_S).contains(life)) {
        errors.add("expires_in_s", format!("{life} is not from 1 to {MAX_LIFE_S} seconds"));
    }
    check_scope(&new, &mut errors);
    errors.finish(())?;
    if matches!(actor.scope, Scope::Run(..)) {
        return Err(Error::Forbidden("the token of a run cannot create tokens".to_owned()));
    }
    if new.scope == "admin" {
        project::admin(actor, "create admin tokens")?;
    }
    let secret = new_secret(engine);
    let mut token = row(engine, &new.name, Scope::Admin, &secret);
    token.expires_at = new.expires_in_s.map(|life| token.created_at.plus(life * 1000));
    if new.access_key {
        token.access_key = Some(access_key::fresh(engine, &secret));
    }
    let actor = actor.clone();
    let token = engine
        .db
        .write(move |tx| {
            let mut token = token.clone();
            if let Some(wanted) = &new.project {
                token.scope = Scope::Project(project::resolve(tx, &actor, wanted)?.id);
            }
            if let Some(wanted) = &new.run {
                let id: RunId = wanted.parse().map_err(|error| Error::field("run_id", format!("{error}")))?;
                let run = crate::run::visible(&actor, id, store::run::get(tx, id)?)?;
                token.scope = Scope::Run(run.project_id, id);
            }
            store::token::insert(tx, &token)?;
            Ok::<_, Error>(token)
        })
        .await?;
    Ok((token, secret))
}

/// Tokens that the actor may see; those of jobs are left out.
pub async fn list(engine: &Engine, actor: &Actor) -> Result<Vec<Token>> {
    let project = match actor.scope {
        Scope::Admin => None,
        Scope::Project(own) => Some(own),
        Scope::Run(..) => return Err(Error::Forbidden("the token of a run cannot list tokens".to_owned())),
    };
    engine.db.read(move |tx| Ok::<_, Error>(store::token::list(tx, project, false)?)).await
}

/// Revokes a token: it stops working at once.
pub async fn revoke(engine: &Engine, actor: &Actor, id: TokenId) -> Result<()> {
    let (now, actor) = (engine.now(), actor.clone());
    engine
        .db
        .write(move |tx| {
            let token = store::token::get(tx, id)?;
            let reaches = token.is_some_and(|token| match actor.scope {
                Scope::Admin => true,
                Scope::Project(own) => match token.scope {
                    Scope::Project(project) | Scope::Run(project, _) => project == own,
                    Scope::Admin => false,
                },
                Scope::Run(..) => false,
            });
            if !reaches {
                return Err(Error::not_found("token", id));
            }
            store::token::revoke(tx, id, now)?;
            Ok(())
        })
        .await
}

/// Who holds this secret.
///
/// # Errors
/// [`Error::Unauthorized`] with the sentence for a bad, expired or revoked token.
pub async fn authenticate(engine: &Engine, secret: &str) -> Result<Actor> {
    let token = by_secret(engine, secret).await?;
    Ok(Actor { token_id: Some(token.id), name: token.name, scope: token.scope })
}

/// The token with this secret, if it works now.
///
/// # Errors
/// As [`authenticate`].
pub async fn by_secret(engine: &Engine, secret: &str) -> Result<Token> {
    let (wanted, now) = (hash(secret), engine.now());
    let token = engine.db.read(move |tx| Ok::<_, Error>(store::token::by_hash(tx, &wanted)?)).await?;
    let Some(token) = token else { return Err(Error::Unauthorized("invalid bearer token".to_owned())) };
    works(&token, now)?;
    Ok(token)
}

/// Whether a token may still be used.
///
/// # Errors
/// [`Error::Unauthorized`] of an expired or revoked one.
pub(crate) fn works(token: &Token, now: Millis) -> Result<()> {
    if token.revoked_at.is_some() {
        return Err(Error::Unauthorized("this token was revoked: ask for a new one".to_owned()));
    }
    if token.expires_at.is_some_and(|expires| expires <= now) {
        return Err(Error::Unauthorized("this token has expired: ask for a new one".to_owned()));
    }
    Ok(())
}

/// Makes sure that `secret` is an admin token (the one in `DATA/token`), unless it was revoked.
pub async fn ensure_admin(engine: &Engine, secret: &str) -> Result<()> {
    let token = row(engine, "admin", Scope::Admin, secret);
    engine
        .db
        .write(move |tx| {
            if store::token::by_hash(tx, &token.hash)?.is_none() {
                store::token::insert(tx, &token)?;
            }
            Ok::<_, Error>(())
        })
        .await
}

/// A new random secret: `ryd_` and 43 base64url characters.
pub fn new_secret(engine: &Engine) -> String {
    let mut bytes = [0; 32];
    engine.clock.fill(&mut bytes);
    written(&bytes)
}

/// The token of a job: made from this server's key, so that a restarted server can hand it out again without
/// having kept it.
pub(crate) fn job_secret(engine: &Engine, job: JobId) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac =
        <Hmac<Sha256>>::new_from_slice(&engine.options.key).expect("an HMAC takes a key of any length");
    mac.update(b"job token ");
    mac.update(job.0.as_bytes());
    written(&mac.finalize().into_bytes())
}

/// The row of a job's token.
pub(crate) fn job_token(
    engine: &Engine,
    project: runyard_domain::ProjectId,
    run: RunId,
    job: JobId,
) -> Token {
    row(engine, &format!("job {job}"), Scope::Run(project, run), &job_secret(engine, job))
}

fn row(engine: &Engine, name: &str, scope: Scope, secret: &str) -> Token {
    Token {
        id: engine.id(TokenId::new),
        name: name.to_owned(),
        scope,
        hash: hash(secret),
        created_at: engine.now(),
        expires_at: None,
        revoked_at: None,
        access_key: None,
    }
}

fn written(bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("ryd_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

fn check_scope(new: &NewToken, errors: &mut FieldErrors) {
    match new.scope.as_str() {
        "admin" | "project" | "run" => {}
        other => errors.add("scope", format!("`{other}` is not a scope: it is admin, project or run")),
    }
    if new.scope == "project" && new.project.is_none() {
        errors.add("project_id", "is needed by the scope project");
    }
    if new.scope == "run" && new.run.is_none() {
        errors.add("run_id", "is needed by the scope run");
    }
    if new.scope != "project" && new.project.is_some() {
        errors.add("project_id", format!("goes with the scope project, not with {}", new.scope));
    }
    if new.scope != "run" && new.run.is_some() {
        errors.add("run_id", format!("goes with the scope run, not with {}", new.scope));
    }
}
