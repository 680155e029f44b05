//! The named mappings.

use super::{AliasMap, Delivery, DeliveryKind, HostMap, Local, MailboxMap, Mapping, Test, VirtualMap};

fn text(value: &str) -> String {
    value.to_owned()
}

fn some(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn test(attribute: &str, any_of: &[&str]) -> Test {
    Test { attribute: text(attribute), any_of: any_of.iter().copied().map(text).collect() }
}

impl Mapping {
    /// The schema of `init --print`.
    pub(in crate::ldap) fn native(base: &str) -> Self {
        let below = |unit: &str| format!("ou={unit},{base}");
        Self {
            mailbox: Some(MailboxMap {
                base: below("mailbox"),
                class: text("qlookMailbox"),
                filter: None,
                username: text("qlookUser"),
                uid: text("qlookUid"),
                gid: text("qlookGid"),
                home: text("qlookHome"),
                home_else: None,
                home_prefix: None,
                default_uid: None,
                default_gid: None,
                password: text("userPassword"),
                suspended: some("qlookSuspended"),
                active: vec![text("FALSE")],
                bounced: Vec::new(),
            }),
            alias: Some(AliasMap {
                base: below("alias"),
                class: text("qlookAliasRow"),
                filter: None,
                username: some("qlookUser"),
                owner: None,
                alias: some("qlookAlias"),
                seq: some("qlookSeq"),
                deliveries: vec![Delivery {
                    attribute: text("qlookInstruction"),
                    kind: DeliveryKind::Line,
                    prefix: None,
                    only_if: Vec::new(),
                    unless: Vec::new(),
                }],
                local: None,
                refuse: Vec::new(),
                files: Vec::new(),
            }),
            virtuals: Some(VirtualMap {
                base: below("virtual"),
                class: text("qlookVirtual"),
                filter: None,
                username: text("qlookUser"),
                host: some("qlookVirtualHost"),
                user: some("qlookVirtualUser"),
                pattern: some("qlookVirtualPattern"),
                ext: some("qlookExt"),
                addresses: Vec::new(),
                catchall: None,
            }),
            rcpthosts: Some(HostMap {
                base: below("rcpthosts"),
                class: text("qlookRcpt"),
                filter: None,
                host: text("qlookRcptHost"),
            }),
        }
    }

    /// qmail-ldap's qmail.schema. It cannot tell: accepted domains (its control files hold them), auto-replies
    /// (`deliveryMode: reply`), what a bounce of a disabled account says (the text is ours), dot-qmail files beside
    /// the directory (`qmailDotMode: both` is refused), and local delivery next to forwards unless the entry has both
    /// homeDirectory and mailMessageStore or `alias.local.default` says what it is.
    pub(in crate::ldap) fn qmail_ldap(base: &str) -> Self {
        let silent = test("qmailDotMode", &["dotonly", "none"]);
        let not_local = vec![test("deliveryMode", &["nolocal", "forwardonly", "nombox"])];
        let delivery = |attribute: &str, kind, only_if: Vec<Test>, unless: Vec<Test>| Delivery {
            attribute: text(attribute),
            kind,
            prefix: None,
            only_if,
            unless,
        };
        Self {
            mailbox: Some(MailboxMap {
                base: text(base),
                class: text("qmailUser"),
                filter: None,
                username: text("uid"),
                uid: text("qmailUID"),
                gid: text("qmailGID"),
                home: text("homeDirectory"),
                home_else: some("mailMessageStore"),
                home_prefix: None,
                default_uid: None,
                default_gid: None,
                password: text("userPassword"),
                suspended: some("accountStatus"),
                active: vec![text("active")],
                bounced: vec![text("disabled"), text("deleted")],
            }),
            alias: Some(AliasMap {
                base: text(base),
                class: text("qmailUser"),
                filter: None,
                username: some("uid"),
                owner: None,
                alias: None,
                seq: None,
                deliveries: vec![
                    delivery(
                        "deliveryProgramPath",
                        DeliveryKind::Program,
                        vec![test("qmailDotMode", &["ldapwithprog"])],
                        vec![test("deliveryMode", &["noprogram", "forwardonly"])],
                    ),
                    delivery(
                        "mailMessageStore",
                        DeliveryKind::Path,
                        vec![test("homeDirectory", &[])],
                        not_local.clone(),
                    ),
                    delivery(
                        "mailForwardingAddress",
                        DeliveryKind::Forward,
                        Vec::new(),
                        vec![test("deliveryMode", &["noforward"]), silent],
                    ),
                ],
                local: Some(Local { default: None, unless: not_local }),
                refuse: vec![test("qmailDotMode", &["both"])],
                files: vec![test("qmailDotMode", &["dotonly"])],
            }),
            virtuals: Some(VirtualMap {
                base: text(base),
                class: text("qmailUser"),
                filter: None,
                username: text("uid"),
                host: None,
                user: None,
                pattern: None,
                ext: None,
                addresses: vec![text("mail"), text("mailAlternateAddress")],
                catchall: some("catchall"),
            }),
            rcpthosts: None,
        }
    }

    /// RFC 2307: posixAccount, and nisMailAlias for aliases of user `alias`, forwards only. It cannot tell: suspended
    /// (name a filter or an attribute), virtual hosts and accepted domains, programs and mailboxes in aliases.
    pub(in crate::ldap) fn posix(base: &str) -> Self {
        Self {
            mailbox: Some(MailboxMap {
                base: text(base),
                class: text("posixAccount"),
                filter: None,
                username: text("uid"),
                uid: text("uidNumber"),
                gid: text("gidNumber"),
                home: text("homeDirectory"),
                home_else: None,
                home_prefix: None,
                default_uid: None,
                default_gid: None,
                password: text("userPassword"),
                suspended: None,
                active: Vec::new(),
                bounced: Vec::new(),
            }),
            alias: Some(AliasMap {
                base: text(base),
                class: text("nisMailAlias"),
                filter: None,
                username: None,
                owner: some("alias"),
                alias: some("cn"),
                seq: None,
                deliveries: vec![Delivery {
                    attribute: text("rfc822MailMember"),
                    kind: DeliveryKind::Forward,
                    prefix: None,
                    only_if: Vec::new(),
                    unless: Vec::new(),
                }],
                local: None,
                refuse: Vec::new(),
                files: Vec::new(),
            }),
            virtuals: None,
            rcpthosts: None,
        }
    }
}
