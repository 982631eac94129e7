//! `runyard token`.

use runyard_wire::token::{NewToken, Token};

use crate::{
    address,
    args::token::{Scope, Token as Args},
    context::Context,
    failure::Failure,
    output::{self, Cell, Format},
    time,
};

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args {
        Args::Create { name, named, scope, access_key, run, expires } => {
            let name = name.or(named).unwrap_or_default();
            let new = NewToken { name, access_key, expires_in_s: expires, ..NewToken::default() };
            create(context, new, scope, run).await?;
        }
        Args::Ls => {
            let tokens = context.client.tokens().await?;
            context.out.list(
                &tokens,
                |token| token.id.clone(),
                &["ID", "NAME", "SCOPE", "OF", "CREATED", "EXPIRES", "ACCESS KEY"],
                row,
                "no tokens; make one with `runyard token create NAME --scope admin`",
            )?;
        }
        Args::Revoke { tokens } => revoke(context, &tokens).await?,
    }
    Ok(0)
}

async fn create(
    context: &Context,
    mut new: NewToken,
    scope: Option<Scope>,
    run: Option<String>,
) -> Result<(), Failure> {
    match scope.unwrap_or(Scope::Project) {
        Scope::Admin => "admin",
        Scope::Project => {
            // Clients that sign know no projects of ours: where nobody says one, theirs is the one that is always there.
            let project = context.project.clone().or_else(|| scope.is_none().then(|| "default".to_owned()));
            new.project_id = Some(project.ok_or_else(|| {
                Failure::usage("a token of the scope project needs a project").hint("name one with --project")
            })?);
            "project"
        }
        Scope::Run => {
            let text = run.as_deref().ok_or_else(|| {
                Failure::usage("a token of the scope run needs a run").hint("name one with --run")
            })?;
            new.run_id = Some(address::run(context, text, false).await?);
            "run"
        }
    }
    .clone_into(&mut new.scope);
    let created = context.client.create_token(&new).await?;
    match (context.out.format, &created.token.access_key_id) {
        (Format::Json, _) => output::json(&created),
        (Format::Quiet, None) => output::line(&created.secret),
        (Format::Quiet, Some(id)) => output::line(format!("{id} {}", created.secret)),
        (Format::Table, None) => {
            output::line(&created.secret)?;
            output::note("keep it: it is not shown again. Use it as RUNYARD_TOKEN");
            Ok(())
        }
        (Format::Table, Some(id)) => {
            output::line(format!("access key id      {id}"))?;
            output::line(format!("access key secret  {}", created.secret))?;
            output::note("keep the secret: it is not shown again. It is a token too, for RUNYARD_TOKEN");
            Ok(())
        }
        (Format::Csv, _) => Err(output::no_csv()),
    }
}

async fn revoke(context: &Context, wanted: &[String]) -> Result<(), Failure> {
    let tokens = context.client.tokens().await?;
    let found: Vec<&Token> = wanted.iter().map(|text| one(&tokens, text)).collect::<Result<_, _>>()?;
    for token in found {
        context.client.revoke_token(&token.id).await?;
        match context.out.format {
            Format::Quiet => output::line(&token.id)?,
            Format::Json => output::json(token)?,
            Format::Table | Format::Csv => output::note(format!("revoked {} ({})", token.name, token.id)),
        }
    }
    Ok(())
}

/// By id, or by a name that only one token has: revoking the wrong one locks somebody out.
fn one<'a>(tokens: &'a [Token], text: &str) -> Result<&'a Token, Failure> {
    if let Some(token) = tokens.iter().find(|token| token.id == text) {
        return Ok(token);
    }
    let named: Vec<&Token> = tokens.iter().filter(|token| token.name == text).collect();
    match named.as_slice() {
        [token] => Ok(token),
        [] => {
            Err(Failure::new(format!("there is no token `{text}`")).hint("`runyard token ls` lists tokens"))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|token| token.id.as_str()).collect();
            Err(Failure::new(format!("`{text}` is the name of {} tokens: {}", ids.len(), ids.join(", ")))
                .hint("give the id"))
        }
    }
}

fn row(token: &Token) -> Vec<Cell> {
    vec![
        token.id.as_str().into(),
        token.name.as_str().into(),
        token.scope.as_str().into(),
        token.run_id.as_deref().or(token.project_id.as_deref()).unwrap_or_default().into(),
        time::moment(token.created_at).into(),
        token.expires_at.map_or_else(|| "never".to_owned(), time::moment).into(),
        token.access_key_id.as_deref().unwrap_or_default().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: &str, name: &str) -> Token {
        Token {
            id: id.into(),
            name: name.into(),
            scope: "admin".into(),
            project_id: None,
            run_id: None,
            created_at: 0,
            expires_at: None,
            access_key_id: None,
        }
    }

    #[test]
    fn a_name_of_several_tokens_revokes_none_of_them() {
        let tokens = [token("1", "ci"), token("2", "ci"), token("3", "ann")];
        assert_eq!(one(&tokens, "ann").unwrap().id, "3");
        assert_eq!(one(&tokens, "2").unwrap().id, "2");
        let error = one(&tokens, "ci").unwrap_err().to_string();
        assert!(error.contains("2 tokens: 1, 2"), "{error}");
        assert!(one(&tokens, "bob").unwrap_err().to_string().contains("no token `bob`"));
    }
}
