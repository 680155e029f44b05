//! control/morercpthosts.cdb, in the form that qmail-newmrh gives it; and how any such database is read.

use super::files::{cannot, replace_with};
use cdb2::{CDB, CDBMake};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{Error, ErrorKind, Read, Result, Seek};
use std::path::Path;

/// What stands before the records: where each of the 256 tables of keys begins, and how many slots it has.
const HEAD: usize = 2048;

/// A database of this size or more is none of qmail's. Unit: bytes.
const SIZE_MAX: u64 = 1 << 30;

/// A key and its value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// Puts a database of these hosts in the place of what is at `path`: each one, in lower case, a key without data. Mode
/// and care as in [`super::files::replace`].
///
/// # Errors
/// If that fails; then nothing has changed. The error names the file.
pub(crate) fn replace<'a>(path: &Path, hosts: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
    replace_with(path, 0o644, |file| fill(file, hosts))
}

/// What a database of these hosts holds, as [`replace`] writes it.
///
/// # Errors
/// If there is no room for it in the folder of temporary files.
pub(crate) fn content<'a>(hosts: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>> {
    let mut file = tempfile::tempfile().map_err(cannot("write a file in", &std::env::temp_dir()))?;
    fill(&mut file, hosts)?;
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(content)
}

fn fill<'a>(file: &mut fs::File, hosts: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
    let hosts: BTreeSet<Vec<u8>> = hosts.into_iter().map(<[u8]>::to_ascii_lowercase).collect();
    let mut made = CDBMake::new(file.try_clone()?)?;
    for host in &hosts {
        made.add(host, b"")?;
    }
    made.finish()
}

/// The keys of the database at `path`; `None` if there is no such file.
///
/// # Errors
/// If it is there and cannot be read, or is no such database. The error names it.
pub(crate) fn keys(path: &Path) -> Result<Option<Vec<Vec<u8>>>> {
    let keys = |records: Vec<Record>| records.into_iter().map(|(key, _)| key).collect();
    Ok(records(path)?.map(keys))
}

/// All keys and values of the database at `path`, in its order; `None` if there is no such file. One that was cut, or
/// whose tables do not lead to each of its keys, is an error: qmail would miss some of them.
///
/// # Errors
/// If it is there and cannot be read, or is no such database. The error names it.
pub(crate) fn records(path: &Path) -> Result<Option<Vec<Record>>> {
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(cannot("read", path)),
    }
}

fn read(path: &Path) -> Result<Vec<Record>> {
    let damaged = || Error::new(ErrorKind::InvalidData, "it is damaged, or no constant database");
    let is = fs::metadata(path)?;
    if !is.is_file() || is.len() >= SIZE_MAX {
        return Err(damaged());
    }
    let database = CDB::open(path).map_err(|error| if is.len() < 2048 { damaged() } else { error })?;
    let end = end_of_records(path, is.len())?.ok_or_else(damaged)?;

    let records: Result<Vec<_>> = database.iter().collect();
    let mut records = records.map_err(|_| damaged())?;
    let mut at = HEAD + records.iter().map(|(key, value)| 8 + key.len() + value.len()).sum::<usize>();
    // The reader passes by a last record of nothing but its two lengths; and it takes any shorter rest for the end.
    if at + 8 == end && database.get(b"").is_some_and(|value| value.is_ok_and(|value| value.is_empty())) {
        records.push((Vec::new(), Vec::new()));
        at = end;
    }
    let mut times = HashMap::new();
    records.iter().for_each(|(key, _)| *times.entry(key.as_slice()).or_insert(0) += 1);
    let found = |key: &[u8]| database.find(key).take_while(Result::is_ok).count();
    if at == end && times.into_iter().all(|(key, times)| found(key) == times) { Ok(records) } else { Err(damaged()) }
}

