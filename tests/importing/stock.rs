//! The files of a stock qmail, and what the store that is made of them answers.

use crate::cli::{Run, run, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use tempfile::TempDir;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn(&Qmail) -> Outcome| {
        site::trial(&format!("importing::stock::{name}"), move || run(&Qmail::new()?))
    };
    vec![
        trial("users_files_and_hosts_answer_as_they_did", answers),
        trial("what_no_row_says_is_told_and_stays_a_file", losses),
        trial("a_file_that_its_user_could_not_read_is_not_read_for_him", others_files),
        trial("passwords_are_those_of_the_shadow_file", passwords),
        trial("users_assign_counts_only_as_qmail_reads_it", assign),
        trial("a_row_takes_no_mail_of_a_system_user_who_is_none", shorter_names),
        trial("the_mail_of_a_prepend_stays_whose_it_was", prepends),
        trial("a_home_with_too_much_in_it_stays_files_and_fills_no_memory", bounds),
        trial("a_home_that_qmail_getpw_cannot_see_is_no_row", closed),
        trial("only_hosts_of_the_database_are_accepted", more_hosts),
    ]
}

/// Uids and gids that no user of a system has.
const JOE: u32 = 61_001;
const SMITH: u32 = 61_002;
const ALIAS: u32 = 61_003;

/// A qmail with two users who have homes, and an alias user.
struct Qmail {
    folder: TempDir,
}

impl Qmail {
    fn new() -> Result<Self, Failed> {
        let qmail = Self { folder: tempfile::tempdir()? };
        // Root's own folder would hide the homes.
        std::fs::set_permissions(qmail.folder.path(), PermissionsExt::from_mode(0o755))?;
        for (folder, id) in [("control", 0), ("users", 0), ("joe", JOE), ("smith", SMITH), ("alias", ALIAS)] {
            std::fs::create_dir(qmail.path(folder))?;
            chown(qmail.path(folder), Some(id), Some(id))?;
        }
        let line = |name: &str, id: u32, home: &str| format!("{name}:x:{id}:{id}::{}:/bin/sh\n", qmail.text(home));
        let passwd = line("root", 0, "") + &line("joe", JOE, "joe") + &line("joe-smith", SMITH, "smith");
        let passwd = passwd + &line("alias", ALIAS, "alias") + &line("gone", JOE, "nowhere");
        qmail.write("passwd", &passwd, 0)?;
        for (name, text) in [("me", "mail.test\n"), ("locals", "mail.test\n"), ("rcpthosts", "mail.test\nh.test\n")] {
            qmail.write(&format!("control/{name}"), text, 0)?;
        }
        Ok(qmail)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A file of mode 0644 whose owner is `id`.
    fn write(&self, name: &str, text: &str, id: u32) -> Outcome {
        std::fs::write(self.path(name), text)?;
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o644))?;
        Ok(chown(self.path(name), Some(id), Some(id))?)
    }

    /// A user of uid and gid SMITH, whose home is of `group`.
    fn user(&self, name: &str, group: u32) -> Outcome {
        std::fs::create_dir(self.path(name))?;
        chown(self.path(name), Some(SMITH), Some(group))?;
        let passwd = std::fs::read_to_string(self.path("passwd"))?;
        self.write("passwd", &format!("{passwd}{name}:x:{SMITH}:{SMITH}::{}:/bin/sh\n", self.text(name)), 0)
    }

    /// A database of these records.
    fn cdb(&self, name: &str, records: &[(&str, &str)]) -> Outcome {
        let mut cdb = cdb2::CDBWriter::create(self.path(name))?;
        for (key, data) in records {
            cdb.add(key.as_bytes(), data.as_bytes())?;
        }
        Ok(cdb.finish()?)
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.text("mail.db"))
    }

    fn import(&self, more: &[&str]) -> Result<Run, Failed> {
        let (url, home, passwd) = (self.url(), self.text(""), self.text("passwd"));
        let mut args = vec!["--store", &url, "import", "--format", "qmail", &home, "--passwd", &passwd];
        args.extend(more);
        run(&args)
    }

    fn ask(&self, args: &[&str]) -> Result<Run, Failed> {
        let url = self.url();
        let home = self.text("");
        let mut all = vec!["--store", &url];
        all.extend(args);
        run_with(&all, "", &[("QMAIL_LOOKUP_QMAIL", &home)])
    }

    /// User and ext that qmail-getpw would answer.
    fn owner(&self, local: &str) -> Result<String, Failed> {
        let out = self.ask(&["getpw", "--null", local])?.out;
        let fields: Vec<_> = out.split('\0').collect();
        Ok(format!("{} {}", fields.first().unwrap_or(&""), fields.get(5).unwrap_or(&"")))
    }

    fn instructions(&self, address: &str) -> Result<(String, Vec<String>), Failed> {
        let json = self.ask(&["--json", "explain", address])?.json()?;
        let lines = json["instructions"].as_array().ok_or_else(|| json.to_string())?;
        let lines = lines.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect();
        Ok((json["verdict"].as_str().unwrap_or_default().to_owned(), lines))
    }
}

