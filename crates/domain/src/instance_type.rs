//! Instance types: resources under a name, so that a run says `cpu.small` instead of numbers. Pure; which types a server has is
//! said by whoever starts it.

use serde::{Deserialize, Serialize};

use crate::resources::{Gpu, Resources};

/// Most types of a server.
pub const TYPES_MAX: usize = 1000;
/// Longest name.
const NAME_MAX: usize = 64;

/// Resources under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceType {
    /// Its name.
    pub name: String,
    /// What one instance of it has.
    pub resources: Resources,
    /// Which executor runs it, where the run names none; `None`: the server's default.
    pub executor: Option<String>,
}

/// The types that every server has, unless its own ones of the same name take their place.
pub fn built_in() -> Vec<InstanceType> {
    let of = |name: &str, cpu: &str, memory: Option<&str>, gpu: Option<Gpu>| InstanceType {
        name: name.to_owned(),
        resources: Resources {
            cpu: cpu.to_owned(),
            memory: memory.map(str::to_owned),
            gpu,
            ..Resources::default()
        },
        executor: None,
    };
    vec![
        of("local", "1", None, None),
        of("local_gpu", "1", None, Some(Gpu { count: 1, kind: "any".to_owned() })),
        of("cpu.small", "1", Some("2Gi"), None),
        of("cpu.medium", "2", Some("4Gi"), None),
        of("cpu.large", "4", Some("8Gi"), None),
    ]
}

/// `own` types, and those that are built in and not among them; by name.
pub fn with_built_in(own: Vec<InstanceType>) -> Vec<InstanceType> {
    let mut all = own;
    for built_in in built_in() {
        if all.iter().all(|known| known.name != built_in.name) {
            all.push(built_in);
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// What is wrong with a name, in a sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let shown: String = name.chars().take(100).collect();
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(good) || name.starts_with(['.', '-']) {
        return Err(format!(
            "`{shown}` is no name of an instance type: write 1 to {NAME_MAX} letters, digits, `_`, `.` and `-`, the \
             first a letter, a digit or `_`"
        ));
    }
    Ok(())
}

/// What a run asks for: what it named itself, the rest from its instance type, and one core where nobody said any.
pub fn fill(named: Option<Resources>, from: Option<&InstanceType>) -> Resources {
    let base = from.map_or_else(Resources::default, |from| from.resources.clone());
    named.map_or(base.clone(), |named| named.over(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_every_server_can_be_asked_for() {
        for built_in in built_in() {
            check_name(&built_in.name).unwrap();
            built_in.resources.demand().unwrap();
        }
    }

    #[test]
    fn what_a_run_names_goes_before_its_type() {
        let types = with_built_in(vec![InstanceType {
            name: "cpu.small".into(),
            resources: Resources { cpu: "3".into(), memory: Some("1Gi".into()), ..Resources::default() },
            executor: None,
        }]);
        assert_eq!(types.len(), built_in().len(), "an own type takes the place of the one of its name");
        let small = types.iter().find(|known| known.name == "cpu.small").unwrap();
        let named = Resources { cpu: String::new(), memory: Some("8Gi".into()), ..Resources::default() };
        let filled = fill(Some(named.clone()), Some(small));
        assert_eq!((filled.cpu.as_str(), filled.memory.as_deref()), ("3", Some("8Gi")));
        assert_eq!(fill(None, Some(small)), small.resources);
        assert_eq!(fill(Some(named), None).cpu, "1");
        assert_eq!(fill(None, None), Resources::default());
    }

    #[test]
    fn a_name_that_cannot_be_one_is_answered_with_what_can() {
        for name in ["", "a b", "a/b", "-x", ".x", &"x".repeat(65), "größe"] {
            assert!(check_name(name).unwrap_err().contains("write 1 to 64 letters"), "{name}");
        }
        check_name("ecs.gn6i-c4g1.xlarge").unwrap();
    }
}
