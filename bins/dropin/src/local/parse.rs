//! The lines of a dot-qmail file.

use super::report::{Ending, Outcome};
use qmail_lookup_core::Instruction;
use qmail_lookup_core::alias::without_trailing_blanks;

const BLANK: &str = "Uh-oh: first line of .qmail file is blank. (#4.2.1)";
const FILE_REFUSED: &str = "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)";
const PROGRAM_REFUSED: &str = "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)";

/// One line that does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This.
    Do(Instruction),
    /// Nothing: from here on the file is refused, with this text.
    Refuse(&'static str),
}

impl Step {
    /// The instruction.
    ///
    /// # Errors
    /// A deferral if there is none: whoever wrote the file can mend it.
    pub fn instruction(&self) -> Outcome<&Instruction> {
        match self {
            Self::Do(instruction) => Ok(instruction),
            Self::Refuse(why) => Err(Ending::defer(&[why.as_bytes()])),
        }
    }
}

/// Reads `text`. If `forward_only`, files and programs are refused. Nothing follows a refusal. Texts are whole lines:
/// whoever uses one cuts it at its first NUL.
#[must_use]
pub fn steps(text: &[u8], mut forward_only: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n').map(without_trailing_blanks);
    for (number, line) in lines.enumerate() {
        let step = match line {
            [] | [0, ..] if number == 0 => Step::Refuse(BLANK),
            [] | [0 | b'#', ..] => continue,
            [b'+', word @ ..] => {
                forward_only |= word.strip_prefix(b"list").is_some_and(|rest| matches!(rest, [] | [0, ..]));
                continue;
            }
            [b'.' | b'/', ..] if forward_only => Step::Refuse(FILE_REFUSED),
            [b'.' | b'/', ..] => Step::Do(Instruction::file(line.to_vec())),
            [b'|', ..] if forward_only => Step::Refuse(PROGRAM_REFUSED),
            [b'|', command @ ..] => Step::Do(Instruction::Program(command.to_vec())),
            [b'&', address @ ..] | address => Step::Do(Instruction::Forward(address.to_vec())),
        };
        let refused = matches!(step, Step::Refuse(_));
        steps.push(step);
        if refused {
            break;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(text: &str) -> Step {
        Step::Do(Instruction::Program(text.into()))
    }

    fn mbox(text: &str) -> Step {
        Step::Do(Instruction::Mbox(text.into()))
    }

    fn maildir(text: &str) -> Step {
        Step::Do(Instruction::Maildir(text.into()))
    }

    fn forward(text: &str) -> Step {
        Step::Do(Instruction::Forward(text.into()))
    }

    fn of(text: &str) -> Vec<Step> {
        steps(text.as_bytes(), false)
    }

    #[test]
    fn the_first_byte_tells_the_kind() {
        assert_eq!(of("./a\n/b/c\n.\n..\n"), [mbox("./a"), mbox("/b/c"), mbox("."), mbox("..")]);
        assert_eq!(of("./Maildir/\n/\n./d//\n"), [maildir("./Maildir/"), maildir("/"), maildir("./d//")]);
        let programs = [program("cmd a b"), program(" spaced"), program(""), program("tail"), program("|two")];
        assert_eq!(of("|cmd a b\n| spaced\n|\n|tail \t\n||two\n"), programs);
        assert_eq!(of("&\n&&a@b\n& a@b\na@b, <c@d>\n"), ["", "&a@b", " a@b", "a@b, <c@d>"].map(forward));
        assert_eq!(of("\ta@b.test\n\r\n./Maildir/\r\n"), [forward("\ta@b.test"), forward("\r"), mbox("./Maildir/\r")]);
    }

    #[test]
    fn the_last_newline_may_be_missing() {
        assert_eq!(of("./a\n&x@y"), [mbox("./a"), forward("x@y")]);
        assert_eq!(of("./a\n&x@y"), of("./a\n&x@y\n"));
        assert_eq!(of("./a"), of("./a\n\n\n"));
    }

    #[test]
    fn blanks_at_the_end_of_a_line_are_dropped() {
        assert_eq!(of("./Maildir/ \n"), [maildir("./Maildir/")]);
        assert_eq!(of("./a b\t \t\n& \n a \n"), [mbox("./a b"), forward(""), forward(" a")]);
    }

    #[test]
    fn comments_and_later_blank_lines_do_nothing() {
        assert_eq!(of("# c\n\n./a\n\n   \n#x\n\0./n\n&b@c\n"), [mbox("./a"), forward("b@c")]);
        for nothing in ["#", "# nothing\n", "#\n\n\t\n", "+list\n", "+\n"] {
            assert_eq!(of(nothing), [], "{nothing:?}");
        }
    }

    #[test]
    fn a_blank_first_line_is_refused_and_hides_the_rest() {
        for text in ["", "\n", "\n./a\n", "   \n./a\n", " \t", "\0./a\n", "\0", "\n\n"] {
            assert_eq!(of(text), [Step::Refuse(BLANK)], "{text:?}");
            assert_eq!(steps(text.as_bytes(), true), [Step::Refuse(BLANK)], "{text:?}");
        }
    }

    #[test]
    fn forward_only_refuses_files_and_programs_from_there_on() {
        let (file, prog) = (|| Step::Refuse(FILE_REFUSED), || Step::Refuse(PROGRAM_REFUSED));
        assert_eq!(of("+list\n./a\n&a@b\n"), [file()]);
        assert_eq!(of("+list  \n./a/\n"), [file()]);
        assert_eq!(of("+list\n|x\n./a\n"), [prog()]);
        assert_eq!(of("+list\n&a@b\n+other\n/c\n"), [forward("a@b"), file()]);
        assert_eq!(of("./a\n|b\n+list\n&a@b\n"), [mbox("./a"), program("b"), forward("a@b")]);
        assert_eq!(of("+foo\n+LIST\n+listx\n+ list\n+\n./a\n"), [mbox("./a")]);
        assert_eq!(steps(b"|a\n", true), [prog()]);
        assert_eq!(steps(b"&a@b\nc@d\n./e\n&f@g\n", true), [forward("a@b"), forward("c@d"), file()]);
        // The line ends at its NUL where its text is used.
        assert_eq!(of("+list\0x\n./a\n"), [file()]);
    }

    #[test]
    fn a_line_keeps_its_nuls() {
        assert_eq!(of("./a\0b\n&c@d\0e\n"), [mbox("./a\0b"), forward("c@d\0e")]);
        assert_eq!(of("&\0\n|\0\n"), [forward("\0"), program("\0")]);
    }

    #[test]
    fn a_refusal_defers() {
        let text = "Uh-oh: first line of .qmail file is blank. (#4.2.1)";
        let [refused] = &of("")[..] else { panic!("one step") };
        assert_eq!(refused.instruction(), Err(Ending::defer(&[text.as_bytes()])));
    }
}
