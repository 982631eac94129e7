//! The code of a job: objects that the client uploaded, packed into a source when the job is created. Two jobs of one second and
//! name write to the same prefix, so what is there later may be another job's.

use runyard_domain::channel::Place;
use runyard_engine::{self as engine, Actor, source::Gathered};

use crate::{app::App, error::Problem};

/// The list of requirements in a source, as pip finds it.
const LIST: &str = "requirements.txt";
/// Where the code is said to be.
const PATH: &str = "AlgorithmSpec.CodeDir";

/// The source.
pub(super) async fn source(app: &App, actor: &Actor, place: &Place) -> Result<Gathered, Problem> {
    let (actor, place) = (actor.clone(), place.clone());
    let gathered =
        app.command(move |engine| async move { engine::source::gather(&engine, &actor, &place).await });
    gathered.await.map_err(|mut problem| {
        if let Some(errors) = problem.errors.take() {
            problem.errors = Some([(PATH.to_owned(), errors.into_values().flatten().collect())].into());
        } else if problem.status == axum::http::StatusCode::NOT_FOUND {
            return Problem::field(PATH, problem.message);
        }
        problem
    })
}

/// What is installed: the list in the source, and what was asked for beside it, which goes before an entry of the list for the
/// same package.
pub(super) fn requirements(list: Option<&str>, own: Vec<String>) -> Vec<String> {
    let Some(list) = list.filter(|list| list.lines().any(|line| !entry(line).is_empty())) else { return own };
    let named: Vec<String> = own.iter().map(|requirement| package(requirement)).collect();
    let is_named = |line: &str| {
        let package = package(line);
        !package.is_empty() && named.contains(&package)
    };
    if !list.lines().map(entry).any(is_named) {
        // pip reads the list itself: it may have options, and lines that go on.
        return [vec![format!("-r {LIST}")], own].concat();
    }
    let rest = list.lines().map(entry).filter(|line| !line.is_empty() && !is_named(line));
    rest.map(str::to_owned).chain(own).collect()
}

/// A line of a list without its comment.
fn entry(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default().trim() }
}

/// The name of the package, as all ways to write it are one; empty: it names none.
fn package(requirement: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = requirement.trim().chars().take_while(|c| is_name(*c)).collect();
    if name.starts_with(['-', '.']) {
        return String::new();
    }
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(list: &str, own: &[&str]) -> Vec<String> {
        requirements(Some(list), own.iter().map(|&one| one.to_owned()).collect())
    }

    #[test]
    fn the_list_in_the_source_is_installed_too() {
        assert_eq!(requirements(None, vec!["a".to_owned()]), ["a"]);
        assert_eq!(both("# nothing\n\n", &["a"]), ["a"]);
        assert_eq!(both("pandas>=2\n--index-url https://x\n", &[]), ["-r requirements.txt"]);
        assert_eq!(both("pandas>=2\n", &["numpy"]), ["-r requirements.txt", "numpy"]);
    }

    #[test]
    fn what_was_asked_for_goes_before_the_list() {
        let list = "Scikit_Learn==1.0 # old\nnumpy\n--no-binary :all:\n# end\n";
        assert_eq!(both(list, &["scikit-learn==1.5"]), ["numpy", "--no-binary :all:", "scikit-learn==1.5"]);
        assert_eq!(both("a[x]>=1\n", &["A==2"]), ["A==2"]);
    }
}
