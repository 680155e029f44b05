//! The text of `export`, out of a store and into another.

use crate::cli::{program, run, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_core::wire::auth::Question;
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn(&Ground) -> Outcome| {
        Trial::test(format!("importing::text::{name}"), move || run(&Ground::new()?))
    };
    vec![
        trial("what_goes_out_comes_back_byte_for_byte", round_trip),
        trial("the_file_is_private_and_there_only_when_it_is_complete", private),
        trial("a_store_that_fails_leaves_no_file", failing),
        trial("a_file_that_is_cut_off_or_damaged_is_refused_whole", damaged),
        trial("without_passwords_nobody_can_log_in", without_passwords),
        trial("a_store_that_holds_rows_is_not_written_to_unless_it_is_said", into_rows),
        trial("merged_without_passwords_mailboxes_keep_those_that_they_have", merge_without_passwords),
        trial("a_dry_run_writes_nothing", dry_run),
        trial("export_follows_no_link_and_root_writes_only_where_nobody_else_does", folders),
        trial("output_that_cannot_be_written_is_said", full),
        trial("a_pipe_by_its_name_is_refused_at_once", pipe),
        trial("the_daemon_is_told", told),
    ]
}

/// A folder with a store `a` that has rows, and one `b` that is not there yet.
struct Ground {
    folder: TempDir,
}

const ROWS: &str = "
insert into mailbox values
  ('iain','800','100','/home/mail/iain','secret','Password','N'),
  ('Dmp','803','100','/home/m\u{fc}ller \u{202e}x','*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29','MySQL-Password','N'),
  ('tab','804','100','/home/t\tb\n\\N','','Password','Y');
insert into alias(seq, username, alias, alias_username, alias_host) values
  (3,'iain','list','|','prog ''a b'' \t'), (4,'iain','list','.','/Maildir/'), (9,'iain','list','.','/Maildir/'),
  (1,'iain','','me','example.org'), (2,'iain','bogus','','');
insert into `virtual`(username, ext, virtual_username, virtual_host) values
  ('iain','@','','virtual.com'), ('iain','','sales','Silly.com'), ('iain','','sales','Silly.com');
insert into rcpthosts values ('virtual.com'), ('.example.net'), (' odd');
";

