//! What this machine can never satisfy, said with what to change. Pure.

use runyard_domain::resources::{Demand, Resources};

use super::{
    admission::{cpu_text, size_text},
    machine::Machine,
};

/// `Ok` when an empty machine would have room.
pub(crate) fn check(machine: &Machine, demand: &Demand, resources: &Resources) -> Result<(), String> {
    let mut wrong = Vec::new();
    if demand.cpu_milli > machine.cpu_milli {
        wrong.push(format!(
            "asks for {} CPU; this machine offers {}: lower --cpu, or raise the limit of the server",
            resources.cpu,
            cpu_text(machine.cpu_milli)
        ));
    }
    let asked = |text: &Option<String>| text.clone().unwrap_or_default();
    if demand.memory_bytes.is_some_and(|bytes| bytes > machine.memory_bytes) {
        wrong.push(format!(
            "asks for {} of memory; this machine offers {}: lower --memory, or raise the limit of the server",
            asked(&resources.memory),
            size_text(machine.memory_bytes)
        ));
    }
    if demand.storage_bytes.is_some_and(|bytes| bytes > machine.disk_bytes) {
        wrong.push(format!(
            "asks for {} of disk; the disk of the jobs has {}: lower it, or give the server a larger disk",
            asked(&resources.ephemeral_storage),
            size_text(machine.disk_bytes)
        ));
    }
    wrong.extend(gpu(machine, demand));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn gpu(machine: &Machine, demand: &Demand) -> Option<String> {
    if demand.gpu_count == 0 {
        return None;
    }
    let mut kinds: Vec<&str> = machine.gpus.iter().map(|gpu| gpu.kind.as_str()).collect();
    kinds.sort_unstable();
    let counts: Vec<(&str, usize)> =
        kinds.chunk_by(|a, b| a == b).map(|group| (group[0], group.len())).collect();
    let listed: Vec<String> = counts.iter().map(|(kind, count)| format!("`{kind}` ({count})")).collect();
    let count = demand.gpu_count;
    if counts.is_empty() {
        return Some(format!(
            "asks for {count} GPU; this machine has none that nvidia-smi lists: leave out --gpu, or check the driver"
        ));
    }
    match &demand.gpu_type {
        Some(kind) => match counts.iter().find(|(known, _)| known == kind) {
            None => Some(format!(
                "asks for a GPU of type `{kind}`; this machine has {}: name one of these, or `any`",
                listed.join(", ")
            )),
            Some(&(_, there)) if there as i64 >= count => None,
            Some((_, there)) => {
                Some(format!("asks for {count} GPU of type `{kind}`; this machine has {there}: lower --gpu"))
            }
        },
        None if counts.iter().any(|&(_, there)| there as i64 >= count) => None,
        None => Some(format!(
            "asks for {count} GPU of one type; this machine has {}: lower --gpu",
            listed.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use runyard_domain::resources::Gpu;

    use super::*;
    use crate::local::machine;

    fn answer(resources: Resources) -> Result<(), String> {
        let gpu = |id: &str, kind: &str| machine::Gpu { id: id.into(), kind: kind.into() };
        let machine = Machine {
            cpu_milli: 2000,
            memory_bytes: 8 << 30,
            disk_bytes: 100 << 30,
            gpus: vec![gpu("a", "T4"), gpu("b", "A100"), gpu("c", "T4")],
        };
        check(&machine, &resources.demand().unwrap(), &resources)
    }

    fn gpus(count: i64, kind: &str) -> Resources {
        Resources { gpu: Some(Gpu { count, kind: kind.into() }), ..Resources::default() }
    }

    #[test]
    fn what_fits_an_empty_machine_is_accepted() {
        let all = Resources {
            cpu: "2".into(),
            memory: Some("8Gi".into()),
            ephemeral_storage: Some("100Gi".into()),
            shared_memory: None,
            gpu: Some(Gpu { count: 2, kind: "T4".into() }),
        };
        assert_eq!(answer(all), Ok(()));
        assert_eq!(answer(Resources::default()), Ok(()));
        assert_eq!(answer(gpus(2, "any")), Ok(()));
    }

    #[test]
    fn everything_that_is_too_much_is_named_at_once_with_the_fix() {
        let error = answer(Resources {
            cpu: "64".into(),
            memory: Some("1Ti".into()),
            ephemeral_storage: Some("1Pi".into()),
            shared_memory: None,
            gpu: None,
        });
        assert_eq!(
            error.unwrap_err(),
            "asks for 64 CPU; this machine offers 2: lower --cpu, or raise the limit of the server; \
             asks for 1Ti of memory; this machine offers 8Gi: lower --memory, or raise the limit of the server; \
             asks for 1Pi of disk; the disk of the jobs has 100Gi: lower it, or give the server a larger disk"
        );
    }

    #[test]
    fn gpus_that_are_not_there_are_answered_with_those_that_are() {
        assert_eq!(
            answer(gpus(1, "H100")).unwrap_err(),
            "asks for a GPU of type `H100`; this machine has `A100` (1), `T4` (2): name one of these, or `any`"
        );
        assert_eq!(
            answer(gpus(2, "A100")).unwrap_err(),
            "asks for 2 GPU of type `A100`; this machine has 1: lower --gpu"
        );
        assert_eq!(
            answer(gpus(3, "any")).unwrap_err(),
            "asks for 3 GPU of one type; this machine has `A100` (1), `T4` (2): lower --gpu"
        );
        let none = check(&Machine::default(), &gpus(1, "").demand().unwrap(), &gpus(1, "")).unwrap_err();
        assert!(none.contains("this machine has none that nvidia-smi lists"), "{none}");
    }
}
