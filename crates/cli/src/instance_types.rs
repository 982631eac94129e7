//! The file of `serve --instance-types`: resources under names, in TOML. Says of everything that is wrong in which line it is.

use std::path::Path;

use runyard_domain::{
    instance_type::{InstanceType, TYPES_MAX, check_name},
    resources::{Gpu, Resources},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{args::gpu_of, failure::Failure};

const FIELDS: &str = "cpu, memory, gpu, shared_memory, ephemeral_storage and executor";
const EXAMPLE: &str =
    "a file of instance types looks like `\"gpu.large\" = {cpu = 8, memory = \"64Gi\", gpu = \"A100:2\"}`";

/// A place in the file, and what is wrong there.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    at: usize,
    what: String,
}

/// The types in the file.
pub(crate) fn read(path: &Path) -> Result<Vec<InstanceType>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read the instance types in {}: {error}", path.display()))
    })?;
    parse(&text).map_err(|wrong| {
        let line = 1 + text[..wrong.at.min(text.len())].matches('\n').count();
        Failure::usage(format!("{}:{line}: {}", path.display(), wrong.what)).hint(EXAMPLE)
    })
}

fn parse(text: &str) -> Result<Vec<InstanceType>, Wrong> {
    let table = DeTable::parse(text).map_err(|error| Wrong {
        at: error.span().map_or(0, |span| span.start),
        what: error.message().trim().replace('\n', ", "),
    })?;
    let mut types = Vec::new();
    collect(table.get_ref(), "", &mut types)?;
    if types.len() > TYPES_MAX {
        return Err(Wrong {
            at: text.len(),
            what: format!("there are more than {TYPES_MAX} instance types"),
        });
    }
    Ok(types)
}

/// The types of a table. `[cpu.small]` without quotes is a table in a table, and means `cpu.small` all the same.
fn collect(table: &DeTable<'_>, above: &str, types: &mut Vec<InstanceType>) -> Result<(), Wrong> {
    for (key, value) in table {
        let name = format!("{above}{}", key.get_ref());
        let at = key.span().start;
        let DeValue::Table(own) = value.get_ref() else {
            let what =
                format!("`{name}` is no instance type: it has {FIELDS}, in braces or below `[{name}]`");
            return Err(Wrong { at, what });
        };
        if is_group(own) {
            collect(own, &format!("{name}."), types)?;
            continue;
        }
        check_name(&name).map_err(|what| Wrong { at, what })?;
        if types.iter().any(|known| known.name == name) {
            return Err(Wrong { at, what: format!("there are two instance types `{name}`") });
        }
        types.push(instance_type(&name, at, own)?);
    }
    Ok(())
}

/// Whether a table holds types, and is none itself.
fn is_group(table: &DeTable<'_>) -> bool {
    let inner = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        matches!(value.get_ref(), DeValue::Table(_)) && *key.get_ref() != "gpu"
    };
    !table.is_empty() && table.iter().all(inner)
}

fn instance_type(name: &str, at: usize, table: &DeTable<'_>) -> Result<InstanceType, Wrong> {
    let mut resources = Resources { cpu: String::new(), ..Resources::default() };
    let mut executor = None;
    for (key, value) in table {
        let field = key.get_ref().as_ref();
        let wrong =
            |what: String| Wrong { at: value.span().start, what: format!("`{name}`: {field}: {what}") };
        match field {
            "cpu" => resources.cpu = scalar(value.get_ref()).map_err(wrong)?,
            "memory" => resources.memory = Some(scalar(value.get_ref()).map_err(wrong)?),
            "ephemeral_storage" => {
                resources.ephemeral_storage = Some(scalar(value.get_ref()).map_err(wrong)?);
            }
            "shared_memory" => resources.shared_memory = Some(scalar(value.get_ref()).map_err(wrong)?),
            "gpu" => resources.gpu = gpu(value.get_ref()).map_err(wrong)?,
            "executor" => executor = Some(scalar(value.get_ref()).map_err(wrong)?),
            _ => {
                let what = format!("`{name}` has no field `{field}`: an instance type has {FIELDS}");
                return Err(Wrong { at: key.span().start, what });
            }
        }
    }
    let resources = resources.over(Resources::default());
    if let Err(errors) = resources.demand() {
        // The first wrong field, where it stands.
        let field = errors.0.keys().next().map_or("", |path| path.split('.').next().unwrap_or(path));
        let place = table.iter().find(|(key, _)| key.get_ref() == field);
        return Err(Wrong {
            at: place.map_or(at, |(_, value)| value.span().start),
            what: format!("`{name}`: {errors}"),
        });
    }
    Ok(InstanceType { name: name.to_owned(), resources, executor })
}

