//! What differs between two versions of a VM: options, packages, size.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use backend::package::Runner;
use serde_json::Value;
use spec::Vm;

use crate::package;

/// Nothing in it where two versions are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Option, its value before and after, as JSON.
    pub options: Vec<(String, Option<String>, Option<String>)>,
    /// Package, its version before and after.
    pub packages: Vec<(String, Option<String>, Option<String>)>,
    /// What Nix says of two closures, a package a line.
    pub closures: Vec<String>,
    /// Of the guest's files, in bytes, before and after.
    pub size: Option<(u64, u64)>,
    /// Whether something differs that is none of those: the kernel's image, this program.
    pub other: bool,
}

impl Difference {
    /// Between two runner packages; of one that is not ours nothing is known but its path.
    pub fn between(before: &Path, after: &Path) -> Self {
        let (Ok(old), Ok(new)) = (package::read(before), package::read(after)) else {
            return Self {
                other: before != after,
                ..Self::default()
            };
        };
        let mut difference = Self {
            options: options(&old.vm, &new.vm),
            packages: changes(&packages_of(before), &packages_of(after)),
            closures: closures(before, after),
            size: Some((size(&old), size(&new))).filter(|(old, new)| old != new),
            other: false,
        };
        difference.other = difference.is_empty() && before != after;
        difference
    }

    /// Between a package and one that need not be built.
    pub fn to_package(before: &Path, after: &Path) -> Self {
        match after.exists() {
            true => Self::between(before, after),
            false => Self {
                other: before != after,
                ..Self::default()
            },
        }
    }

    /// Between a package and a definition that is not built; of packages only where they are
    /// pinned.
    pub fn to_definition(before: &Path, vm: &Vm, pinned: Option<&image::lock::Entry>) -> Self {
        let Ok(old) = package::read(before) else {
            return Self {
                other: true,
                ..Self::default()
            };
        };
        let pinned = pinned.map(|entry| {
            let all = entry.kernel.iter().chain(&entry.packages);
            all.map(|package| (package.name.clone(), package.version.clone()))
                .collect()
        });
        Self {
            options: options(&old.vm, vm),
            packages: pinned.map_or_else(Vec::new, |new| changes(&packages_of(before), &new)),
            closures: Vec::new(),
            size: None,
            other: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.options.is_empty()
            && self.packages.is_empty()
            && self.closures.is_empty()
            && self.size.is_none()
            && !self.other
    }

    /// `options and packages`
    pub fn sorts(&self) -> String {
        let sorts = [
            (!self.options.is_empty(), "options"),
            (
                !self.packages.is_empty() || !self.closures.is_empty(),
                "packages",
            ),
            (self.size.is_some(), "size"),
            (self.other, "build"),
        ];
        let sorts: Vec<&str> = sorts
            .iter()
            .filter(|(differs, _)| *differs)
            .map(|(_, sort)| *sort)
            .collect();
        match sorts.as_slice() {
            [] => String::new(),
            [one] => (*one).to_owned(),
            [most @ .., last] => format!("{} and {last}", most.join(", ")),
        }
    }

    pub fn json(&self) -> Value {
        let rows = |changes: &[(String, Option<String>, Option<String>)]| -> Vec<Value> {
            let row = |(name, before, after): &(String, Option<String>, Option<String>)| serde_json::json!({ "name": name, "before": before, "after": after });
            changes.iter().map(row).collect()
        };
        serde_json::json!({
            "options": rows(&self.options),
            "packages": rows(&self.packages),
            "closures": self.closures,
            "sizeBefore": self.size.map(|(before, _)| before),
            "sizeAfter": self.size.map(|(_, after)| after),
            "other": self.other,
        })
    }
}

/// Long lists of packages are cut: who wants all asks for JSON.
const SHOWN: usize = 20;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (option, before, after) in &self.options {
            writeln!(f, "  {option}: {} -> {}", shown(before), shown(after))?;
        }
        for (package, before, after) in self.packages.iter().take(SHOWN) {
            match (before, after) {
                (None, Some(after)) => writeln!(f, "  + {package} {after}")?,
                (Some(before), None) => writeln!(f, "  - {package} {before}")?,
                _ => writeln!(f, "  {package}: {} -> {}", shown(before), shown(after))?,
            }
        }
        if self.packages.len() > SHOWN {
            writeln!(f, "  … and {} packages more", self.packages.len() - SHOWN)?;
        }
        for line in &self.closures {
            writeln!(f, "  {line}")?;
        }
        if let Some((before, after)) = self.size {
            writeln!(f, "  size: {} -> {}", mib(before), mib(after))?;
        }
        if self.other {
            writeln!(
                f,
                "  another build; its options and packages are the same, or not known"
            )?;
        }
        Ok(())
    }
}

