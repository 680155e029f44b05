//! Mail for virtual hosts, by way of qmail-smtpd where that has a say.

use super::Together;
use super::ground::{Ground, NO_MAILBOX, Right, all_end, ended, message, sender, to, unknown, word};
use qmail_lookup_tests::check::{Outcome, ensure, equal};

pub(super) const TOGETHER: &[Together] = &[
    ("virtuals::have_exact_rows_catch_alls_and_wildcard_hosts", delivered),
    ("virtuals::that_are_unknown_bounce_with_the_address_as_it_was_typed", bounced),
    ("virtuals::forward_to_other_virtual_hosts_and_to_other_machines", forwarded),
    ("virtuals::of_a_list_send_its_bounces_to_its_owner", list),
    ("virtuals::that_are_typed_in_the_queues_form_bounce", forged),
    ("virtuals::show_no_encoding_to_anybody", no_leak),
    ("virtuals::are_accepted_by_smtp_if_their_host_is", accepted),
];

/// Rows, lines and files of these trials.
pub(super) fn lay_out(ground: &Ground) -> Outcome {
    let alias = ground.alias();
    ground.virtual_rows(&[
        ["sales", ".wild.test", "iain", "md"],
        ["list", "bar.com", "iain", "list"],
        ["list-owner", "bar.com", "iain", "list-owner"],
        ["hop", "bar.com", "iain", "hop"],
        ["away", "bar.com", "forward", "Friend@example.org"],
        ["gone", "bar.com", "suspended", ""],
    ])?;
    for rows in [
        &[["iain", "hop", "any.one", "virtual.com"]][..],
        &[
            ["iain", "list", "friend", "example.org"],
            ["iain", "list", "bob", "mail.test"],
            ["iain", "list", "no", "bar.com"],
        ],
        &[["iain", "list-owner", ".", "/owner"]],
        &[[alias, "info@bar.com", "iain", "bar.com"]],
    ] {
        ground.alias_rows(rows)?;
    }
    ground.write("alias/.qmail-postmaster", "./postmaster\n")?;
    // Nobody's, because nobody asks for them.
    ground.write("alias/.qmail-=bar:com=-default", "./wrong\n")?;
    ground.control("virtualdomains", ".wild.test:=.wild.test=\n")?;
    ground.control("rcpthosts", ".wild.test\n")
}

fn delivered(ground: &Ground) -> Outcome {
    all_end(
        ground,
        &[
            ("sales@bar.com", to(&["iain/Maildir/new"])),
            ("SALES@Bar.COM", to(&["iain/Maildir/new"])),
            ("iain@bar.com", to(&["iain/Mailbox"])),
            ("any.one-at-all@virtual.com", to(&["virtual/Maildir/new"])),
            ("=bar.com=-sales@Virtual.com", to(&["virtual/Maildir/new"])),
            ("Sales@a.wild.test", to(&["iain/Maildir/new"])),
            ("sales@deep.below.Wild.test", to(&["iain/Maildir/new"])),
            ("gone@bar.com", to(&["suspended/Mailbox"])),
            ("postmaster@bar.com", to(&["alias/postmaster"])),
            ("info@bar.com", to(&["iain/Mailbox"])),
        ],
    )
}

fn bounced(ground: &Ground) -> Outcome {
    all_end(
        ground,
        &[
            ("nobody@bar.com", unknown(&[("nobody@bar.com", NO_MAILBOX)])),
            ("NoBody-x@Bar.com", unknown(&[("NoBody-x@Bar.com", NO_MAILBOX)])),
            ("iain-md@bar.com", unknown(&[("iain-md@bar.com", NO_MAILBOX)])),
            ("@bar.com", unknown(&[("@bar.com", NO_MAILBOX)])),
            ("other@a.wild.test", unknown(&[("other@a.wild.test", NO_MAILBOX)])),
        ],
    )
}