/// A number or a text, as it was written.
fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        _ => Err("must be a number or a text, such as 4 or \"8Gi\"".to_owned()),
    }
}

/// `2`, `"A100:2"` or `{count = 2, type = "A100"}`; none: `0`.
fn gpu(value: &DeValue<'_>) -> Result<Option<Gpu>, String> {
    let DeValue::Table(table) = value else {
        let text = scalar(value)?;
        return if text == "0" { Ok(None) } else { gpu_of(&text).map(Some) };
    };
    let mut gpu = Gpu { count: 1, kind: "any".to_owned() };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "count" => {
                let text = scalar(value.get_ref())?;
                gpu.count = text.parse().map_err(|_| format!("`{text}` is no number of GPUs"))?;
            }
            "type" => gpu.kind = scalar(value.get_ref())?,
            other => return Err(format!("has no field `{other}`: it has count and type")),
        }
    }
    Ok(Some(gpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> (usize, String) {
        let wrong = parse(text).unwrap_err();
        (1 + text[..wrong.at.min(text.len())].matches('\n').count(), wrong.what)
    }

    #[test]
    fn types_are_read_in_every_form_that_toml_has() {
        let types = parse(
            "\"ecs.g6.xlarge\" = {cpu = 4, memory = \"16Gi\"}\n[cpu.tiny]\ncpu = 0.5\n[gpu.two]\ncpu = \"2\"\ngpu = \"A100:2\"\n\
             [gpu.one.gpu]\ncount = 1\ntype = \"T4\"\n[boxed]\nexecutor = \"container\"\ngpu = 0\n",
        )
        .unwrap();
        let of = |name: &str| types.iter().find(|known| known.name == name).unwrap();
        assert_eq!(types.len(), 5);
        assert_eq!(of("ecs.g6.xlarge").resources.memory.as_deref(), Some("16Gi"));
        assert_eq!(of("cpu.tiny").resources.demand().unwrap().cpu_milli, 500);
        assert_eq!(of("gpu.two").resources.gpu, Some(Gpu { count: 2, kind: "A100".into() }));
        assert_eq!(of("gpu.one").resources.gpu, Some(Gpu { count: 1, kind: "T4".into() }));
        assert_eq!((of("boxed").executor.as_deref(), &of("boxed").resources.gpu), (Some("container"), &None));
        assert_eq!(of("boxed").resources.cpu, "1");
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, words) in [
            ("[a]\ncpu = 1\n[b]\nmemory = \"5GB\"\n", 4, "`b`: memory: `5GB` is not a quantity: write 5Gi"),
            ("[a]\ncpu = 1\ncolour = 2\n", 3, "`a` has no field `colour`: an instance type has cpu, memory"),
            ("[a]\ncpu = [1]\n", 2, "`a`: cpu: must be a number or a text"),
            ("[a]\ncpu = 0\n", 2, "`a`: cpu: must be more than 0"),
            ("\n[a]\ngpu = \"T4:x\"\n", 3, "is no number of GPUs"),
            ("[a]\ngpu = {count = 0}\n", 2, "gpu.count: must be from 1 to 1024"),
            ("[\"a b\"]\ncpu = 1\n", 1, "`a b` is no name of an instance type"),
            ("cpu = 1\n", 1, "`cpu` is no instance type"),
            ("\"a.b\" = {cpu = 1}\n[a]\nb = {cpu = 2}\n", 1, "there are two instance types `a.b`"),
            ("[a\n", 1, "]"),
        ] {
            let (at, what) = said(text);
            assert!(at == line && what.contains(words), "{text}: line {at}: {what}");
        }
    }
}
