//! What lint prints, and how it ends.

use super::rows::loosen;
use super::world::{Case, World, on_each};
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};

pub(super) fn trials() -> Vec<Trial> {
    let cases: [Case; 3] = [
        ("what_was_found_is_shown_although_a_table_is_missing", missing),
        ("very_many_findings_of_a_rule_are_counted", many),
        ("keys_are_escaped", escaped),
    ];
    cases.into_iter().flat_map(|(name, case)| on_each(&format!("report::{name}"), case)).collect()
}

fn missing(world: &World) -> Outcome {
    world.aliases(&[["iain", "x", "", ""]])?;
    world.sql("DROP TABLE rcpthosts")?;
    let text = world.lint(&["--no-homes"], &[])?.exits(111)?.says("error   A2 alias iain-x: ")?;
    text.says("not everything was looked at")?.complains(&["rcpthosts", "init"])?;
    let json = world.lint(&["--no-homes", "--json"], &[])?.exits(111)?.json()?;
    equal("result", json["result"].as_str(), Some("error"))?;
    equal("kind", json["error"]["kind"].as_str(), Some("schema"))?;
    ensure(json["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["rule"] == "A2")), json.to_string())
}

fn many(world: &World) -> Outcome {
    let rows: Vec<String> = (0..1234).map(|n| format!("('u{n}','x','','')")).collect();
    world.sql(&format!("INSERT INTO alias (username, alias, alias_username, alias_host) VALUES {}", rows.join(",")))?;
    let done = world.lint(&["--no-homes"], &[])?.exits(1)?.says("1234 errors, 234 of them not shown")?;
    equal("lines", done.out.lines().filter(|line| line.starts_with("error   A2 ")).count(), 1000)?;
    let json = world.lint(&["--no-homes", "--json"], &[])?.exits(1)?.json()?;
    let shown = json["findings"].as_array().into_iter().flatten().filter(|f| f["rule"] == "A2").count();
    equal("shown", shown, 1000)?;
    equal("counted", json["counts"]["A2"]["error"].as_u64(), Some(1234))?;
    equal("said", json["counts"]["A2"]["shown"].as_u64(), Some(1000))
}

fn escaped(world: &World) -> Outcome {
    loosen(world)?;
    let escape = "replace(replace('a/[2J-x','/',char(27)),'-',char(10))";
    world.sql(&format!("INSERT INTO alias VALUES ('iain',{escape},'','')"))?;
    let done = world.lint(&["--no-homes"], &[])?.exits(1)?.says("iain-a\\x1b[2J\\x0ax")?;
    ensure(!done.out.contains('\u{1b}'), format!("{done:?}"))?;
    equal("lines", done.out.lines().filter(|line| line.starts_with("error   A2 ")).count(), 1)
}
