use super::*;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Child;
use tempfile::TempDir;

/// A script of the name that is looked for, which writes each word it is told to the file `told`.
const SCRIPT: &str = "#!/bin/sh
trap 'echo HUP >>${0%/*}/told' HUP
trap 'echo ALRM >>${0%/*}/told' ALRM
: >${0%/*}/ready
while :; do sleep 0.02; done
";

struct Qmail(TempDir);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Its group, for some have children.
        let _ = nix::sys::signal::killpg(self.pid(), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap())
    }
}

impl Qmail {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("queue")).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn script(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Starts a script below `queue`, or elsewhere, and waits until it listens.
    fn start(&self, name: &str, content: &str, folder: &str) -> Running {
        let script = self.script(name, content);
        let _ = fs::remove_file(self.path().join("ready"));
        let folder = self.path().join(folder);
        let mut command = Command::new(script);
        let running = Running(command.current_dir(folder).process_group(0).spawn().unwrap());
        wait(|| self.path().join("ready").exists());
        running
    }

    fn told(&self) -> String {
        fs::read_to_string(self.path().join("told")).unwrap_or_default()
    }
}

fn wait(until: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !until() {
        assert!(Instant::now() < end, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn failure(result: Result<(), Failure>) -> String {
    let line = result.unwrap_err().line();
    assert!(line.starts_with("qmail-send was not told: ") && line.contains("--no-hup"), "{line}");
    line
}

#[test]
fn the_process_that_works_in_this_queue_is_found_and_told() {
    let qmail = Qmail::new();
    assert_eq!(find(qmail.path()).unwrap(), None);
    let line = failure(tell(&QmailSend::Auto, qmail.path(), Word::Reread));
    assert!(line.contains("no qmail-send works in ") && line.contains("sync.qmail_send"), "{line}");

    let _other_name = qmail.start("other", SCRIPT, "queue");
    let _other_place = qmail.start("qmail-send", SCRIPT, ".");
    assert_eq!(find(qmail.path()).unwrap(), None);
    let running = qmail.start("qmail-send", SCRIPT, "queue");
    assert_eq!(find(qmail.path()).unwrap(), Some(running.0.id()));
    tell(&QmailSend::Auto, qmail.path(), Word::Reread).unwrap();
    wait(|| qmail.told() == "HUP\n");
    tell(&QmailSend::Auto, qmail.path(), Word::RetryNow).unwrap();
    wait(|| qmail.told() == "HUP\nALRM\n");

    let link = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(qmail.path(), link.path().join("qmail")).unwrap();
    assert_eq!(find(&link.path().join("qmail")).unwrap(), Some(running.0.id()));

    let second = qmail.start("qmail-send", SCRIPT, "queue");
    assert!(failure(tell(&QmailSend::Auto, qmail.path(), Word::Reread)).contains("more than one qmail-send works in "));
    drop((running, second));
    assert_eq!(find(qmail.path()).unwrap(), None);
    assert!(find(&qmail.path().join("no")).is_err());
}

#[test]
fn a_child_that_still_looks_like_qmail_send_is_not_taken_for_a_second_one() {
    let qmail = Qmail::new();
    let content = SCRIPT.replace(": >${0%/*}/ready", "(: >${0%/*}/ready; while :; do sleep 0.02; done) &");
    let running = qmail.start("qmail-send", &content, "queue");
    assert_eq!(processes_in(&qmail.path().join("queue")).unwrap().len(), 2);
    assert_eq!(find(qmail.path()).unwrap(), Some(running.0.id()));
}

#[test]
fn a_process_that_would_end_by_the_signal_is_not_sent_it() {
    let qmail = Qmail::new();
    let mut running = qmail.start("qmail-send", "#!/bin/sh\n: >${0%/*}/ready\nwhile :; do sleep 0.02; done\n", "queue");
    let line = failure(tell(&QmailSend::Auto, qmail.path(), Word::Reread));
    assert!(line.contains("does not listen to HUP yet: try again"), "{line}");
    failure(tell(&QmailSend::Auto, qmail.path(), Word::RetryNow));
    assert_eq!(running.0.try_wait().unwrap(), None);
}

#[test]
fn only_a_qmail_send_is_told_by_the_number_in_a_file() {
    let qmail = Qmail::new();
    let file = qmail.path().join("pid");
    let how = QmailSend::PidFile(file.clone());
    let tell = |text: &str| {
        fs::write(&file, text).unwrap();
        tell(&how, qmail.path(), Word::Reread)
    };
    let mut other = qmail.start("other", SCRIPT, "queue");
    assert!(failure(tell(&format!("{}\n", other.0.id()))).contains("is no qmail-send but other"));
    assert_eq!((other.0.try_wait().unwrap(), qmail.told()), (None, String::new()));
    for (text, said) in [
        ("", "holds no process id"),
        ("-1", "holds no process id"),
        ("0", "no process 0"),
        ("99999999", "no process 99999999"),
    ] {
        assert!(failure(tell(text)).contains(said), "{text}");
    }
    let elsewhere = qmail.start("qmail-send", SCRIPT, ".");
    assert_eq!(running(qmail.path()).unwrap(), Some(elsewhere.0.id()), "it may be starting");
    assert!(failure(tell(&elsewhere.0.id().to_string())).contains("does not work in "));
    drop(elsewhere);
    assert_eq!(running(qmail.path()).unwrap(), None);
    let running = qmail.start("qmail-send", SCRIPT, "queue");
    let pid = running.0.id();
    assert_eq!(super::running(qmail.path()).unwrap(), Some(pid));
    tell(&format!("{pid}\n")).unwrap();
    wait(|| qmail.told() == "HUP\n");
    drop(running);
    assert!(failure(tell(&pid.to_string())).contains("there is no process "));
    fs::remove_file(&file).unwrap();
    assert!(failure(super::tell(&how, qmail.path(), Word::Reread)).contains("is not there"));
}

#[test]
fn a_command_is_given_the_word_and_its_status_counts() {
    let qmail = Qmail::new();
    let told = qmail.path().join("told");
    let tell = |command: &str, word| tell(&QmailSend::Command(command.to_owned()), qmail.path(), word);
    let script = qmail.script("tell", &format!("#!/bin/sh\necho \"$@\" >>{}\n", told.display()));
    tell(&format!("{} -x", script.display()), Word::Reread).unwrap();
    tell(&format!("{} -x", script.display()), Word::RetryNow).unwrap();
    assert_eq!(qmail.told(), "-x HUP\n-x ALRM\n");
    let line = failure(tell("echo nobody home >&2; exit 3;:", Word::Reread));
    assert!(line.contains("exit status: 3: nobody home"), "{line}");
}

#[test]
fn a_service_is_told_by_svc_only_if_it_is_up() {
    let qmail = Qmail::new();
    let service = qmail.path().join("service");
    let how = QmailSend::Service(service.clone());
    let hup = || tell(&how, qmail.path(), Word::Reread);
    assert!(failure(hup()).contains("no supervise runs in "));
    fs::create_dir(&service).unwrap();
    qmail.script("qmail-send", SCRIPT);
    qmail.script("service/run", "#!/bin/sh\ncd ../queue\nexec ../qmail-send\n");
    assert!(failure(hup()).contains("no supervise runs in "));

    fs::write(service.join("down"), "").unwrap();
    let mut supervise =
        Running(Command::new("supervise").arg(&service).stderr(Stdio::null()).process_group(0).spawn().unwrap());
    wait(|| Command::new("svok").arg(&service).status().unwrap().success());
    assert!(failure(hup()).contains("is not up"));
    let svc = |option: &str| assert!(Command::new("svc").arg(option).arg(&service).status().unwrap().success());
    svc("-u");
    wait(|| qmail.path().join("ready").exists());
    hup().unwrap();
    wait(|| qmail.told() == "HUP\n");
    tell(&how, qmail.path(), Word::RetryNow).unwrap();
    wait(|| qmail.told() == "HUP\nALRM\n");
    svc("-dx");
    supervise.0.wait().unwrap();
    assert!(failure(hup()).contains("no supervise runs in "));
}
