//! Mail for local mailboxes: every kind of row, files, system users, lines of users/cdb.

use super::Together;
use super::ground::{Ground, NO_MAILBOX, Right, all_end, ended, sender, to, unknown, word};
use cdb2::CDBWriter;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use qmail_lookup_tests::site::{IAIN, QMAILD};
use std::io::Write;
use std::os::unix::fs::chown;

pub(super) const TOGETHER: &[Together] = &[
    ("rows::of_every_kind_are_carried_out", kinds),
    ("rows::are_carried_out_in_their_order", order),
    ("rows::give_way_to_files_where_there_are_none", files),
    ("rows::of_nobody_are_a_system_users_or_the_alias_users_or_bounce", nobody),
    ("rows::are_found_by_lines_of_users_cdb", assigned),
    ("rows::of_several_recipients_of_one_message_are_each_their_own", several),
    ("rows::get_the_message_as_it_came_with_two_lines_before_it", content),
];

/// Rows and files of these trials.
pub(super) fn lay_out(ground: &Ground) -> Outcome {
    let alias = ground.alias();
    for rows in [
        &[["iain", "md", ".", "/Maildir/"]][..],
        &[["iain", "mb", ".", "/box"]],
        &[["iain", "prog", "|", "cat >>prog-out"]],
        &[["iain", "fail", "|", "echo no such thing; exit 100"]],
        &[["iain", "fwd", "bob-smith", "mail.test"]],
        &[["iain", "far", "friend", "example.org"]],
        &[
            ["iain", "multi", "|", "cat >>multi-prog"],
            ["iain", "multi", ".", "/multi-box"],
            ["iain", "multi", "iain-md", "mail.test"],
            ["iain", "multi", "friend", "example.org"],
        ],
        &[["iain", "order", ".", "/order-box"], ["iain", "order", "|", "test -s order-box && cat >>order-prog"]],
        &[[alias, "team", "iain-md", "mail.test"]],
    ] {
        ground.alias_rows(rows)?;
    }
    if ground.store.has_sql() {
        ground.site.sql("ALTER TABLE alias ADD COLUMN seq INT NOT NULL DEFAULT 0")?;
        ground.site.sql("UPDATE alias SET seq = 1 WHERE alias = 'order' AND alias_username = '|'")?;
    }
    ground.write("iain/.qmail-file", "./file\n")?;
    ground.write("iain/.qmail-x-default", "./x\n")?;
    ground.write("alias/.qmail-known", "./known\n")?;
    let user = nix::unistd::User::from_name(QMAILD)?.ok_or("no such user")?;
    let (uid, gid, home) = (user.uid.as_raw(), user.gid.as_raw(), ground.site.path("homes").join(QMAILD));
    std::fs::create_dir(&home)?;
    chown(&home, Some(uid), Some(gid))?;
    if !ground.store.is_real() {
        let mut passwd = std::fs::OpenOptions::new().append(true).open(ground.qmail.path("miniature/passwd"))?;
        writeln!(passwd, "{QMAILD}:{uid}:{gid}:{}", home.display())?;
    }
    let iain = ground.site.path("homes/iain").display().to_string();
    let line = |dash: &str, ext: &str| format!("iain\0{IAIN}\0{IAIN}\0{iain}\0{dash}\0{ext}");
    let mut cdb = CDBWriter::create(ground.qmail.path("users/cdb"))?;
    cdb.add(b"", b"-")?;
    cdb.add(b"!assigned\0", line("-", "md").as_bytes())?;
    cdb.add(b"!staff-", line("-", "").as_bytes())?;
    Ok(cdb.finish()?)
}

fn kinds(ground: &Ground) -> Outcome {
    let relayed = |to| Right { relayed: to, ..Right::default() };
    all_end(
        ground,
        &[
            ("iain@mail.test", to(&["iain/Mailbox"])),
            ("iain", to(&["iain/Mailbox"])),
            ("IAIN-md@Mail.Test", to(&["iain/Maildir/new"])),
            ("iain-mb@mail.test", to(&["iain/box"])),
            ("iain-prog@mail.test", to(&["iain/prog-out"])),
            ("iain-fail@mail.test", unknown(&[("iain-fail@mail.test", "no such thing\n")])),
            ("iain-fwd@mail.test", to(&["bob-smith/Mailbox"])),
            ("iain-far@mail.test", relayed(&["friend@example.org"])),
            ("bob-any-thing@mail.test", to(&["bob/Catchall/new"])),
            ("bob@mail.test", to(&["bob/Mailbox"])),
            ("bob-smith@mail.test", to(&["bob-smith/Mailbox"])),
            ("elsewhere@example.org", relayed(&["elsewhere@example.org"])),
        ],
    )
}

fn order(ground: &Ground) -> Outcome {
    let multi = Right {
        places: &["iain/Maildir/new", "iain/multi-box", "iain/multi-prog"],
        relayed: &["friend@example.org"],
        bounced: &[],
    };
    all_end(
        ground,
        &[("iain-multi@mail.test", multi), ("iain-order@mail.test", to(&["iain/order-box", "iain/order-prog"]))],
    )
}

fn files(ground: &Ground) -> Outcome {
    all_end(
        ground,
        &[
            ("iain-file@mail.test", to(&["iain/file"])),
            ("iain-X-y@mail.test", to(&["iain/x"])),
            ("iain-nothing@mail.test", unknown(&[("iain-nothing@mail.test", NO_MAILBOX)])),
        ],
    )
}

fn nobody(ground: &Ground) -> Outcome {
    let mut cases = vec![
        ("known@mail.test", to(&["alias/known"])),
        ("Team@mail.test", to(&["iain/Maildir/new"])),
        ("unknown@mail.test", unknown(&[("unknown@mail.test", NO_MAILBOX)])),
    ];
    if !ground.store.is_real() {
        cases.push(("news@mail.test", to(&["news/Mailbox"])));
    }
    all_end(ground, &cases)
}

fn assigned(ground: &Ground) -> Outcome {
    all_end(
        ground,
        &[
            ("Assigned@mail.test", to(&["iain/Maildir/new"])),
            ("staff-mb@mail.test", to(&["iain/box"])),
            ("staff-no@mail.test", unknown(&[("staff-no@mail.test", NO_MAILBOX)])),
        ],
    )
}

fn several(ground: &Ground) -> Outcome {
    let ends = ground.mail(&["iain-md@mail.test", "nobody@bar.com", "Sales@bar.com", "bob@mail.test"])?;
    let right = Right {
        places: &["bob/Mailbox", "iain/Maildir/new", "iain/Maildir/new"],
        bounced: &[("nobody@bar.com", NO_MAILBOX)],
        relayed: &[],
    };
    ended("several", &ends, &right)
}

fn content(ground: &Ground) -> Outcome {
    let word = word();
    let text = format!("Subject: x\n\nFrom me\n.\n[{word}]\nno end");
    ground.qmail.inject(&sender(&word), &["Sales@Bar.com"], &text)?;
    ground.qmail.settle()?;
    let folder = ground.site.path("homes/iain/Maildir/new");
    let texts =
        std::fs::read_dir(folder)?.map(|file| std::fs::read_to_string(file?.path())).collect::<Result<Vec<_>, _>>()?;
    let mail = texts.iter().find(|text| text.contains(&format!("[{word}]"))).ok_or("no mail")?;
    let head = format!("Return-Path: <{}>\nDelivered-To: Sales@Bar.com\n", sender(&word));
    if ground.store.is_real() {
        return ensure(mail.starts_with(&head) && mail.ends_with(&text), mail.clone());
    }
    equal("mail", mail.clone(), head + &text)
}