fn answers(qmail: &Qmail) -> Outcome {
    qmail.write("joe/.qmail", "# mine\n./Maildir/\n", JOE)?;
    qmail.write("joe/.qmail-list", "b@x.test\na@x.test\n|prog\n", JOE)?;
    qmail.write("joe/.qmail-a:b", "./Dots/\n", JOE)?;
    qmail.write("joe/.qmail-default", "./Default/\n", JOE)?;
    qmail.write("alias/.qmail-info", "&joe\n", 0)?;
    qmail.write("alias/.qmail-shop-default", "&joe\n", 0)?;
    qmail.write(
        "control/virtualdomains",
        "H.test:joe\nshop.test:alias-shop\nboss@h.test:alias-x\nw.test:joe-list\n",
        0,
    )?;
    // The catch-all of h.test says nothing of extensions of joe-smith; alias/.qmail-shop-default is for a beginning.
    let ran = qmail.import(&[])?.exits(1)?;
    equal("losses", ran.err.matches("not carried over").count(), 2)?;
    for (local, want) in [
        ("joe", "joe "),
        ("Joe-LIST", "joe LIST"),
        ("joe-smith", "joe-smith "),
        ("joe-smith-x", "joe-smith x"),
        ("=h.test=-Any-One", "joe Any-One"),
        ("=h.test=-smith", "joe-smith "),
        ("=w.test=-x", "joe list-x"),
    ] {
        equal(local, qmail.owner(local)?, want)?;
    }
    for (address, verdict, want) in [
        ("joe@mail.test", "deliver", &["./Maildir/"][..]),
        ("joe-list@mail.test", "deliver", &["&b@x.test", "&a@x.test", "|prog"]),
        ("joe-a.b@mail.test", "deliver", &["./Dots/"]),
        ("joe-what@mail.test", "deliver", &["./Default/"]),
        ("joe-smith@mail.test", "files", &[]),
        ("info@mail.test", "forward", &["&joe"]),
        ("nobody@mail.test", "files", &[]),
    ] {
        let (got, lines) = qmail.instructions(address)?;
        equal(address, (got.as_str(), lines), (verdict, want.iter().map(|&line| line.to_owned()).collect()))?;
    }
    qmail.ask(&["rcpthost", "h.test"])?.exits(0)?;
    qmail.ask(&["virtual", "boss@h.test"])?.exits(0)?.says("alias-x")?;
    ensure(ran.err.contains("note: 5 dot-qmail files of joe, alias: rows say the same"), ran.err)
}