impl Ground {
    fn new() -> Result<Self, Failed> {
        let ground = Self { folder: tempfile::tempdir()? };
        run(&["--store", &ground.url("a"), "init", "--with-seq"])?.exits(0)?;
        rusqlite::Connection::open(ground.path("a"))?.execute_batch(ROWS)?;
        Ok(ground)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn url(&self, name: &str) -> String {
        format!("sqlite:{}", self.text(name))
    }

    /// The text of a store.
    fn export(&self, name: &str) -> Result<String, Failed> {
        Ok(run(&["--store", &self.url(name), "export"])?.exits(0)?.out)
    }

    /// How many files the folder has.
    fn files(&self) -> Result<usize, Failed> {
        Ok(std::fs::read_dir(self.folder.path())?.count())
    }
}

fn mode(path: &Path) -> Result<u32, Failed> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

fn round_trip(ground: &Ground) -> Outcome {
    let first = ground.export("a")?;
    let first = first.as_str();
    let want = "mailbox\ttab\t804\t100\t/home/t\\tb\\n\\\\N\t\tPassword\tY\n";
    ensure(first.contains(want) && first.ends_with("\n# end 14 rows\n"), first)?;
    ensure(first.contains("/home/m\u{fc}ller \\xE2\\x80\\xAEx") && first.contains("rcpthosts\t\\x20odd\n"), first)?;
    equal("the same rows", ground.export("a")?, first)?;
    // From a file, and from standard input.
    std::fs::write(ground.path("text"), first)?;
    let said = run(&["--store", &ground.url("b"), "import", &ground.text("text")])?.exits(0)?;
    ensure(said.out.contains("14 inserted") && said.err.is_empty(), format!("{said:?}"))?;
    equal("b", ground.export("b")?, first)?;
    run_with(&["--store", &ground.url("c"), "import", "-"], first, &[])?.exits(0)?;
    equal("c", ground.export("c")?, first)?;
    // The order of lines is of no account.
    let mut lines: Vec<_> = first.lines().collect();
    lines.swap(2, 3);
    let swapped = lines.join("\n") + "\n";
    run_with(&["--store", &ground.url("d"), "import", "-"], &swapped, &[])?.exits(0)?;
    equal("d", ground.export("d")?, first)
}

fn private(ground: &Ground) -> Outcome {
    let (url, out) = (ground.url("a"), ground.text("out"));
    std::fs::write(&out, "old")?;
    std::fs::set_permissions(&out, PermissionsExt::from_mode(0o644))?;
    let json = run(&["--store", &url, "--json", "export", "--output", &out])?.exits(0)?.json()?;
    ensure(json["rows"]["alias"] == 5 && json["passwords"] == true, json.to_string())?;
    equal("mode", mode(Path::new(&out))?, 0o600)?;
    equal("content", std::fs::read_to_string(&out)?, ground.export("a")?)?;
    symlink(&out, ground.path("link"))?;
    let before = ground.files()?;
    run(&["--store", &url, "export", "--output", &ground.text("link")])?.exits(100)?.complains(&["symbolic link"])?;
    run(&["--store", &url, "export", "--output", &ground.text(".")])?.exits(100)?;
    run(&["--store", &url, "export", "--output", &ground.text("no/such")])?.exits(100)?.complains(&["/no: "])?;
    run(&["--store", &url, "--json", "export"])?.exits(100)?;
    equal("files", ground.files()?, before)
}

fn failing(ground: &Ground) -> Outcome {
    rusqlite::Connection::open(ground.path("a"))?.execute_batch("drop table rcpthosts")?;
    let before = ground.files()?;
    let ran = run(&["--store", &ground.url("a"), "export", "--output", &ground.text("out")])?.exits(111)?;
    equal("files", ground.files()?, before)?;
    equal("stdout", ran.out, "")?;
    equal("stdout", run(&["--store", &ground.url("a"), "export"])?.exits(111)?.out, "")
}

fn damaged(ground: &Ground) -> Outcome {
    let text = ground.export("a")?;
    let url = ground.url("b");
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    for (bad, words) in [
        (lines[..lines.len() - 1].concat(), "without a line '# end'"),
        (text[..text.len() - 1].to_owned(), "cut off"),
        (lines[..4].concat() + "# end 14 rows\n", "another number"),
        (text.replace("\tsecret\t", "\tsec\\ret\t"), "line 4, field 6 (password): a backslash"),
        (String::new(), "without a line"),
        ("insert into mailbox\n".to_owned(), "first line"),
        (text.replace('\n', "\r\n"), "line 1: the line ends in CR LF"),
    ] {
        let ran = run_with(&["--store", &url, "import", "-"], &bad, &[])?.exits(100)?.complains(&[words])?;
        ensure(!ran.err.contains("ret"), ran.err)?;
    }
    ensure(!ground.path("b").exists(), "b was made")
}

fn without_passwords(ground: &Ground) -> Outcome {
    let (url, file) = (ground.url("b"), ground.text("out"));
    run(&["--store", &ground.url("a"), "export", "--no-passwords", "--output", &file])?.exits(0)?;
    let text = std::fs::read_to_string(&file)?;
    ensure(!text.contains("secret") && !text.contains("94BDCEBE"), "a password")?;
    run(&["--store", &url, "import", &file])?.exits(100)?.complains(&["--no-passwords"])?;
    run(&["--store", &url, "import", &file, "--no-passwords", "--replace"])?.exits(100)?;
    let said = run(&["--store", &url, "import", &file, "--no-passwords"])?.exits(0)?;
    ensure(said.err.contains("3 new mailboxes have none"), said.err)?;
    run(&["--store", &url, "mailbox", "iain"])?.exits(0)?;
    for offered in ["secret\n", "\n"] {
        run_with(&["--store", &url, "auth", "iain"], offered, &[])?.exits(1)?;
    }
    let want = text.replace("\tMySQL-Password\t", "\tPassword\t");
    equal("the same but for passwords", run(&["--store", &url, "export", "--no-passwords"])?.out, want)
}

fn into_rows(ground: &Ground) -> Outcome {
    let (url, file) = (ground.url("b"), ground.text("out"));
    run(&["--store", &ground.url("a"), "export", "--output", &file])?.exits(0)?;
    run(&["--store", &url, "import", &file])?.exits(0)?;
    let first = ground.export("b")?;
    let first = first.as_str();
    run(&["--store", &url, "import", &file])?.exits(1)?;
    run(&["--store", &url, "import", &file, "--merge"])?.exits(0)?.says("14 were there already")?;
    equal("twice", ground.export("b")?, first)?;
    // A row that differs is left, and told.
    let sql = "update mailbox set home='/other' where username='iain'; delete from rcpthosts";
    rusqlite::Connection::open(ground.path("b"))?.execute_batch(sql)?;
    let json = run(&["--store", &url, "--json", "import", &file, "--merge"])?.exits(1)?.json()?;
    ensure(
        json["tables"]["mailbox"]["differing"] == 1 && json["tables"]["rcpthosts"]["inserted"] == 3,
        json.to_string(),
    )?;
    run(&["--store", &url, "import", &file, "--replace"])?.exits(0)?;
    equal("replaced", ground.export("b")?, first)
}

fn merge_without_passwords(ground: &Ground) -> Outcome {
    let (url, file) = (ground.url("b"), ground.text("out"));
    run(&["--store", &ground.url("a"), "export", "--output", &file])?.exits(0)?;
    run(&["--store", &url, "import", &file])?.exits(0)?;
    let sql = "update mailbox set password='other', password_type='Password' where username='Dmp';
               update mailbox set home='/other' where username='iain'; delete from mailbox where username='tab'";
    rusqlite::Connection::open(ground.path("b"))?.execute_batch(sql)?;
    let before = ground.export("b")?;
    let merge = ["--store", &url, "--json", "import", &file, "--merge", "--no-passwords"];
    let said = run(&merge)?.exits(1)?;
    let json = said.json()?;
    let mailbox = &json["tables"]["mailbox"];
    let is_so = mailbox["same"] == 1 && mailbox["differing"] == 1 && mailbox["inserted"] == 1;
    ensure(is_so && said.err.contains("1 new mailboxes have none"), format!("{said:?}"))?;
    // Nothing that was there has changed.
    let after = ground.export("b")?;
    let lost: Vec<_> = before.lines().filter(|line| !line.starts_with('#') && !after.contains(line)).collect();
    ensure(lost.is_empty(), format!("{lost:?}"))?;
    run_with(&["--store", &url, "auth", "Dmp"], "other\n", &[])?.exits(0)?;
    let again = run(&merge)?.exits(1)?;
    ensure(!again.err.contains("have none"), again.err)
}

fn dry_run(ground: &Ground) -> Outcome {
    let (url, file) = (ground.url("b"), ground.text("out"));
    run(&["--store", &ground.url("a"), "export", "--output", &file])?.exits(0)?;
    run(&["--store", &url, "import", &file, "--dry-run"])?.exits(0)?.says("14 would be inserted")?;
    run(&["--store", &url, "export"])?.exits(111)?;
    Ok(())
}

fn folders(ground: &Ground) -> Outcome {
    let url = ground.url("a");
    let export = |place: &str| run(&["--store", &url, "export", "--quiet", "--output", &ground.text(place)]);
    std::fs::create_dir(ground.path("real"))?;
    symlink("real", ground.path("lnk"))?;
    export("lnk/x")?.exits(100)?.complains(&["/lnk is a symbolic link", "write the path"])?;
    ensure(!ground.path("real/x").exists(), "the link was followed")?;
    // What only looks like a leftover is in nobody's way.
    std::fs::create_dir(ground.path("real/.x.999999.qmail-lookup"))?;
    export("real/x")?.exits(0)?;
    let permissions = |mode| std::fs::set_permissions(ground.path("real"), PermissionsExt::from_mode(mode));
    permissions(0o1777)?;
    export("real/x")?.exits(0)?;
    if nix::unistd::geteuid().is_root() {
        permissions(0o777)?;
        export("real/x")?.exits(100)?.complains(&["not root's alone"])?;
        permissions(0o755)?;
        std::os::unix::fs::chown(ground.path("real"), Some(7), None)?;
        export("real/y")?.exits(100)?.complains(&["not root's alone"])?;
        ensure(!ground.path("real/y").exists(), "written all the same")?;
    }
    Ok(())
}

fn full(ground: &Ground) -> Outcome {
    let url = ground.url("a");
    for verb in [&["export", "--quiet"][..], &["check"], &["alias", "iain", "list"], &["--json", "mailbox", "iain"]] {
        let mut command = Command::new(program()?);
        command.args(["--store", &url]).args(verb).stdin(Stdio::null());
        let ran = command.stdout(std::fs::File::options().write(true).open("/dev/full")?).output()?;
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        let one_line = said.lines().count() == 1 && said.contains("the output could not be written: No space left");
        ensure(ran.status.code() == Some(111) && one_line, format!("{verb:?}: {:?} {said:?}", ran.status))?;
    }
    Ok(())
}

fn pipe(ground: &Ground) -> Outcome {
    nix::unistd::mkfifo(&ground.path("pipe"), nix::sys::stat::Mode::S_IRWXU)?;
    let (url, pipe) = (ground.url("b"), ground.text("pipe"));
    for format in ["text", "mysqldump"] {
        let mut command = Command::new("timeout");
        command.arg("20").arg(program()?).args(["--store", &url, "import", "--format", format, &pipe]);
        let ran = command.output()?;
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        ensure(
            ran.status.code() == Some(100) && said.contains("no regular file"),
            format!("{:?}: {said}", ran.status),
        )?;
    }
    run(&["--store", &url, "import", &ground.text(".")])?.exits(100)?.complains(&["no regular file"])?;
    ensure(!ground.path("b").exists(), "b was made")
}

/// What is asked at a socket that stands for the daemon's while the tool runs with `args`.
fn told_by(ground: &Ground, args: &[&str]) -> Result<Vec<u8>, Failed> {
    let socket = ground.path("auth");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)?;
    listener.set_nonblocking(true)?;
    let over = AtomicBool::new(false);
    let config = ground.text("c.toml");
    std::thread::scope(|scope| {
        let daemon = scope.spawn(|| -> std::io::Result<Vec<u8>> {
            let mut asked = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                // It first looks whether anybody is there, and says nothing then.
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(Duration::from_millis(200)))?;
                let mut bytes = [0; 100];
                let read = stream.read(&mut bytes).unwrap_or(0);
                asked.extend_from_slice(&bytes[..read]);
            }
            Ok(asked)
        });
        let ran = run(&[&["--config", &config], args].concat());
        over.store(true, Ordering::SeqCst);
        let asked = daemon.join().map_err(|_| "the listener has failed")??;
        ran?.exits(0)?;
        Ok(asked)
    })
}

fn told(ground: &Ground) -> Outcome {
    let file = ground.text("out");
    run(&["--store", &ground.url("a"), "export", "--output", &file])?.exits(0)?;
    let config = format!(
        "[store]\nkind = \"sqlite\"\npath = \"{}\"\n[daemon]\nauth_socket = \"{}\"\n",
        ground.text("b"),
        ground.text("auth")
    );
    std::fs::write(ground.path("c.toml"), config)?;
    let mut flush = Vec::new();
    Question::Flush.write(&mut flush);
    equal("dry run", told_by(ground, &["import", &file, "--dry-run"])?, Vec::<u8>::new())?;
    let asked = told_by(ground, &["import", &file])?;
    ensure(asked.windows(flush.len()).any(|part| part == flush), format!("{asked:?}"))?;
    // Where no daemon is there is nothing to say.
    std::fs::remove_file(ground.path("auth"))?;
    let said = run(&["--config", &ground.text("c.toml"), "import", &file, "--merge"])?.exits(0)?;
    equal("stderr", said.err, "")
}
