//! What a run asks of a machine.

use serde::{Deserialize, Serialize};

use crate::{FieldErrors, quantity::Quantity};

/// What a run asks for, as the person wrote it (Kubernetes quantities). Absent memory or storage: no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU cores: `2`, `500m`.
    pub cpu: String,
    /// Memory: `2Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Scratch disk: `20Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<String>,
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
    /// Number of GPUs.
    pub gpu_count: i64,
    /// Their type; `None`: any.
    pub gpu_type: Option<String>,
}

impl Default for Resources {
    /// One core, no memory limit, no GPU: what a run gets that asks for nothing.
    fn default() -> Self {
        Self { cpu: "1".into(), memory: None, ephemeral_storage: None, gpu: None }
    }
}

impl Resources {
    /// Reads the quantities.
    ///
    /// # Errors
    /// Every wrong field by its path (`cpu`, `memory`, `ephemeral_storage`, `gpu.count`).
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
        if cpu.is_some_and(|cpu| cpu.milli() == 0) {
            errors.add("cpu", "must be more than 0");
        }
        if memory.is_some_and(|memory| memory.ceil() < 4 << 20) {
            errors.add("memory", "must be at least 4Mi: no program runs in less");
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
            gpu: Some(Gpu { count: 0, kind: "any".into() }),
        };
        let errors = resources.demand().unwrap_err();
        assert_eq!(errors.0.keys().collect::<Vec<_>>(), ["cpu", "gpu.count", "memory"]);
    }
}
