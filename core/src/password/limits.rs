//! What a stored value and an offered password may cost at most.
//!
//! The times in comments are libcrypt's (argon2: the crate's, optimised) on one 2.5 GHz core: each cap stays near two
//! seconds, and the defaults of mkpasswd, htpasswd, passlib, PHP, slappasswd and the argon2 tool are well below it.

/// Longest offered password. Unit: bytes. Source: checkpassword's descriptor 3 carries at most 512.
pub const OFFERED_MAX: usize = 512;

/// Longest stored value that is looked at. Unit: bytes. Source: crypt(3)'s longest is 384, LDAP's `{SSHA512}` and
/// `{ARGON2}` stay below 200.
pub const STORED_MAX: usize = 1024;

/// Longest phrase of crypt(3), without its NUL. Unit: bytes. Source: libxcrypt's `CRYPT_MAX_PASSPHRASE_SIZE` is 512.
pub const CRYPT_PHRASE_MAX: usize = 511;

/// Longest setting of crypt(3), without its NUL. Unit: bytes. Source: libxcrypt's `CRYPT_OUTPUT_SIZE` is 384.
pub const CRYPT_SETTING_MAX: usize = 383;

/// `$5$`, `$6$`: rounds. Default 5000, passlib's 656000; 1000000 take 0.3 s for a short password.
pub const SHA_CRYPT_ROUNDS_MAX: u32 = 1_000_000;

/// `$5$`, `$6$`: rounds times (password bytes + 64), because every round hashes the password again and the one who
/// offers it chooses its length: 511 bytes at 1000000 rounds take 3.5 s.
pub const SHA_CRYPT_WORK_MAX: u64 = 300_000_000;

/// `$sha1$`: iterations. libcrypt's default 262144; 1000000 take 0.7 s, with the longest password 2 s.
pub const SHA1_CRYPT_ITERATIONS_MAX: u32 = 1_000_000;

/// `$md5`: rounds above the fixed 4096. mkpasswd picks about 100000; 1000000 take 1.3 s.
pub const SUN_MD5_ROUNDS_MAX: u32 = 1_000_000;

/// BSDi `_`: DES iterations. mkpasswd's default 725; 8388608 take 1.1 s, the form can say 16777215.
pub const BSDI_ITERATIONS_MAX: u32 = 8_388_608;

/// `$2a$`, `$2b$`, `$2x$`, `$2y$`: base-2 logarithm of the rounds. htpasswd and mkpasswd 5, PHP 10 to 12; 15 takes 1.6 s.
pub const BCRYPT_COST_MAX: u32 = 15;

/// `$y$`, `$gy$`, `$7$`: memory, and with it the work. Unit: bytes. Defaults 16 MiB (`$y$j9T`) and 64 MiB
/// (`$7$CU`); 256 MiB take 0.4 to 0.5 s.
pub const SCRYPT_BYTES_MAX: u64 = 256 << 20;

/// argon2: memory. Unit: KiB. Tools make 4 to 64 MiB, libsodium's "moderate" 256 MiB.
pub const ARGON2_KIB_MAX: u32 = 256 << 10;

/// argon2: passes.
pub const ARGON2_PASSES_MAX: u32 = 16;

/// argon2: lanes. argon2-cffi and PHC examples use 4.
pub const ARGON2_LANES_MAX: u32 = 8;

/// argon2: memory times passes, the work. Unit: KiB. 768 MiB (256 MiB, 3 passes) take about 1 s.
pub const ARGON2_WORK_MAX: u64 = 1 << 20;
