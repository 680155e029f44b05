//! Hosts in the control files, catch-alls of the other mode, users/cdb.

use super::ground::{Damage, Ground};
use super::trial;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::ALIAS;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("hosts::each_damage_is_found_alone_and_mended_by_its_command", mended),
        trial("hosts::a_host_leaves_locals_only_behind_a_line_of_virtualdomains", leaves),
        trial("hosts::control_me_is_never_emptied", me),
        trial("hosts::a_safety_net_that_the_stock_programs_do_not_see_is_found", other_net),
        trial("hosts::an_open_relay_is_found_without_any_row", open_relay),
        trial("hosts::hosts_that_wait_for_a_decision_are_named", undecided),
        trial("hosts::catch_alls_of_the_other_mode_are_found_and_the_statement_mends_them", funky),
        trial("hosts::rows_that_the_log_will_name_are_counted", misconfigured),
        trial("hosts::users_cdb_is_read", assigned),
    ]
}

const BEST_MX: &str = "best-preference MX";
const ACCEPTED: &str = "no open relay";

fn mended() -> Outcome {
    let ground = Ground::sqlite("")?;
    let sync = "qmail-lookup --config CONFIG sync";
    for (name, harm, question, mend) in [
        ("no line", "sed -i /virtual.com/d Q/control/virtualdomains", BEST_MX, sync),
        ("no file", "rm Q/control/virtualdomains", BEST_MX, sync),
        (
            "local",
            "echo Bar.com >>Q/control/locals",
            BEST_MX,
            "sed -i --follow-symlinks '/^bar\\.com[ \\t]*$/Id' Q/control/locals && ",
        ),
        ("open relay", "rm Q/control/rcpthosts", ACCEPTED, sync),
        ("not accepted", "echo mail.test >Q/control/rcpthosts", ACCEPTED, sync),
        ("a damaged cdb", "cd Q/control && echo more.test >morercpthosts && echo x >morercpthosts.cdb", ACCEPTED, sync),
        ("a cdb that is behind", "echo other.test >>Q/control/morercpthosts", ACCEPTED, sync),
        ("no safety net", "rm Q/alias/.qmail-=bar:com=-default", "safety net", sync),
    ] {
        ground.mends(&Damage { name, harm, options: &[], question, mend })?;
    }
    ground.run(&format!(
        "cd {} && rm morercpthosts && echo x >morercpthosts.cdb",
        ground.site.path("q/control").display()
    ))?;
    let mend = ground.finds("a damaged cdb without the file that it was made of", &[], ACCEPTED)?;
    ensure(mend.starts_with("write control/morercpthosts"), mend)
}

fn leaves() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.site.sql("INSERT INTO `virtual` VALUES ('iain', '', 'x', 'new.test')")?;
    // As it is after a migration, with a file that is kept elsewhere.
    ground.run(&format!("cd {} && mv locals kept && ln -s kept locals", ground.site.path("q/control").display()))?;
    ground.mends(&Damage {
        name: "new.test",
        harm: "echo new.test >>Q/control/locals",
        options: &[],
        question: BEST_MX,
        mend: "sed -i --follow-symlinks '1i new.test:=new.test=' Q/control/virtualdomains && sed -i --follow-symlinks ",
    })?;
    ensure(ground.site.path("q/control/locals").is_symlink(), "locals is a file now")
}

fn me() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.run(&format!("cd {} && rm locals && echo bar.com >me", ground.site.path("q/control").display()))?;
    let mend = ground.finds("me", &[], BEST_MX)?;
    ensure(mend.starts_with("give this machine a name of its own in control/me"), mend)
}

fn other_net() -> Outcome {
    let ground = Ground::sqlite("")?;
    let config = std::fs::read_to_string(ground.site.config())?;
    let (stand_in, alias) = (format!("alias_user = \"{ALIAS}\""), "alias_user = \"alias\"");
    ensure(config.contains(&stand_in), "no stand-in")?;
    std::fs::write(ground.site.config(), config.replace(&stand_in, alias))?;
    let (net, other) = (ground.site.path("q/alias"), ground.site.path("homes/alias"));
    for (home, found) in [(&other, true), (&net, false)] {
        ground.users(&net, &format!("alias:x:7790:2108::{}:/bin/sh\n", home.display()))?;
        let said = ground.ask(&[])?;
        let is_told = said.wrong.iter().any(|(question, what, _)| {
            question.contains("safety net") && what.contains(&format!("look into {}", other.display()))
        });
        equal("told", is_told, found).map_err(|error| format!("{error:?}: {said:#?}"))?;
    }
    Ok(())
}

