//! What a run asks of a machine.

use serde::{Deserialize, Serialize};

use crate::{FieldErrors, quantity::Quantity};

/// What a run asks for, as the person wrote it (Kubernetes quantities). Absent memory or storage: no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU cores: `2`, `500m`. Empty only in a request that names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cpu: String,
    /// Memory: `2Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Scratch disk: `20Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<String>,
    /// Shared memory (`/dev/shm`) of a container: `8Gi`. Absent: half of its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<String>,
    /// Whole GPUs of one type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
}

/// A number of GPUs of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// How many, 1 or more.
    pub count: i64,
    /// The type's name as `system/resources` lists it; empty or `any`: whichever there is.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The same in integers, to count with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// CPU in thousandths of a core.
    pub cpu_milli: i64,
    /// Memory in bytes; `None`: no limit, and nothing is set aside.
    pub memory_bytes: Option<i64>,
    /// Scratch disk in bytes.
    pub storage_bytes: Option<i64>,
    /// Shared memory of a container in bytes; a part of its memory, not more of it.
    pub shared_memory_bytes: Option<i64>,
    /// Number of GPUs.
    pub gpu_count: i64,
    /// Their type; `None`: any.
    pub gpu_type: Option<String>,
}

impl Demand {
    /// So much for each of `count` instances.
    #[must_use]
    pub fn times(&self, count: i64) -> Self {
        let times = |one: i64| one.saturating_mul(count);
        Self {
            cpu_milli: times(self.cpu_milli),
            memory_bytes: self.memory_bytes.map(times),
            storage_bytes: self.storage_bytes.map(times),
            shared_memory_bytes: self.shared_memory_bytes.map(times),
            gpu_count: times(self.gpu_count),
            gpu_type: self.gpu_type.clone(),
        }
    }
}

impl Default for Resources {
    /// One core, no memory limit, no GPU: what a run gets that asks for nothing.
    fn default() -> Self {
        Self { cpu: "1".into(), memory: None, ephemeral_storage: None, shared_memory: None, gpu: None }
    }
}

impl Resources {
    /// What is named here, and the rest of `base`.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            cpu: if self.cpu.is_empty() { base.cpu } else { self.cpu },
            memory: self.memory.or(base.memory),
            ephemeral_storage: self.ephemeral_storage.or(base.ephemeral_storage),
            shared_memory: self.shared_memory.or(base.shared_memory),
            gpu: self.gpu.or(base.gpu),
        }
    }

    /// So much for each of `count` instances. What cannot be read stays as it is.
    #[must_use]
    pub fn times(&self, count: i64) -> Self {
        let times =
            |text: &String| text.parse().map_or(text.clone(), |one: Quantity| one.times(count).to_string());
        Self {
            cpu: times(&self.cpu),
            memory: self.memory.as_ref().map(times),
            ephemeral_storage: self.ephemeral_storage.as_ref().map(times),
            shared_memory: self.shared_memory.as_ref().map(times),
            gpu: self.gpu.clone().map(|gpu| Gpu { count: gpu.count.saturating_mul(count), ..gpu }),
        }
    }

    /// Reads the quantities.
    ///
    /// # Errors
    /// Every wrong field by its path (`cpu`, `memory`, `ephemeral_storage`, `shared_memory`, `gpu.count`).
    pub fn demand(&self) -> Result<Demand, FieldErrors> {
        let mut errors = FieldErrors::default();
        let mut read = |path: &str, text: Option<&String>| -> Option<Quantity> {
            match text?.parse() {
                Ok(quantity) => Some(quantity),
                Err(error) => {
                    errors.add(path, error.to_string());
                    None
                }
            }
        };
        let cpu = read("cpu", Some(&self.cpu));
        let memory = read("memory", self.memory.as_ref());
        let storage = read("ephemeral_storage", self.ephemeral_storage.as_ref());
        let shared = read("shared_memory", self.shared_memory.as_ref());
        if cpu.is_some_and(|cpu| cpu.milli() == 0) {
            errors.add("cpu", "must be more than 0");
        }
        if memory.is_some_and(|memory| memory.ceil() < 4 << 20) {
            errors.add("memory", "must be at least 4Mi: no program runs in less");
        }
        if shared.is_some_and(|shared| shared.ceil() < 64 << 10) {
            errors.add("shared_memory", "must be at least 64Ki; leave it out for half of the memory");
        }
        if let (Some(shared), Some(memory)) = (shared, memory)
            && shared.ceil() > memory.ceil()
        {
            errors.add("shared_memory", "is more than `memory`, which it is a part of: raise `memory`");
        }
        if let Some(gpu) = self.gpu.as_ref()
            && !(1..=1024).contains(&gpu.count)
        {
            errors.add("gpu.count", "must be from 1 to 1024; leave `gpu` out for a run without GPUs");
        }
        let gpu = self.gpu.as_ref();
        errors.finish(Demand {
            cpu_milli: cpu.map_or(0, Quantity::milli),
            memory_bytes: memory.map(Quantity::ceil),
            storage_bytes: storage.map(Quantity::ceil),
            shared_memory_bytes: shared.map(Quantity::ceil),
            gpu_count: gpu.map_or(0, |gpu| gpu.count),
            gpu_type: gpu.map(|gpu| gpu.kind.clone()).filter(|kind| !matches!(kind.as_str(), "" | "any")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_quantity_is_named_at_once() {
        let resources = Resources {
            cpu: "two".into(),
            memory: Some("5GB".into()),
            ephemeral_storage: None,
            shared_memory: Some("5".into()),
            gpu: Some(Gpu { count: 0, kind: "any".into() }),
        };
        let errors = resources.demand().unwrap_err();
        assert_eq!(errors.0.keys().collect::<Vec<_>>(), ["cpu", "gpu.count", "memory", "shared_memory"]);
    }

    #[test]
    fn several_instances_ask_for_as_much_as_each_of_them_together() {
        let one = Resources {
            cpu: "1500m".into(),
            memory: Some("1.5Gi".into()),
            gpu: Some(Gpu { count: 2, kind: "T4".into() }),
            ..Resources::default()
        };
        let all = one.times(4);
        assert_eq!((all.cpu.as_str(), all.memory.as_deref()), ("6", Some("6Gi")));
        assert_eq!(all.demand().unwrap(), one.demand().unwrap().times(4));
        assert_eq!(all.demand().unwrap().gpu_count, 8);
    }
}
