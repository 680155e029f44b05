//! What qmail-queue's exit codes mean.

use crate::exit::LocalExit;

/// Whether a message that qmail-queue refused comes back or waits, and why. `written` is false if not all of it could
/// be handed over; `said` is what qmail-queue wrote to descriptor 6. `None`: it is in the queue.
#[must_use]
pub fn meaning(code: Option<i32>, written: bool, said: &[u8]) -> Option<(LocalExit, Vec<u8>)> {
    use LocalExit::{Bounce, Defer};
    let (exit, text) = match code {
        Some(0) if written => return None,
        Some(82) if said.len() > 2 => return Some(in_its_words(said)),
        Some(11 | 115) => (Bounce, "envelope address too long for qq (#5.1.3)"),
        Some(31) => (Bounce, "mail server permanently rejected message (#5.3.0)"),
        Some(12..=40) => (Bounce, "qq permanent problem (#5.3.0)"),
        Some(0 | 54) => (Defer, "qq read error (#4.3.0)"),
        Some(51) => (Defer, "qq out of memory (#4.3.0)"),
        Some(52) => (Defer, "qq timeout (#4.3.0)"),
        Some(53) => (Defer, "qq write error or disk full (#4.3.0)"),
        Some(55) => (Defer, "qq unable to read configuration (#4.3.0)"),
        Some(56) => (Defer, "qq trouble making network connection (#4.3.0)"),
        Some(61) => (Defer, "qq trouble in home directory (#4.3.0)"),
        Some(62..=66) => (Defer, "qq trouble creating files in queue (#4.3.0)"),
        Some(71) => (Defer, "mail server temporarily rejected message (#4.3.0)"),
        Some(72) => (Defer, "connection to mail server timed out (#4.4.1)"),
        Some(73) => (Defer, "connection to mail server rejected (#4.4.1)"),
        Some(74) => (Defer, "communication with mail server failed (#4.4.2)"),
        Some(81 | 91) => (Defer, "qq internal bug (#4.3.0)"),
        Some(120) => (Defer, "unable to exec qq (#4.3.0)"),
        Some(_) => (Defer, "qq temporary problem (#4.3.0)"),
        None => (Defer, "qq crashed (#4.3.0)"),
    };
    Some((exit, text.into()))
}

/// The text that goes with 82: `D` or another letter, and the words.
fn in_its_words(said: &[u8]) -> (LocalExit, Vec<u8>) {
    let (letter, text) = said.split_first().map_or((b'Z', said), |(letter, text)| (*letter, text));
    let exit = if letter == b'D' { LocalExit::Bounce } else { LocalExit::Defer };
    // The report ends at its first NUL, too.
    (exit, text.split(|&b| b == 0).next().unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use LocalExit::{Bounce, Defer};

    #[test]
    fn nothing_but_a_whole_message_and_0_is_success() {
        for code in (0..256).map(Some).chain([None]) {
            for (written, said) in [(true, &b""[..]), (false, b""), (true, b"Dno"), (false, b"Zx")] {
                let in_the_queue = meaning(code, written, said).is_none();
                assert_eq!(in_the_queue, code == Some(0) && written, "{code:?} {written} {said:?}");
            }
        }
    }

    #[test]
    fn mail_comes_back_only_if_qmail_queue_says_so() {
        for code in (0..256).map(Some).chain([None]) {
            let bounces = |said| meaning(code, true, said).is_some_and(|(exit, _)| exit == Bounce);
            let permanent = matches!(code, Some(11..=40 | 115));
            assert_eq!(bounces(b""), permanent, "{code:?}");
            assert_eq!(bounces(b"Dno such luck"), permanent || code == Some(82), "{code:?}");
        }
    }

    #[test]
    fn the_text_of_82_is_its_own() {
        let of = |said: &[u8]| meaning(Some(82), true, said).unwrap();
        assert_eq!(of(b"Dhard (#5.7.1)"), (Bounce, b"hard (#5.7.1)".to_vec()));
        assert_eq!(of(b"Zsoft"), (Defer, b"soft".to_vec()));
        assert_eq!(of(b"other"), (Defer, b"ther".to_vec()));
        assert_eq!(of(b"Dab\0cd"), (Bounce, b"ab".to_vec()));
        for short in [&b""[..], b"D", b"Dx"] {
            assert_eq!(of(short), (Defer, b"qq temporary problem (#4.3.0)".to_vec()));
        }
        assert_eq!(meaning(Some(31), true, b"Dhard").unwrap().1, b"mail server permanently rejected message (#5.3.0)");
    }
}
