//! `runyard secret`. Never prints a value.

use std::{
    io::{self, IsTerminal, Read},
    path::PathBuf,
};

use runyard_domain::{FieldErrors, secret as rules};
use runyard_wire::secret::Secret;

use super::confirm::confirm;
use crate::{
    args::secret::Secret as Args,
    context::Context,
    failure::Failure,
    output::{self, Cell, Format},
    time,
};

const HEADER: [&str; 3] = ["NAME", "SET", "CREATED"];

pub(super) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    let (client, out, project) = (&context.client, context.out, context.project.as_deref());
    match args {
        Args::Set { name, value, from_file } => {
            let mut errors = FieldErrors::default();
            rules::check_name("name", &name, &mut errors);
            let value = read(value, from_file)?;
            rules::check_value("value", &value, &mut errors);
            errors
                .finish(())
                .map_err(|errors| Failure::usage(format!("this cannot be a secret: {errors}")))?;
            let secret = client.put_secret(project, &name, value).await?;
            out.one(&secret, &secret.name, || {
                output::note(format!("set {name}; runs get it with --secret VARIABLE={name}"));
                Ok(())
            })?;
        }
        Args::Ls => {
            let secrets = client.secrets(project).await?;
            let none = "no secrets; set one with `runyard secret set NAME -`";
            out.list(&secrets, |secret| secret.name.clone(), &HEADER, row, none)?;
        }
        Args::Rm { names, yes } => {
            confirm(
                &format!("Delete {}? Runs that name them cannot start any more.", names.join(", ")),
                yes,
            )?;
            for name in &names {
                client.delete_secret(project, name).await?;
                match out.format {
                    Format::Quiet => output::line(name)?,
                    Format::Json => output::json(name)?,
                    Format::Table | Format::Csv => output::note(format!("deleted {name}")),
                }
            }
        }
    }
    Ok(0)
}

/// The value, from where it was said to be.
fn read(value: Option<String>, from_file: Option<PathBuf>) -> Result<String, Failure> {
    let from_stdin = match (&value, &from_file) {
        (Some(value), _) => value == "-",
        (None, file) => file.is_none(),
    };
    let (bytes, place) = if let Some(file) = &from_file {
        let place = file.display().to_string();
        let bytes = std::fs::read(file);
        (bytes.map_err(|error| Failure::usage(format!("cannot read --from-file {place}: {error}")))?, place)
    } else if from_stdin {
        if value.is_none() && io::stdin().is_terminal() {
            return Err(Failure::usage("there is no value")
                .hint("pipe it in (`runyard secret set NAME - < FILE`), or name a file with --from-file"));
        }
        let mut bytes = Vec::new();
        let most = rules::MAX_VALUE as u64 + 3;
        let read = io::stdin().take(most).read_to_end(&mut bytes);
        read.map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
        (bytes, "standard input".to_owned())
    } else {
        return Ok(value.unwrap_or_default());
    };
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{place} is not text (UTF-8)")).hint("encode it, with base64 for example")
    })?;
    Ok(without_line_end(&text).to_owned())
}

/// Editors and `echo` end a file with one; no token has one.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn row(secret: &Secret) -> Vec<Cell> {
    vec![
        secret.name.as_str().into(),
        time::moment(secret.updated_at).into(),
        time::moment(secret.created_at).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_end_is_no_part_of_a_value() {
        assert_eq!(without_line_end("token\n"), "token");
        assert_eq!(without_line_end("token\r\n"), "token");
        assert_eq!(without_line_end("a\nb\n\n"), "a\nb\n");
        assert_eq!(without_line_end("token"), "token");
    }

    #[test]
    fn a_value_comes_from_the_command_line_or_a_file() {
        assert_eq!(read(Some("v\n".into()), None).unwrap(), "v\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "from file\n").unwrap();
        assert_eq!(read(None, Some(file.clone())).unwrap(), "from file");
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(read(None, Some(file)).unwrap_err().to_string().contains("is not text"));
    }
}