fn losses(qmail: &Qmail) -> Outcome {
    qmail.write("joe/.qmail-default", "./Default/\n", JOE)?;
    qmail.write("joe/.qmail-fwd", "./Fwd/\n", JOE)?;
    qmail.write("joe/.qmail-x", "./x\n", JOE)?;
    std::fs::set_permissions(qmail.path("joe/.qmail-x"), PermissionsExt::from_mode(0o744))?;
    symlink(qmail.path("passwd"), qmail.path("joe/.qmail-link"))?;
    std::fs::create_dir(qmail.path("joe/.qmail-dir"))?;
    qmail.user("solo", JOE)?;
    qmail.write("control/virtualdomains", "away.test:\nonly@o.test:joe\n", 0)?;
    let ran = qmail.import(&["--dry-run"])?.exits(1)?;
    let about: Vec<_> = ran.err.lines().filter_map(|line| line.split("not carried over: ").nth(1)).collect();
    for what in [
        "joe/.qmail-default: as a row it would come before",
        "joe/.qmail-x: it is executable",
        "joe/.qmail-link: it is a symbolic link",
        "joe/.qmail-dir: it is no regular file",
        "user solo: the home is of group",
        "control/virtualdomains, away.test:",
        "control/virtualdomains, only@o.test:joe:",
    ] {
        ensure(about.iter().any(|line| line.contains(what)), format!("{what}\n{}", ran.err))?;
    }
    equal("losses", about.len(), 7)?;
    ensure(ran.err.contains("note: gone: no home") && ran.err.contains("note: root: uid 0"), ran.err)?;
    ensure(!qmail.path("mail.db").exists(), "a dry run made a store")?;
    let json = qmail.import(&["--json", "--quiet"])?.exits(1)?.json()?;
    equal("losses in json", json["losses"].as_array().map(Vec::len), Some(7))?;
    // What stays a file decides as before.
    equal("x", qmail.instructions("joe-x@mail.test")?.0, "files")?;
    equal("any", qmail.instructions("joe-any@mail.test")?.0, "files")?;
    equal("fwd", qmail.instructions("joe-fwd@mail.test")?.1, ["./Fwd/"])
}

fn others_files(qmail: &Qmail) -> Outcome {
    // As a user could link to a file of root's.
    qmail.write("secret", "hunter2@x.test\n", 0)?;
    std::fs::set_permissions(qmail.path("secret"), PermissionsExt::from_mode(0o600))?;
    std::fs::hard_link(qmail.path("secret"), qmail.path("joe/.qmail-steal"))?;
    let ran = qmail.import(&[])?.exits(1)?;
    ensure(ran.err.contains(".qmail-steal: its user may not read it") && !ran.err.contains("hunter2"), ran.err)?;
    let text = qmail.ask(&["export"])?.exits(0)?.out;
    ensure(!text.contains("hunter2"), text)
}

fn passwords(qmail: &Qmail) -> Outcome {
    qmail.write("shadow", "joe:abgOeLfPimXQo:1::::::\njoe-smith:!abgOeLfPimXQo:1::::::\n", 0)?;
    let ran = qmail.import(&["--shadow", &qmail.text("shadow")])?.exits(0)?;
    ensure(ran.err.contains("password of joe-smith: locked"), ran.err.clone())?;
    ensure(!format!("{ran:?}").contains("abgO"), "a hash was shown")?;
    let text = qmail.ask(&["export"])?.exits(0)?.out;
    ensure(text.contains("\tabgOeLfPimXQo\tCrypt-Password\tN\n") && text.matches("abgO").count() == 1, text)
}

