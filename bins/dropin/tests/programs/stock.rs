//! qmail-getpw and the stock program (rule G4).

use super::daemon::{answering, getpw_answer, getpw_frame};
use super::site::{Site, code, program};
use qmail_lookup_core::getpw::Winner;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

const NAME: &str = "qmail-getpw.stock";
const ALIAS: &[u8] = b"alias\x0064010\x0064011\0/var/qmail/alias\0-\0Local-Part\0";

/// A site whose daemon leaves `Local-Part` to the stock program.
fn site() -> Site {
    let site = Site::new();
    answering(site.lookup(), getpw_frame(&getpw_answer(Winner::Stock(b"Local-Part".to_vec()))));
    site
}

fn run(site: &Site) -> Output {
    site.redirected("7</dev/null 9>/dev/null", program("qmail-getpw")).arg("Virtual-Part").output().unwrap()
}

fn defers(site: &Site) {
    let output = run(site);
    assert_eq!((code(&output), output.stdout.len(), output.stderr.len()), (118, 0, 0), "{output:?}");
}

#[test]
fn it_is_run_for_the_local_part_that_the_daemon_names_and_its_exit_code_is_ours() {
    let site = site();
    site.script(NAME, "printf '%s,' \"$0\" \"$#\" \"$1\"; pwd; exit 117");
    let output = run(&site);
    let wanted = format!("bin/{NAME},1,Local-Part,{}\n", site.home.path().display());
    assert_eq!((code(&output), String::from_utf8(output.stdout).unwrap()), (117, wanted));
}

#[test]
fn it_inherits_descriptors_0_to_2_and_no_ignored_signal() {
    let site = site();
    site.script(NAME, "grep SigIgn /proc/self/status; ls /proc/self/fd | xargs");
    let output = String::from_utf8(run(&site).stdout).unwrap();
    let (signals, descriptors) = output.split_once('\n').unwrap();
    assert!(!super::site::ignores(signals), "{signals}");
    assert_eq!(descriptors, "0 1 2 3\n", "3 is what ls opens itself");
}

#[test]
fn no_alarm_of_ours_ends_it() {
    let site = site();
    site.script(NAME, "sleep 9; echo late");
    assert_eq!(run(&site).stdout, b"late\n");
}

#[test]
fn ourselves_under_that_name_defers() {
    let site = site();
    let ours = site.installed("qmail-getpw");
    fs::hard_link(&ours, site.home.path().join("bin").join(NAME)).unwrap();
    let output = site.command(&ours).arg("x").output().unwrap();
    assert_eq!((code(&output), output.stdout.len()), (118, 0), "a link");
    // A copy is run once, and finds out.
    fs::remove_file(site.home.path().join("bin").join(NAME)).unwrap();
    super::site::copy(&ours, &site.home.path().join("bin").join(NAME));
    defers(&site);
    // A script that runs ours is no way around.
    site.script(NAME, "bin/qmail-getpw \"$1\"");
    defers(&site);
}

#[test]
fn what_cannot_be_run_defers_even_if_install_says_that_there_is_none() {
    let site = site();
    fs::write(site.home.path().join("control/nostock"), "").unwrap();
    let stock = site.script(NAME, "echo never");
    fs::set_permissions(&stock, fs::Permissions::from_mode(0o644)).unwrap();
    defers(&site);
    fs::set_permissions(&stock, fs::Permissions::from_mode(0o755)).unwrap();
    site.executable(NAME, "#!/nonexistent/interpreter\n");
    defers(&site);
    // What is no program must not be given to a shell, which ends with 127.
    for broken in ["neither a script nor a program", "", "\x7fELF"] {
        site.executable(NAME, broken);
        defers(&site);
    }
    fs::remove_file(&stock).unwrap();
    fs::create_dir(&stock).unwrap();
    defers(&site);
}

#[test]
fn without_one_only_control_nostock_makes_it_the_alias_user() {
    let site = site();
    defers(&site);
    fs::write(site.home.path().join("control/nostock"), "").unwrap();
    assert_eq!(run(&site).stdout, ALIAS);
}
