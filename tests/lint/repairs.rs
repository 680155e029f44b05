//! The statements that lint prints repair what it found, and nothing else.

use super::rows::loosen;
use super::world::{Case, World, on_each};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};

pub(super) fn trials() -> Vec<Trial> {
    let cases: [Case; 3] = [
        ("each_printed_statement_repairs_its_own_row", own_rows),
        ("no_value_of_a_row_is_syntax", hostile),
        ("no_value_of_a_row_is_run_by_a_shell", shell),
    ];
    cases.into_iter().flat_map(|(name, case)| on_each(&format!("repairs::{name}"), case)).collect()
}

/// The rules of single rows.
const RULES: &[&str] = &["K1", "K3", "A2", "A3", "V1", "V2", "V3", "R1"];

/// The statements of what is found.
fn statements(world: &World) -> Result<Vec<String>, Failed> {
    let found = world.findings(&["--no-homes"], &[])?;
    let of = |f: &&serde_json::Value| {
        f["repair_kind"] == "statement" && RULES.contains(&f["rule"].as_str().unwrap_or_default())
    };
    let texts = found.iter().filter(of).filter_map(|f| f["repair"].as_str());
    // What a virtual host lacks in table rcpthosts is no fault of a row.
    Ok(texts.filter(|text| !text.starts_with("INSERT")).map(str::to_owned).collect())
}

/// Carries them all out, and fails if lint has another statement then.
fn repair(world: &World, count: usize) -> Outcome {
    let all = statements(world)?;
    ensure(all.len() == count, format!("{count} statements expected: {all:#?}"))?;
    for (n, statement) in all.iter().enumerate() {
        // Whatever the server makes of backslashes. To SQLite it is a comment.
        let mode = ["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES"][n % 2];
        world.sql(&format!("/*!50000 SET sql_mode='{mode}'*/; {statement}"))?;
    }
    equal("left", statements(world)?, Vec::<String>::new())
}

fn own_rows(world: &World) -> Outcome {
    loosen(world)?;
    let columns = "username, uid, gid, home, password, password_type, suspended";
    world.sql(&format!(
        "INSERT INTO mailbox ({columns}) VALUES
           ('iain ','20001','20001','/h','secret','Password','N'), ('iaim','20001','20001','/h','secret','Password','N'),
           ('two','20001','20001','/h','secret','Password','N'), ('two','20001','20001','/h','secret','Password','N')"
    ))?;
    world.sql(
        "INSERT INTO alias VALUES ('iain','blank','',''), ('iain','blank2',NULL,NULL), ('iain','blank2','a','b.org'),
           ('iain','line','|prog',''), ('iain','twice','A','b.org'), ('iain','twice','a','b.org'),
           ('iain','twice','a','b.org'), ('iain','twice','a','b.org '), ('bob',NULL,'',NULL), ('bob','x','.','/Maildir/')",
    )?;
    world.sql(
        "INSERT INTO `virtual` VALUES ('iain','@','%','bar.com'), ('iain','@','x','bar.com'), ('iain','','x','foo.com '),
           ('iain','','y','foo.com'), ('iain','','z','foo.com'), ('Iain',NULL,'z','foo.com')",
    )?;
    world.sql("INSERT INTO rcpthosts VALUES ('bar.com'), ('BAR.com'), ('foo.com.')")?;
    // 'a', 'b.org ' is no forward, and nobody but a person can say what was meant.
    repair(world, 12)?;
    for (table, condition, count) in [
        ("mailbox", "username='iain' AND length(username)=4 AND password='secret'", 1),
        ("mailbox", "username='two'", 1),
        ("mailbox", "1=1", 4),
        ("alias", "alias='blank' AND alias_username='.' AND alias_host='/Maildir/'", 1),
        ("alias", "alias='blank2'", 1),
        ("alias", "alias='line' AND alias_username='|' AND alias_host='prog'", 1),
        ("alias", "alias='twice'", 3),
        ("alias", "hex(alias_username)='41'", 1),
        ("alias", "username='bob' AND alias IS NULL AND alias_username='.'", 1),
        ("alias", "1=1", 8),
        ("virtual", "virtual_host='bar.com' AND virtual_username=''", 1),
        ("virtual", "virtual_host='foo.com' AND length(virtual_host)=7", 3),
        ("virtual", "1=1", 5),
        ("rcpthosts", "host='foo.com'", 1),
        ("rcpthosts", "1=1", 2),
    ] {
        equal(&format!("{table} where {condition}"), world.count(table, condition)?, count)?;
    }
    Ok(())
}

fn hostile(world: &World) -> Outcome {
    loosen(world)?;
    let nasty = "replace('o''b/;-- \u{ef}x','/',char(92))";
    world.sql(&format!(
        "INSERT INTO alias VALUES ({nasty},'k','',''), ('iain','q','a',{nasty}), ('iain','q','a',{nasty}),
           ('iain', replace('o''b/c','/',char(92)), '', ''), ('other','k','a','b.org'),
           ('p1', replace('b/n','/',char(92)), '', ''), ('p2', replace('b/n','/',char(92)), '', '')"
    ))?;
    world.sql(&format!("INSERT INTO `virtual` VALUES ({nasty},{nasty},'x','foo.com '), ('iain','','y','foo.com')"))?;
    repair(world, 6)?;
    for (condition, count) in [
        (format!("username={nasty} AND alias_username='.'"), 1),
        (format!("alias_host={nasty}"), 1),
        ("username='iain' AND alias_host='/Maildir/'".to_owned(), 1),
        ("alias_host='/Maildir/'".to_owned(), 4),
        ("1=1".to_owned(), 6),
    ] {
        equal(&condition, world.count("alias", &condition)?, count)?;
    }
    equal("owner", world.count("virtual", &format!("username={nasty} AND ext={nasty} AND virtual_host='foo.com'"))?, 1)
}

fn shell(world: &World) -> Outcome {
    loosen(world)?;
    let marker = world.path("run");
    let value = format!("$(touch {0})`touch {0}`", marker.display());
    world.sql(&format!("INSERT INTO alias VALUES ('{value}','k','',''), ('iain','{value}',NULL,NULL)"))?;
    for statement in statements(world)? {
        // As between the quotes of `mysql -e "..."`.
        let done =
            std::process::Command::new("/bin/sh").args(["-c", &format!("printf %s \"{statement}\"")]).output()?;
        equal("unchanged", String::from_utf8_lossy(&done.stdout).into_owned(), statement)?;
    }
    ensure(!marker.exists(), "a value was run")?;
    repair(world, 2)?;
    equal("repaired", world.count("alias", "alias_username='.' AND alias_host='/Maildir/'")?, 2)
}
