//! The system's crypt(3). The only foreign function of this crate.
#![allow(unsafe_code)] // crypt_rn has no safe binding that builds without bindgen.

use super::Verdict;
use zeroize::Zeroizing;

/// Computes `crypt(phrase, setting)`; neither may hold a NUL.
///
/// # Errors
/// [`Verdict::Unverifiable`] for what the library refuses: a setting it does not know or finds malformed, a phrase
/// that is too long. [`Verdict::NoAnswer`] without memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn crypt(phrase: &[u8], setting: &[u8]) -> Result<Zeroizing<Vec<u8>>, Verdict> {
    use std::ffi::{CStr, c_char, c_int, c_void};

    #[link(name = "crypt")]
    unsafe extern "C" {
        fn crypt_rn(phrase: *const c_char, setting: *const c_char, data: *mut c_void, size: c_int) -> *mut c_char;
    }
    /// `sizeof(struct crypt_data)` of libxcrypt, part of its ABI.
    const DATA_BYTES: c_int = 32_768;

    let phrase = terminated(phrase)?;
    let setting = terminated(setting)?;
    let mut data = Zeroizing::new(vec![0_u8; DATA_BYTES as usize]);
    // SAFETY: phrase and setting end in their only NUL and outlive the call. data is DATA_BYTES long, zeroed and
    // exclusively ours; struct crypt_data is made of char arrays, so any address is aligned for it. crypt_rn keeps no
    // state outside of data and may run in several threads.
    let output =
        unsafe { crypt_rn(phrase.as_ptr().cast(), setting.as_ptr().cast(), data.as_mut_ptr().cast(), DATA_BYTES) };
    if output.is_null() {
        let out_of_memory = std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOMEM);
        return Err(if out_of_memory {
            Verdict::NoAnswer("no memory for this hash")
        } else {
            Verdict::Unverifiable("crypt(3) refuses this hash")
        });
    }
    // SAFETY: not null, so it is the NUL-terminated string that crypt_rn has put into data, which is still alive.
    let output = unsafe { CStr::from_ptr(output) };
    Ok(Zeroizing::new(output.to_bytes().to_vec()))
}

/// Without libxcrypt there is no crypt(3) that is thread-safe and refuses what it does not know.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn crypt(_phrase: &[u8], _setting: &[u8]) -> Result<Zeroizing<Vec<u8>>, Verdict> {
    Err(Verdict::Unverifiable("this system has no libxcrypt"))
}

/// A wiped copy of `bytes` with a NUL behind it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn terminated(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Verdict> {
    if bytes.contains(&0) {
        return Err(Verdict::Unverifiable("a NUL byte"));
    }
    let mut copy = Zeroizing::new(Vec::with_capacity(bytes.len() + 1)); // never grows, so leaves no copy behind
    copy.extend_from_slice(bytes);
    copy.push(0);
    Ok(copy)
}
