//! Where symbolic links lead, decided on paper: nothing here looks at a disk.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

/// As many links as Linux follows in one path.
const HOPS_MAX: usize = 40;

/// Whether following `link` to its end stays inside the root. `links` are all links below the root by their
/// relative path, with their targets: a link may lead through others, and a `..` behind one of them counts from where it led.
pub(crate) fn stays_inside(links: &BTreeMap<PathBuf, PathBuf>, link: &Path) -> bool {
    leads_to(links, link).is_some()
}

/// Where following `link` ends, which need not be there; nothing when that is not inside the root.
pub(crate) fn leads_to(links: &BTreeMap<PathBuf, PathBuf>, link: &Path) -> Option<PathBuf> {
    let mut at = link.parent().map(Path::to_owned).unwrap_or_default();
    let mut steps: Vec<Step> = Vec::new();
    let mut hops = 0;
    let Some(target) = links.get(link) else { return Some(link.to_owned()) };
    if !push(&mut steps, target) {
        return None;
    }
    while let Some(step) = steps.pop() {
        match step {
            Step::Up if !at.pop() => return None,
            Step::Up => {}
            Step::Down(name) => {
                at.push(name);
                let Some(target) = links.get(&at) else { continue };
                hops += 1;
                at.pop();
                if hops > HOPS_MAX || !push(&mut steps, target) {
                    return None;
                }
            }
        }
    }
    Some(at)
}

enum Step {
    Up,
    Down(OsString),
}

/// Puts the steps of `target` on top of what is still to go; `false` when the target is absolute.
fn push(steps: &mut Vec<Step>, target: &Path) -> bool {
    for component in target.components().rev() {
        match component {
            Component::Normal(name) => steps.push(Step::Down(name.to_owned())),
            Component::ParentDir => steps.push(Step::Up),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(links: &[(&str, &str)], link: &str) -> bool {
        let links = links.iter().map(|(link, target)| (link.into(), target.into())).collect();
        stays_inside(&links, Path::new(link))
    }

    #[test]
    fn a_link_may_go_anywhere_below_the_root() {
        for target in ["x", "./x", "../b", "../b/../a", "..", "x/y/../../.."] {
            assert!(inside(&[("a/l", target)], "a/l"), "{target}");
        }
    }

    #[test]
    fn a_link_may_not_leave_the_root() {
        for target in ["/etc", "../..", "../../b", "x/../../..", "../b/../../c"] {
            assert!(!inside(&[("a/l", target)], "a/l"), "{target}");
        }
    }

    #[test]
    fn a_link_may_not_leave_the_root_through_another_link() {
        let links = [("a/b/up", "../.."), ("out", "a/b/up/.."), ("fine", "a/b/up/a")];
        assert!(inside(&links, "a/b/up") && inside(&links, "fine"));
        assert!(!inside(&links, "out"));
        let links = links.iter().map(|(link, target)| (link.into(), target.into())).collect();
        assert_eq!(leads_to(&links, Path::new("fine")), Some("a".into()));
    }

    #[test]
    fn links_in_a_circle_are_refused() {
        assert!(!inside(&[("a", "b"), ("b", "a")], "a"));
    }
}