fn forwarded(ground: &Ground) -> Outcome {
    let ends = ground.mail(&["hop@bar.com"])?;
    ended("to another virtual host", &ends, &to(&["virtual/Maildir/new"]))?;
    let ends = ground.mail(&["Away@bar.com"])?;
    let right = Right { relayed: &["Friend@example.org"], ..Right::default() };
    ended("magic forwarding", &ends, &right)?;
    let far = ends.relayed.first().ok_or("nothing")?;
    ensure(far.message.contains("Delivered-To: Away@bar.com\n"), format!("{far:?}"))
}

fn list(ground: &Ground) -> Outcome {
    let ends = ground.mail(&["List@bar.com"])?;
    let right =
        Right { places: &["bob/Mailbox"], relayed: &["friend@example.org"], bounced: &[("no@bar.com", NO_MAILBOX)] };
    ended("a list", &ends, &right)?;
    let owner = "List-owner@bar.com";
    equal("the sender outside", ends.relayed.first().map(|far| far.sender.as_str()), Some(owner))?;
    let bounce = ends.bounces.first().ok_or("no bounce")?;
    equal("who gets the bounce", bounce.sender.as_str(), owner)?;
    let word = word();
    ground.qmail.inject("", &[&bounce.sender], &message(&word))?;
    ground.qmail.settle()?;
    ended("the bounce", &ground.qmail.ends(&word)?, &to(&["iain/owner"]))
}

fn forged(ground: &Ground) -> Outcome {
    let typed =
        ["=bar.com=-sales@mail.test", "=virtual.com=-x@mail.test", "=virtual.com=-x@bar.com", "=bar.com=-no@mail.test"];
    for typed in typed {
        ended(typed, &ground.mail(&[typed])?, &unknown(&[(typed, NO_MAILBOX)]))?;
    }
    Ok(())
}

fn no_leak(ground: &Ground) -> Outcome {
    let word = word();
    let to = [
        "list@bar.com",
        "hop@bar.com",
        "sales@a.wild.test",
        "nobody@bar.com",
        "info@bar.com",
        "x@virtual.com",
        "away@bar.com",
    ];
    ground.qmail.inject(&sender(&word), &to, &message(&word))?;
    ground.qmail.settle()?;
    let ends = ground.qmail.ends(&word)?;
    let mut texts = vec![format!("{ends:?}")];
    for home in ["iain", "virtual", "bob"] {
        for folder in ["", "Maildir/new"] {
            let files = std::fs::read_dir(ground.site.path("homes").join(home).join(folder));
            let files = files.into_iter().flatten().filter_map(|file| file.ok().map(|file| file.path()));
            texts.extend(
                files
                    .filter_map(|file| std::fs::read_to_string(file).ok())
                    .filter(|text| text.contains(&format!("[{word}]"))),
            );
        }
    }
    ensure(texts.len() > 3, "too little was delivered")?;
    // Others on this site type such names themselves.
    let leak = texts
        .iter()
        .find(|text| ["bar", "wild", "virtual"].iter().any(|host| text.contains(&format!("Delivered-To: ={host}"))));
    equal("leak", leak, None)?;
    let reported = texts
        .first()
        .is_some_and(|ends| ["=bar.com=", "=virtual.com=", "=.wild.test="].iter().any(|form| ends.contains(form)));
    ensure(!reported, format!("{texts:?}"))
}

fn accepted(ground: &Ground) -> Outcome {
    let word = word();
    let to = [
        "sales@bar.com",
        "x@other.example",
        "Sales@b.WILD.test",
        "sales@wild.test",
        "joe@mail.test",
        "x@bar.com.",
        "iain",
    ];
    let verdicts = ground.qmail.smtp(&sender(&word), &to, &message(&word))?;
    equal("accepted", verdicts, [true, false, true, false, true, false, true].to_vec())?;
    ground.qmail.settle()?;
    let right = Right {
        places: &["iain/Mailbox", "iain/Maildir/new", "iain/Maildir/new"],
        bounced: &[("joe@mail.test", NO_MAILBOX)],
        relayed: &[],
    };
    ended("accepted", &ground.qmail.ends(&word)?, &right)?;
    let refused = ground.qmail.smtp(&sender(&word), &["x@other.example"], &message(&word))?;
    equal("refused", refused, vec![false])
}
