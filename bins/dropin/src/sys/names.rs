//! What makes a name unlike all others: this machine's name, and bits that nobody can foresee.
#![allow(unsafe_code)] // these calls have no safe form in std

/// This machine's name; empty if it has none or it cannot be had.
#[must_use]
pub fn host() -> Vec<u8> {
    let mut name = [0_u8; 256];
    // SAFETY: one byte less than name is long; the last one stays NUL.
    if unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } != 0 {
        return Vec::new();
    }
    name.split(|&b| b == 0).next().unwrap_or_default().to_vec()
}

/// Random bits. `None` if the kernel has none yet: it is not waited for.
#[must_use]
pub fn random() -> Option<u64> {
    let mut bits = 0_u64;
    let size = size_of_val(&bits);
    // SAFETY: as many writable bytes as bits has, for which every value is valid.
    let count = unsafe { libc::getrandom((&raw mut bits).cast(), size, libc::GRND_NONBLOCK) };
    (usize::try_from(count) == Ok(size)).then_some(bits)
}