/// Where the records end and the tables begin; `None` if that is contradictory, or a table reaches beyond the file: then it
/// was cut.
fn end_of_records(path: &Path, size: u64) -> Result<Option<usize>> {
    let mut head = [0; HEAD];
    fs::File::open(path)?.read_exact(&mut head)?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    let tables = head.chunks_exact(8).map(|table| (number(&table[..4]), number(&table[4..])));
    let whole = tables.clone().all(|(begin, slots)| begin + 8 * slots <= size);
    let end = number(&head[..4]);
    let first = tables.filter(|(_, slots)| *slots > 0).map(|(begin, _)| begin).min();
    Ok(usize::try_from(end).ok().filter(|_| whole && first.is_none_or(|first| first == end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(hosts: &[&[u8]]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("morercpthosts.cdb");
        replace(&path, hosts.iter().copied()).unwrap();
        (folder, path)
    }

    #[test]
    fn keys_are_in_lower_case_and_each_there_once() {
        let (_folder, path) = made(&[b"Bar.COM", b"bar.com", b".wild.test", b"a"]);
        let all = keys(&path).unwrap().unwrap();
        assert_eq!(all, [b".wild.test".as_slice(), b"a", b"bar.com"]);
        assert_eq!(records(&path).unwrap().unwrap()[2], (b"bar.com".to_vec(), Vec::new()));
        assert_eq!(keys(&path.with_file_name("no")).unwrap(), None);
    }

    #[test]
    fn no_host_at_all_is_an_empty_database() {
        let (_folder, path) = made(&[]);
        assert_eq!(keys(&path).unwrap().unwrap(), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn qmails_own_form_is_written() {
        // One key "ab": hash 0x596e26; table 0x26 has two slots, the key in slot (hash >> 8) % 2 = 0.
        let (_folder, path) = made(&[b"ab"]);
        let bytes = fs::read(path).unwrap();
        assert_eq!(bytes[2048..], *b"\x02\0\0\0\0\0\0\0ab\x26\x6e\x59\0\0\x08\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(bytes[..8], *b"\x0a\x08\0\0\0\0\0\0");
        assert_eq!(bytes[0x26 * 8..0x27 * 8], *b"\x0a\x08\0\0\x02\0\0\0");
        assert_eq!(bytes[0xff * 8..0x100 * 8], *b"\x1a\x08\0\0\0\0\0\0");
    }

    #[test]
    fn a_cut_database_is_an_error_wherever_it_was_cut() {
        let (_folder, path) = made(&[b"bar.com", b"foo.com", b".wild.test"]);
        let bytes = fs::read(&path).unwrap();
        for end in (0..64).chain(2000..bytes.len()) {
            fs::write(&path, &bytes[..end]).unwrap();
            let error = keys(&path).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot read {}: ", path.display())), "cut at {end}: {error}");
        }
    }

    #[test]
    fn what_is_no_file_is_an_error_and_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(keys(&fifo).is_err() && keys(folder.path()).is_err());
    }

    #[test]
    fn a_damaged_database_is_read_as_it_was_or_an_error() {
        let hosts: Vec<Vec<u8>> = (0..3).map(|n| format!("host{n}.test").into_bytes()).collect();
        let (_folder, path) = made(&hosts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let bytes = fs::read(&path).unwrap();
        for (at, flip) in (0..bytes.len()).flat_map(|at| [(at, 1), (at, 0x80), (at, 0xff)]) {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            fs::write(&path, damaged).unwrap();
            match keys(&path) {
                Ok(read) => assert_eq!(read.as_ref(), Some(&hosts), "byte {at} flipped by {flip:#x}"),
                Err(error) => assert!(error.to_string().contains("damaged"), "byte {at}: {error}"),
            }
        }
    }

    #[test]
    fn a_record_of_another_length_is_an_error() {
        let (_folder, path) = made(&[]);
        let mut database = CDBMake::new(fs::File::create(&path).unwrap()).unwrap();
        ["one", "two"].iter().for_each(|key| database.add(key.as_bytes(), b"abc").unwrap());
        database.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        // Of the first table; of the value of the first record, and of the second.
        for (at, now) in [(0, 2048 + 14), (2048 + 4, 2), (2048 + 14 + 4, 0), (2048 + 14 + 4, 2)] {
            let mut damaged = bytes.clone();
            let now: u32 = now;
            damaged[at..at + 4].copy_from_slice(&now.to_le_bytes());
            fs::write(&path, damaged).unwrap();
            assert!(records(&path).is_err(), "{at}: {now}");
        }
        fs::write(&path, bytes).unwrap();
        let found = records(&path).unwrap().unwrap();
        assert_eq!(found, ["one", "two"].map(|key| (key.as_bytes().to_vec(), b"abc".to_vec())));
    }

    #[test]
    fn a_last_record_with_neither_key_nor_data_is_read() {
        // As qmail-newu writes it behind lines that are all exact.
        let (_folder, path) = made(&[b""]);
        assert_eq!(keys(&path).unwrap().unwrap(), [b""]);
    }
}
