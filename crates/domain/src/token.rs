//! What a token may touch.

use crate::id::{ProjectId, RunId};

/// The reach of a token. `Admin` holds everything, `Project` one project, `Run` one run only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything, tokens and projects included.
    Admin,
    /// One project and all below it.
    Project(ProjectId),
    /// One run: what the run's own job holds.
    Run(ProjectId, RunId),
}

impl Scope {
    /// Whether this reach covers whole `project`: its runs, its blueprints.
    pub fn covers_project(self, project: ProjectId) -> bool {
        match self {
            Self::Admin => true,
            Self::Project(own) => own == project,
            Self::Run(..) => false,
        }
    }

    /// Whether this reach covers `run` of `project`.
    pub fn covers_run(self, project: ProjectId, run: RunId) -> bool {
        match self {
            Self::Run(_, own) => own == run,
            wider => wider.covers_project(project),
        }
    }

    /// The word for this scope in the API and the CLI: `admin`, `project`, `run`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Project(_) => "project",
            Self::Run(..) => "run",
        }
    }
}
