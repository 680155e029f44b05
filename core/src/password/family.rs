//! Names of the families of stored passwords.

/// How a stored password is verified. Found by [`super::classify`] without computing a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// In clear.
    Plain,
    /// crypt(3), traditional: 13 characters. Only the first 8 bytes of the password count.
    Des,
    /// crypt(3) `_`, BSDi's extended DES.
    BsdiDes,
    /// crypt(3) `$1$`.
    Md5Crypt,
    /// crypt(3) `$md5`, of Solaris.
    SunMd5,
    /// crypt(3) `$sha1$`, of NetBSD.
    Sha1Crypt,
    /// crypt(3) `$5$`.
    Sha256Crypt,
    /// crypt(3) `$6$`.
    Sha512Crypt,
    /// crypt(3) `$2a$`, `$2b$`, `$2x$`, `$2y$`. Only the first 72 bytes of the password count.
    Bcrypt,
    /// crypt(3) `$3$`, the NT hash: no salt. Bytes above 127 are taken for Latin-1, so other programs may differ there.
    Nt,
    /// crypt(3) `$y$`.
    Yescrypt,
    /// crypt(3) `$gy$`.
    GostYescrypt,
    /// crypt(3) `$7$`.
    Scrypt,
    /// `$argon2id$`, `$argon2i$`, `$argon2d$`.
    Argon2,
    /// MySQL's PASSWORD(): `*` and 40 hex digits.
    Mysql41,
    /// MySQL's OLD_PASSWORD(): 16 hex digits.
    MysqlOld,
    /// LDAP's digests: `{SHA}`, `{SSHA}`, `{MD5}` and their like.
    Digest,
}

impl Family {
    /// One stable word for listings and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Des => "des",
            Self::BsdiDes => "bsdi-des",
            Self::Md5Crypt => "md5-crypt",
            Self::SunMd5 => "sun-md5",
            Self::Sha1Crypt => "sha1-crypt",
            Self::Sha256Crypt => "sha256-crypt",
            Self::Sha512Crypt => "sha512-crypt",
            Self::Bcrypt => "bcrypt",
            Self::Nt => "nt",
            Self::Yescrypt => "yescrypt",
            Self::GostYescrypt => "gost-yescrypt",
            Self::Scrypt => "scrypt",
            Self::Argon2 => "argon2",
            Self::Mysql41 => "mysql-41",
            Self::MysqlOld => "mysql-old",
            Self::Digest => "digest",
        }
    }
}