fn assign(qmail: &Qmail) -> Outcome {
    let pair = |name: &str, id: u32, home: &str| {
        let home = qmail.text(home);
        format!("={name}:{name}:{id}:{id}:{home}:::\n+{name}-:{name}:{id}:{id}:{home}:-::\n")
    };
    let text = pair("web", SMITH, "smith") + &format!("=joe:web:{SMITH}:{SMITH}:{}:::\n", qmail.text("smith")) + ".\n";
    qmail.write("users/assign", &text, 0)?;
    qmail.import(&["--dry-run"])?.exits(100)?.complains(&["users/cdb", "qmail-newu"])?;
    let data =
        |name: &str, gid: u32, dash: &str| format!("{name}\0{SMITH}\0{gid}\0{}\0{dash}\0\0", qmail.text("smith"));
    let cdb = |gid: u32, dash: &str| {
        let lines = [
            ("!web\0", data("web", SMITH, "")),
            ("!web-", data("web", SMITH, "-")),
            ("!joe\0", data("web", gid, dash)),
        ];
        let lines: Vec<_> = lines.iter().map(|(key, data)| (*key, data.as_str())).collect();
        qmail.cdb("users/cdb", &[&lines[..], &[("", "-")]].concat())
    };
    // Each field counts.
    for (gid, dash) in [(JOE, ""), (SMITH, "-")] {
        cdb(gid, dash)?;
        qmail.import(&["--dry-run"])?.exits(100)?.complains(&["users/cdb", "qmail-newu"])?;
    }
    cdb(SMITH, "")?;
    let ran = qmail.import(&[])?.exits(1)?;
    ensure(ran.err.contains("user joe: users/assign line 3 (=joe)"), ran.err.clone())?;
    equal("losses", ran.err.matches("not carried over").count(), 2)?;
    ensure(ran.err.contains("note: users/assign, 2 lines: rows say the same"), ran.err.clone())?;
    for (local, want) in [("web-x", "web x"), ("joe-smith", "joe-smith ")] {
        equal(local, qmail.owner(local)?, want)?;
    }
    qmail.ask(&["mailbox", "joe"])?.exits(1)?;
    Ok(())
}

fn shorter_names(qmail: &Qmail) -> Outcome {
    // With another group joe-x-smith is none, so that joe must not be one.
    qmail.user("ann", SMITH)?;
    qmail.user("joe-x-smith", JOE)?;
    let ran = qmail.import(&[])?.exits(1)?;
    ensure(ran.err.contains("user joe: joe-x-smith is no row, and a row of joe would get his mail"), ran.err)?;
    for (name, code) in [("joe", 1), ("joe-x-smith", 1), ("joe-smith", 0), ("ann", 0)] {
        qmail.ask(&["mailbox", name])?.exits(code)?;
    }
    Ok(())
}

fn prepends(qmail: &Qmail) -> Outcome {
    // As vpopmail has it; and a name of another's that the prepend is the beginning of.
    let lines = [("+v.test-", "v.test", "-"), ("=bobx-info", "bob", "")];
    let line = |(local, user, dash): &(&str, &str, &str)| {
        format!("{local}:{user}:{SMITH}:{SMITH}:{}:{dash}::\n", qmail.text("smith"))
    };
    qmail.write("users/assign", &(lines.iter().map(line).collect::<String>() + ".\n"), 0)?;
    let data = |user: &str, dash: &str| format!("{user}\0{SMITH}\0{SMITH}\0{}\0{dash}\0\0", qmail.text("smith"));
    let (first, second) = (data("v.test", "-"), data("bob", ""));
    qmail.cdb("users/cdb", &[("!v.test-", &first), ("!bobx-info\0", &second), ("", "-")])?;
    // ops is a system user whose home is of another group: he stays one.
    qmail.user("ops", JOE)?;
    qmail.write("alias/.qmail-ops-info", "&dead@x.test\n", 0)?;
    qmail.write("control/virtualdomains", "v.test:v.test\nx.test:bobx\nops.test:ops\n.w.test:joe\n", 0)?;
    let ran = qmail.import(&[])?.exits(1)?;
    for what in [
        "control/virtualdomains, v.test:v.test: users/assign line 1 (+v.test-)",
        "control/virtualdomains, x.test:bobx: users/assign line 2 (=bobx-info)",
        "alias/.qmail-ops-info: control/virtualdomains has the prepend ops, and a row would take mail of ops",
        "2 rows of hosts that begin with a dot: `sync` writes such hosts only with sync.wildcards",
    ] {
        ensure(ran.err.contains(what), format!("{what}\n{}", ran.err))?;
    }
    let text = qmail.ask(&["export"])?.exits(0)?.out;
    let hosts: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("virtual\t")?.split('\t').next()).collect();
    equal("hosts", hosts, [".w.test", ".w.test", "ops.test"].to_vec())?;
    ensure(!text.contains("dead@") && !text.contains("\tdead\t"), text)?;
    // Without the alias user his files are told.
    let passwd = std::fs::read_to_string(qmail.path("passwd"))?;
    qmail.write("passwd", &passwd.replace("alias:", "other:"), 0)?;
    let ran = qmail.import(&["--dry-run"])?.exits(1)?;
    ensure(ran.err.contains("dot-qmail files of the alias user (alias): he is not in the passwd file"), ran.err)
}