fn open_relay() -> Outcome {
    let ground = Ground::sqlite("")?;
    // With hosts in the table something else would be missing, too.
    ground.site.sql("DELETE FROM rcpthosts")?;
    std::fs::remove_file(ground.site.path("q/control/rcpthosts"))?;
    let said = ground.ask(&[])?;
    let what = said.wrong.first().map(|(_, what, _)| what.as_str()).unwrap_or_default();
    ensure(said.wrong.len() == 1 && what.contains("mail for every host is accepted"), format!("{said:#?}"))
}

fn undecided() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.site.sql("INSERT INTO rcpthosts (host) VALUES ('only.test')")?;
    let mend = ground.finds("V7", &[], ACCEPTED)?;
    ensure(mend.starts_with("set rules.rcpthosts_only to \"local\" or \"relay\""), mend)?;
    ground.site.reconfigure("[rules]\nrcpthosts_only = \"local\"")?;
    let said = ground.ask(&[])?;
    equal("local", said.wrong.len(), 3).map_err(|error| format!("{error:?}: {said:#?}"))?;
    ground.run("qmail-lookup --config CONFIG sync")?;
    ground.is_well("local, and in step")
}

fn funky() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.site.reconfigure("[rules]\nvirtual_patterns = \"like\"")?;
    let damage = Damage {
        name: "blank",
        harm: ":",
        options: &[],
        question: "I upgraded to FUNKY QUERIES",
        mend: "update `virtual` set virtual_username='%' where ",
    };
    ground.mends(&damage)?;
    ground.site.reconfigure("")?;
    ground.finds("the way back", &[], "I upgraded to FUNKY QUERIES").map(drop)
}

fn misconfigured() -> Outcome {
    let ground = Ground::sqlite("")?;
    ground.site.sql("INSERT INTO alias VALUES ('iain', 'blank', '', '')")?;
    let command = ground.finds("both blank", &[], "MySQL misconfiguration")?;
    ensure(command.ends_with(" lint"), command)?;
    ground.site.sql("DELETE FROM alias WHERE alias = 'blank'; UPDATE mailbox SET uid = '0' WHERE username = 'bob'")?;
    ground.finds("uid 0", &[], "MySQL misconfiguration").map(drop)
}

fn assigned() -> Outcome {
    let ground = Ground::sqlite("")?;
    let write = |records: &[(&[u8], &[u8])]| -> Outcome {
        let mut writer = cdb2::CDBWriter::create(ground.site.path("q/users/cdb"))?;
        for (key, data) in records {
            writer.add(key, data)?;
        }
        Ok(writer.finish()?)
    };
    let line = b"uucp\x0010\x0010\0/alias\0-\0\0".as_slice();
    write(&[(b"!".as_slice(), line), (b"", b"")])?;
    ground.finds("+:", &[], "users/cdb")?;
    write(&[(b"!iain\0".as_slice(), b"bob\x0020002\x0020002\0/home/bob\0\0\0".as_slice()), (b"", b"")])?;
    ground.finds("=iain:bob:", &[], "users/cdb")?;
    write(&[(b"!iain\0".as_slice(), b"iain\x0020001\x0020001\0/home/iain\0\0\0".as_slice()), (b"", b"")])?;
    ground.is_well("=iain:iain:")?;
    let games = b"games\x005\x005\0/home/games\0\0\0".as_slice();
    write(&[(b"!iain-list\0".as_slice(), games), (b"", b"")])?;
    ground.finds("=iain-list:games:", &[], "users/cdb")?;
    write(&[(b"!=bar.com=-".as_slice(), games), (b"", b"-")])?;
    ground.finds("+=bar.com=-:games:", &[], "users/cdb")?;
    std::fs::write(ground.site.path("q/users/cdb"), "garbage")?;
    ground.finds("garbage", &[], "users/cdb").map(drop)
}
