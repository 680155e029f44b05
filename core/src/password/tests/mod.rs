mod oracles;
mod properties;
mod rehash;
mod rules;
mod vectors;

use super::{Family, Secret, Verdict};

const TYPES: [Option<&str>; 4] = [Some("Password"), Some("Crypt-Password"), Some("MySQL-Password"), None];

fn secret(bytes: impl AsRef<[u8]>) -> Secret {
    Secret::new(bytes.as_ref().to_vec())
}

fn verify(stored: impl AsRef<[u8]>, password_type: Option<&str>, offered: impl AsRef<[u8]>) -> Verdict {
    super::verify(Some(&secret(stored)), password_type.map(str::as_bytes), &secret(offered))
}

fn classify(stored: impl AsRef<[u8]>, password_type: Option<&str>) -> Result<Family, &'static str> {
    super::classify(Some(&secret(stored)), password_type.map(str::as_bytes))
}

fn unverifiable(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Unverifiable(_))
}
