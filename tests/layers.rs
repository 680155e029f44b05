//! Arrows point down only: bins, config, backends, core. Tests and benches may use anything.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::path::Path;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("layers::arrows_point_down_only", arrows),
        Trial::test("layers::every_package_has_a_rank", ranks),
        Trial::test("layers::core_without_features_has_no_dependency", bare_core),
        Trial::test("layers::drop_ins_depend_on_bare_core_and_libc_only", bare_dropins),
    ]
}

/// Where a package stands: by its folder, so that a new binary needs no line here.
fn rank(package: &Package) -> Option<u32> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let folder = package.manifest_path.as_std_path().parent()?.strip_prefix(root).ok()?;
    match folder.to_str()? {
        "core" => Some(0),
        "backends" => Some(1),
        "config" => Some(2),
        bin if bin.starts_with("bins/") => Some(3),
        "tests" => Some(4),
        "benches" => Some(5),
        _ => None,
    }
}

fn packages() -> Result<Vec<Package>, libtest_mimic::Failed> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata =
        MetadataCommand::new().manifest_path(manifest).no_deps().other_options(["--offline".to_owned()]).exec()?;
    Ok(metadata.workspace_packages().into_iter().cloned().collect())
}

fn ranks() -> Outcome {
    let packages = packages()?;
    ensure(packages.len() >= 6, "the workspace has shrunk")?;
    let without: Vec<_> =
        packages.iter().filter(|package| rank(package).is_none()).map(|package| &package.name).collect();
    ensure(without.is_empty(), format!("no rank for {without:?}: give it one in tests/layers.rs"))
}

fn arrows() -> Outcome {
    let packages = packages()?;
    let mut bad = Vec::new();
    let mut edges = 0;
    for package in &packages {
        for dependency in &package.dependencies {
            let Some(target) = packages.iter().find(|other| *other.name == dependency.name) else { continue };
            edges += 1;
            // What serves tests and benches only may be a dev-dependency of anything below it.
            let for_tests = dependency.kind == DependencyKind::Development && rank(target) >= Some(4);
            if rank(target) >= rank(package) && !for_tests {
                bad.push(format!("{} -> {}", package.name, dependency.name));
            }
        }
    }
    ensure(edges >= 5, format!("only {edges} edges were seen"))?;
    ensure(bad.is_empty(), format!("these arrows do not point down: {bad:?}"))
}

/// The drop-ins use core without features: everything it depends on has to be optional.
fn bare_core() -> Outcome {
    let packages = packages()?;
    let core = packages.iter().find(|package| rank(package) == Some(0)).ok_or("no core")?;
    let always = core.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal && !d.optional);
    let always: Vec<_> = always.map(|dependency| &dependency.name).collect();
    ensure(always.is_empty(), format!("core always needs {always:?}"))
}

/// Whoever reviews what runs as root must have little to read.
fn bare_dropins() -> Outcome {
    let packages = packages()?;
    let dropin = packages.iter().find(|package| *package.name == "qmail-lookup-dropin").ok_or("no drop-ins")?;
    let mut needs = Vec::new();
    for dependency in dropin.dependencies.iter().filter(|d| d.kind != DependencyKind::Development) {
        let bare = !dependency.uses_default_features && dependency.features.is_empty();
        needs.push((dependency.name.as_str(), bare || dependency.name == "libc"));
    }
    needs.sort_unstable();
    equal(
        "dependencies, and whether they come without features",
        needs,
        vec![("libc", true), ("qmail-lookup-core", true)],
    )
}