/// What Nix says of the closures of two packages in its store; nothing where one is elsewhere.
fn closures(before: &Path, after: &Path) -> Vec<String> {
    let in_store = |path: &Path| path.starts_with("/nix/store");
    match in_store(before) && in_store(after) && before != after {
        true => crate::flake::diff_closures(before, after),
        false => Vec::new(),
    }
}

fn shown(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("none")
}

fn mib(bytes: u64) -> String {
    const MIB: f64 = 1_048_576.0;
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mib = bytes as f64 / MIB;
    format!("{mib:.1} MiB")
}

fn packages_of(package: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(package.join(package::PACKAGES)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    });
    lines.collect()
}

fn size(runner: &Runner) -> u64 {
    let guest = &runner.guest;
    let files = [
        Some(&guest.kernel),
        Some(&guest.initrd),
        guest.store_disk.as_ref(),
    ];
    let sizes = files.into_iter().flatten().map(std::fs::metadata);
    sizes.flatten().map(|meta| meta.len()).sum()
}

fn options(before: &Vm, after: &Vm) -> Vec<(String, Option<String>, Option<String>)> {
    changes(&leaves(before), &leaves(after))
}

fn changes(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<(String, Option<String>, Option<String>)> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| {
        (
            name.clone(),
            before.get(name).cloned(),
            after.get(name).cloned(),
        )
    };
    let changes = names.into_iter().map(change);
    changes
        .filter(|(_, before, after)| before != after)
        .collect()
}

/// What a VM is made of, a line for each value; lists as one.
fn leaves(vm: &Vm) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    let mut vm = vm.clone();
    // Of NixOS: another one whenever anything differs.
    vm.boot
        .kernel_params
        .retain(|param| !param.starts_with("init=/nix/") && !param.starts_with("regInfo=/nix/"));
    let value = serde_json::to_value(vm).unwrap_or_default();
    collect("", &value, &mut leaves);
    leaves
}

fn collect(path: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let inner = match path {
                    "" => camel(key),
                    _ => format!("{path}.{}", camel(key)),
                };
                collect(&inner, value, leaves);
            }
        }
        Value::Null => {}
        other => {
            leaves.insert(option_name(path).to_owned(), other.to_string());
        }
    }
}

fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        text + &head.to_ascii_uppercase() + tail
    })
}

/// Where the checked VM groups what a definition has side by side.
fn option_name(path: &str) -> &str {
    match path {
        "memory.memMib" => "mem",
        "memory.hugepages" => "hugepageMem",
        "memory.hotplug.maxMib" => "hotplugMem",
        "memory.hotplug.pluggedMib" => "hotpluggedMem",
        "memory.balloon.initialMib" => "initialBalloonMem",
        "memory.balloon.deflateOnOom" => "deflateOnOOM",
        "boot.initrd" => "initrdPath",
        "boot.kernelParams" => "kernelParams",
        "store.writableOverlay" => "writableStoreOverlay",
        "store.registerClosure" => "registerClosure",
        path => path
            .strip_prefix("boot.")
            .or_else(|| path.strip_prefix("options."))
            .unwrap_or(path),
    }
}
