//! The command line: `qmail-local [-nN] [--] user homedir local dash ext domain sender aliasempty`.

use super::report::{Ending, Outcome};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

const USAGE: &[u8] = b"qmail-local: usage: qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty";

/// What qmail-lspawn says of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// `-n`: say what would be done, and do nothing.
    pub print: bool,
    /// Whom mail is delivered as.
    pub user: Vec<u8>,
    /// An absolute path.
    pub home: Vec<u8>,
    /// Local part as it stands in the queue.
    pub local: Vec<u8>,
    /// `-` or empty.
    pub dash: Vec<u8>,
    /// Extension, in original case.
    pub ext: Vec<u8>,
    /// Domain, as typed.
    pub domain: Vec<u8>,
    /// Envelope sender, without angle brackets.
    pub sender: Vec<u8>,
    /// Instructions for where no file is needed: qmail-start's first argument.
    pub alias_empty: Vec<u8>,
}

impl Arguments {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    /// A bounce with the usage, as of the stock program: qmail-lspawn never gets here.
    pub fn read(words: impl Iterator<Item = OsString>) -> Outcome<Self> {
        let mut words = words.map(OsString::into_vec).peekable();
        let mut print = false;
        while let Some(options) = words.next_if(|word| word.len() > 1 && word.first() == Some(&b'-')) {
            let letters = options.get(1..).unwrap_or_default();
            if letters.first() == Some(&b'-') {
                break; // whatever follows, as of the stock program
            }
            for letter in letters {
                match letter {
                    b'n' => print = true,
                    b'N' => print = false,
                    _ => return Err(Ending::bounce(&[b"qmail-local: illegal option -- ", &[*letter], b"\n", USAGE])),
                }
            }
        }
        let words: Vec<Vec<u8>> = words.collect();
        match <[Vec<u8>; 8]>::try_from(words) {
            Ok([user, home, local, dash, ext, domain, sender, alias_empty]) if home.first() == Some(&b'/') => {
                Ok(Self { print, user, home, local, dash, ext, domain, sender, alias_empty })
            }
            _ => Err(Ending::bounce(&[USAGE])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Outcome<Arguments> {
        Arguments::read(words.iter().map(OsString::from))
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none() {
        let eight = ["joe", "/home/joe", "joe-x", "-", "x", "host.test", "", "./Mailbox"];
        for (options, print) in [
            (&[][..], false),
            (&["--"], false),
            (&["-n"], true),
            (&["-n", "--"], true),
            (&["-nN"], false),
            (&["--foo"], false),
            (&["-N", "-n"], true),
        ] {
            let found = read(&[options, &eight].concat()).unwrap();
            assert_eq!(
                (found.print, found.user, found.dash, found.sender),
                (print, b"joe".into(), b"-".into(), vec![])
            );
        }
        // A user whose name is a dash is one.
        assert_eq!(read(&["-", "/h", "", "", "", "", "", ""]).unwrap().user, b"-");
        let bad = read(&["-x", "joe"]).unwrap_err();
        assert!(bad.text.starts_with(b"qmail-local: illegal option -- x\nqmail-local: usage: "));
        for words in [&eight[..7], &["joe", "home", "", "", "", "", "", ""], &[]] {
            assert_eq!(read(words).unwrap_err(), Ending::bounce(&[USAGE]));
        }
    }
}
