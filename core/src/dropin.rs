//! The programs that stand in for others' programs, and what tells their files from those.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropin {
    /// In the place of qmail's program of this name.
    Getpw,
    /// In the place of qmail's program of this name.
    Local,
    /// In the place of a program of this name.
    Checkpassword,
    /// In the place of a program for Dovecot's driver of this name.
    DovecotCheckpassword,
    /// For a qmail-smtpd with the RCPTCHECK patch.
    Rcptcheck,
}

/// What the file of every drop-in holds, whatever its version; its name and a newline follow.
pub const MARK: &str = "qmail-lookup drop-in: ";

impl Dropin {
    /// The file's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Getpw => "qmail-getpw",
            Self::Local => "qmail-local",
            Self::Checkpassword => "checkpassword",
            Self::DovecotCheckpassword => "dovecot-checkpassword",
            Self::Rcptcheck => "qmail-rcptcheck",
        }
    }

    /// What its file holds: [`MARK`], its name, a newline.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Getpw => "qmail-lookup drop-in: qmail-getpw\n",
            Self::Local => "qmail-lookup drop-in: qmail-local\n",
            Self::Checkpassword => "qmail-lookup drop-in: checkpassword\n",
            Self::DovecotCheckpassword => "qmail-lookup drop-in: dovecot-checkpassword\n",
            Self::Rcptcheck => "qmail-lookup drop-in: qmail-rcptcheck\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_common_words_and_the_name() {
        use Dropin::*;
        for program in [Getpw, Local, Checkpassword, DovecotCheckpassword, Rcptcheck] {
            assert_eq!(program.mark(), format!("{MARK}{}\n", program.name()));
        }
    }
}
