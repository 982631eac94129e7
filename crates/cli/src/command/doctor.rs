//! `runyard doctor`: looks for what is wrong with this machine and its server. It changes nothing.

mod containers;
mod machine;
mod server;

use std::process::ExitCode;

use serde::Serialize;

use crate::{
    args::Global,
    failure::Failure,
    output::{self, Cell, Format, Output, Tone},
    place,
};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    /// Something works worse than it could, or will matter later.
    Warn,
    /// Something does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: String,
    level: Level,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Check {
    fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), level: Level::Ok, found: found.into(), fix: None }
    }

    fn warn(name: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warn, fix: Some(fix.into()), ..Self::ok(name, found) }
    }

    fn fail(name: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Fail, fix: Some(fix.into()), ..Self::ok(name, found) }
    }
}

pub(super) async fn run(global: &Global) -> Result<ExitCode, Failure> {
    let out = Output::new(global.format());
    let data = place::data(global.data.as_deref())?;
    let mut checks = machine::folder(&data);
    checks.extend(server::look(global, &data).await);
    checks.extend(machine::python());
    checks.push(containers::runner());
    checks.push(machine::gpus());
    checks.extend(machine::limits());
    tell(out, &checks)?;
    let failed = checks.iter().any(|check| check.level == Level::Fail);
    Ok(ExitCode::from(u8::from(failed)))
}

fn tell(out: Output, checks: &[Check]) -> Result<(), Failure> {
    match out.format {
        Format::Json => output::json(&checks),
        Format::Csv => Err(output::no_csv()),
        Format::Quiet => checks
            .iter()
            .filter(|check| check.level != Level::Ok)
            .try_for_each(|check| output::line(&check.name)),
        Format::Table => out.table(&[], checks.iter().flat_map(rows).collect()),
    }
}

fn rows(check: &Check) -> Vec<Vec<Cell>> {
    let (word, tone) = match check.level {
        Level::Ok => ("ok", Tone::Good),
        Level::Warn => ("warn", Tone::Busy),
        Level::Fail => ("fail", Tone::Bad),
    };
    let mut rows = vec![vec![Cell::new(word, tone), check.name.as_str().into(), check.found.as_str().into()]];
    if let Some(fix) = &check.fix {
        rows.push(vec!["".into(), "".into(), format!("fix: {fix}").into()]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_comes_with_its_fix() {
        let check = Check::fail("token", "others can read it", "chmod 600 token");
        let shown = output::plain(&[], rows(&check));
        assert_eq!(shown, "fail  token  others can read it\n             fix: chmod 600 token\n");
        assert_eq!(rows(&Check::ok("x", "fine")).len(), 1);
    }
}