fn bounds(qmail: &Qmail) -> Outcome {
    qmail.write("joe/.qmail-0", &("# ".to_owned() + &"x".repeat((1 << 20) - 3) + "\n"), JOE)?;
    (1..1500)
        .try_for_each(|at| std::fs::hard_link(qmail.path("joe/.qmail-0"), qmail.path(&format!("joe/.qmail-{at}"))))?;
    qmail.write("smith/.qmail", "./Maildir/\n", SMITH)?;
    let ran = qmail.import(&[])?.exits(1)?;
    ensure(ran.err.contains("dot-qmail files of joe: its dot-qmail files hold more than 4 MiB"), ran.err.clone())?;
    equal("losses", ran.err.matches("not carried over").count(), 1)?;
    equal("joe", qmail.owner("joe-x")?, "joe x")?;
    equal("files", qmail.instructions("joe-1@mail.test")?.0, "files")?;
    equal("smith", qmail.instructions("joe-smith@mail.test")?.1, ["./Maildir/"])
}

fn closed(qmail: &Qmail) -> Outcome {
    std::fs::create_dir(qmail.path("shut"))?;
    std::fs::rename(qmail.path("smith"), qmail.path("shut/smith"))?;
    symlink(qmail.path("shut/smith"), qmail.path("smith"))?;
    let ran = |mode, owner| {
        chown(qmail.path("shut"), Some(owner), Some(owner))?;
        std::fs::set_permissions(qmail.path("shut"), PermissionsExt::from_mode(mode))?;
        Ok::<_, Failed>(qmail.import(&["--dry-run"])?.err)
    };
    let told = format!("user joe-smith: qmail-getpw's user (qmailp) cannot get past {}", qmail.text("shut"));
    for mode in [0o700, 0o750] {
        let err = ran(mode, 0)?;
        ensure(err.contains(&told), err)?;
    }
    let err = ran(0o711, 0)?;
    ensure(!err.contains(&told), err)?;
    // Whom the folder belongs to may pass.
    let passwd = std::fs::read_to_string(qmail.path("passwd"))? + &format!("qmailp:x:{ALIAS}:{ALIAS}::/nowhere:\n");
    qmail.write("passwd", &passwd, 0)?;
    let err = ran(0o700, ALIAS)?;
    ensure(!err.contains(&told), err)
}

fn more_hosts(qmail: &Qmail) -> Outcome {
    qmail.write("control/morercpthosts", "More.test\nnew.test\n", 0)?;
    let ran = qmail.import(&["--dry-run"])?.exits(1)?;
    ensure(ran.err.contains("not carried over: control/morercpthosts, more.test and 1 more"), ran.err)?;
    qmail.cdb("control/morercpthosts.cdb", &[("more.test", ""), ("old.test", "")])?;
    let ran = qmail.import(&[])?.exits(1)?;
    ensure(ran.err.contains("not carried over: control/morercpthosts, new.test: "), ran.err.clone())?;
    ensure(ran.err.contains("note: control/morercpthosts.cdb, old.test: "), ran.err)?;
    for (host, code) in [("more.test", 0), ("old.test", 0), ("new.test", 1)] {
        qmail.ask(&["rcpthost", host])?.exits(code)?;
    }
    Ok(())
}
