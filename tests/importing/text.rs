//! The text of `export`, out of a store and into another.

use crate::cli::{run, run_with};
use libtest_mimic::{Failed, Trial};
use qmail_lookup_tests::check::{Outcome, ensure, equal};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
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
        trial("a_dry_run_writes_nothing", dry_run),
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
    run_with(&["--store", &ground.url("c"), "import", "-"], &first, &[])?.exits(0)?;
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
    ensure(said.err.contains("3 mailboxes have none"), said.err)?;
    run(&["--store", &url, "mailbox", "iain"])?.exits(0)?;
    for offered in ["secret\n", "\n"] {
        run_with(&["--store", &url, "auth", "iain"], offered, &[])?.exits(1)?;
    }
    equal("the same but for passwords", run(&["--store", &url, "export", "--no-passwords"])?.out, text)
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

fn dry_run(ground: &Ground) -> Outcome {
    let (url, file) = (ground.url("b"), ground.text("out"));
    run(&["--store", &ground.url("a"), "export", "--output", &file])?.exits(0)?;
    run(&["--store", &url, "import", &file, "--dry-run"])?.exits(0)?.says("14 would be inserted")?;
    run(&["--store", &url, "export"])?.exits(111)?;
    Ok(())
}
