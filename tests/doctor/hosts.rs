//! Hosts in the control files, catch-alls of the other mode, users/cdb.

use super::ground::{Damage, Ground};
use super::trial;
use libtest_mimic::Trial;
use qmail_lookup_tests::check::{Outcome, ensure, equal};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("hosts::each_damage_is_found_alone_and_mended_by_its_command", mended),
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
        ("local", "echo Bar.com >>Q/control/locals", BEST_MX, "sed -i '/^bar\\.com[ \\t]*$/Id' Q/control/locals && "),
        ("open relay", "rm Q/control/rcpthosts", ACCEPTED, sync),
        ("not accepted", "echo mail.test >Q/control/rcpthosts", ACCEPTED, sync),
        ("a damaged cdb", "echo x >Q/control/morercpthosts.cdb", ACCEPTED, sync),
        ("a cdb that is behind", "echo more.test >Q/control/morercpthosts", ACCEPTED, sync),
        ("no safety net", "rm Q/alias/.qmail-=bar:com=-default", "safety net", sync),
    ] {
        ground.mends(&Damage { name, harm, options: &[], question, mend })?;
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
        mend: "update virtual set virtual_username='%' where virtual_username='';",
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
    std::fs::write(ground.site.path("q/users/cdb"), "garbage")?;
    ground.finds("garbage", &[], "users/cdb").map(drop)
}
