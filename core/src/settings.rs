//! The choices that the rules leave to the administrator: `[rules]` and `[auth]` of the configuration.

#[cfg(feature = "serde")]
use serde::Deserialize;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(Deserialize), serde(rename_all = "lowercase"))]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
    };
}

choice!(
    /// How virtual_username is read (rule V2).
    VirtualPatterns {
        /// Exact names and the blank row.
        #[default] Plain,
        /// The FAQ's FUNKY QUERIES: `%` and `_` are wildcards.
        Like,
    }
);
choice!(
    /// What a virtual host does with an unknown user (rule V5).
    UnknownVirtual {
        /// Bounces.
        #[default] Bounce,
        /// Tries a mailbox of exactly that name first.
        Mailbox,
    }
);
choice!(
    /// What mail for a suspended mailbox gets (rule P3).
    SuspendedMail {
        /// Delivery as usual.
        #[default] Deliver,
        /// Deferral.
        Defer,
        /// A bounce.
        Bounce,
    }
);
choice!(
    /// What happens to queued mail of a virtual host that has no rows any more (rule V5).
    RemovedHost {
        /// Deferral.
        #[default] Defer,
        /// A bounce.
        Bounce,
    }
);
choice!(
    /// What a home that is missing or owned by another does to its mailbox (rule G3).
    HomeTrouble {
        /// Deferral.
        #[default] Defer,
        /// The alias user gets the mail, as the FAQ describes.
        Alias,
    }
);
choice!(
    /// A host that stands in table rcpthosts only (rule V7).
    RcpthostsOnly {
        /// Left to the administrator.
        #[default] Ask,
        /// Local, as under the old patch.
        Local,
        /// Relayed.
        Relay,
    }
);
choice!(
    /// Programs in alias rows (rule A6).
    AliasPrograms {
        /// Run.
        #[default] Allow,
        /// Deferred.
        Deny,
    }
);
choice!(
    /// Paths in alias rows (rule A6).
    AliasPaths {
        /// Anywhere.
        #[default] Any,
        /// Only below the mailbox's home; others are deferred.
        Home,
    }
);
choice!(
    /// What may be typed at a login prompt (rule P7).
    LoginBy {
        /// The mailbox name.
        #[default] Username,
        /// An address of a virtual host.
        Address,
        /// Either; the mailbox name is tried first.
        Both,
    }
);

choice!(
    /// Who is asked about a login that has no mailbox row (rule P6).
    FallBack {
        /// Nobody: it is refused.
        #[default] None,
        /// The stock checkpassword, so that system users keep logging in.
        Stock,
    }
);
choice!(
    /// What becomes of a stored password that is weaker than this, when its owner logs in.
    Rehash {
        /// It stays as it is.
        #[default] Off,
        /// crypt(3)'s `$6$`.
        Sha512,
        /// crypt(3)'s `$y$`.
        Yescrypt,
    }
);

/// `[rules]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Deserialize), serde(default, deny_unknown_fields))]
pub struct RuleSettings {
    /// Characters at which a local part may be broken into mailbox and extension (rule G1).
    #[cfg_attr(feature = "serde", serde(rename = "break"))]
    pub break_chars: String,
    /// Name of qmail's alias user.
    pub alias_user: String,
    /// See [`VirtualPatterns`].
    pub virtual_patterns: VirtualPatterns,
    /// See [`UnknownVirtual`].
    pub unknown_virtual: UnknownVirtual,
    /// See [`RemovedHost`].
    pub removed_host: RemovedHost,
    /// See [`RcpthostsOnly`].
    pub rcpthosts_only: RcpthostsOnly,
    /// Owner `forward` means: forward to the address in ext (rule V6).
    pub magic_forwarding: bool,
    /// See [`SuspendedMail`].
    pub suspended_mail: SuspendedMail,
    /// Home that does not exist.
    pub home_missing: HomeTrouble,
    /// Home with another owner or group than the row says.
    pub home_mismatch: HomeTrouble,
    /// See [`AliasPrograms`].
    pub alias_programs: AliasPrograms,
    /// See [`AliasPaths`].
    pub alias_paths: AliasPaths,
    /// Smallest uid a mailbox may have.
    pub min_uid: u32,
    /// Smallest gid a mailbox may have.
    pub min_gid: u32,
    /// Uids no mailbox may have. Whoever opens the configuration adds those of qmail's own users.
    pub deny_uids: Vec<u32>,
    /// Gids no mailbox may have. Whoever opens the configuration adds those of powerful groups.
    pub deny_gids: Vec<u32>,
    /// Why the denied ids are not all known, if so: then no mailbox row is believed (rule K3).
    #[cfg_attr(feature = "serde", serde(skip))]
    pub deny_unknown: Option<String>,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            break_chars: "-".to_owned(),
            alias_user: "alias".to_owned(),
            virtual_patterns: VirtualPatterns::default(),
            unknown_virtual: UnknownVirtual::default(),
            removed_host: RemovedHost::default(),
            rcpthosts_only: RcpthostsOnly::default(),
            magic_forwarding: false,
            suspended_mail: SuspendedMail::default(),
            home_missing: HomeTrouble::default(),
            home_mismatch: HomeTrouble::default(),
            alias_programs: AliasPrograms::default(),
            alias_paths: AliasPaths::default(),
            min_uid: 100,
            min_gid: 100,
            deny_uids: Vec::new(),
            deny_gids: Vec::new(),
            deny_unknown: None,
        }
    }
}

/// `[auth]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Deserialize), serde(default, deny_unknown_fields))]
pub struct AuthSettings {
    /// See [`LoginBy`].
    pub login: LoginBy,
    /// See [`FallBack`].
    pub fall_back: FallBack,
    /// See [`Rehash`].
    pub rehash: Rehash,
    /// Password hashes computed at the same time, 0 to 64; 0 is one for each processor.
    pub parallel: u16,
}
