use super::*;
use crate::catalog::Table;
use crate::settings::RcpthostsOnly;
use crate::sync::around::{Files, route};
use crate::sync::hosts::Rows;
use proptest::prelude::*;
use std::time::Duration;

const DAY: u64 = 86_400;

/// Tables, files and memory that go from look to look.
struct World {
    files: Files,
    memory: Memory,
    virtuals: Vec<String>,
    accepted: Vec<String>,
    queue: Vec<&'static str>,
    choices: Choices,
    yes: bool,
    may_add: bool,
}

fn some(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

impl World {
    fn new(virtuals: &[&str], accepted: &[&str]) -> Self {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let files = Files { me: some("mail.test"), rcpthosts: some("mail.test\n"), ..Files::default() };
        let choices = Choices {
            only: Vec::new(),
            except: Vec::new(),
            deny: Vec::new(),
            wildcards: false,
            rcpthosts_only: RcpthostsOnly::Ask,
            shrink: 20,
            grow: 1000,
            removed_grace: Duration::from_secs(7 * DAY),
        };
        let (virtuals, accepted) = (own(virtuals), own(accepted));
        let memory = Memory::default();
        Self { files, memory, virtuals, accepted, queue: Vec::new(), choices, yes: false, may_add: true }
    }

    fn both(names: &[&str]) -> Self {
        Self::new(names, names)
    }

    fn numbered(count: usize) -> Self {
        let names: Vec<_> = (0..count).map(|n| format!("h{n}.test")).collect();
        Self { virtuals: names.clone(), accepted: names, ..Self::both(&[]) }
    }

    fn plan(&self, now: u64) -> Plan {
        let around = Around::read(&self.files).unwrap();
        let mut rows = Rows::default();
        self.virtuals.iter().for_each(|host| rows.add(Table::Virtual, Some(host.as_bytes())));
        self.accepted.iter().for_each(|host| rows.add(Table::Rcpthosts, Some(host.as_bytes())));
        let wanted = Wanted::judge(&rows, &around, &self.choices);
        let needs = |host: &Host| self.queue.contains(&host.as_str());
        let Self { choices, memory, may_add, yes, .. } = self;
        let (may_add, yes) = (*may_add, *yes);
        Plan::of(&Look { around: &around, wanted: &wanted, choices, memory, now, may_add, yes, needs: &needs })
    }

    /// Looks, and does what was planned; what came and what went.
    fn look(&mut self, now: u64) -> (Vec<String>, Vec<String>) {
        let plan = self.plan(now);
        assert_eq!(plan.limits, []);
        let around = Around::read(&self.files).unwrap();
        self.files.virtualdomains = around.virtualdomains.write(plan.routed.iter().map(route));
        let lines = |hosts: &BTreeSet<Host>| hosts.iter().map(|host| host.as_bytes().to_vec()).collect::<Vec<_>>();
        if !around.is_open || plan.create {
            self.files.rcpthosts = around.rcpthosts.write(lines(&plan.late.rcpthosts));
        }
        self.files.morercpthosts = around.morercpthosts.write(lines(&plan.late.morercpthosts));
        self.memory = plan.memory;
        let text = |lines: Vec<(List, Host)>| lines.iter().map(|(list, host)| format!("{list} {host}")).collect();
        (text(plan.added), text(plan.removed))
    }

    fn around(&self) -> Around {
        Around::read(&self.files).unwrap()
    }
}

fn without(host: &str, hosts: &mut Vec<String>) {
    hosts.retain(|one| one != host);
}

const NONE: [String; 0] = [];

#[test]
fn a_host_comes_at_once_and_nothing_is_left_to_do() {
    let mut world = World::new(&["a.test", "b.test"], &["a.test"]);
    let (added, removed) = world.look(1000);
    assert_eq!(added, ["rcpthosts a.test", "virtualdomains a.test", "virtualdomains b.test"]);
    assert_eq!(removed, NONE);
    let before = world.files.clone();
    assert_eq!(world.look(1001), (vec![], vec![]));
    assert_eq!(world.files, before);
    assert_eq!(world.memory, Memory::default());
}

#[test]
fn a_host_goes_in_two_looks_rcpthosts_first() {
    let mut world = World::both(&["a.test", "b.test"]);
    world.look(0);
    without("a.test", &mut world.virtuals);
    without("a.test", &mut world.accepted);
    assert_eq!(world.look(1000).1, NONE, "once is not enough");
    assert_eq!(world.look(1299).1, NONE, "nor a moment later");
    assert_eq!(world.look(1300).1, ["rcpthosts a.test"]);
    assert_eq!(world.look(1301).1, NONE, "connections go on with what they have read");
    let waiting = world.plan(1301).waiting;
    assert_eq!(
        waiting.iter().map(|w| (w.list, w.until, w.queued)).collect::<Vec<_>>(),
        [(List::Virtualdomains, 1600, false)]
    );
    world.queue.push("a.test");
    assert_eq!(world.look(1600).1, NONE, "the queue needs it");
    assert!(world.plan(1600).waiting.iter().all(|waiting| waiting.queued && waiting.until == 1000 + 7 * DAY));
    let mut graceful = World { files: world.files.clone(), memory: world.memory.clone(), ..World::both(&["b.test"]) };
    graceful.queue.push("a.test");
    assert_eq!(graceful.look(999 + 7 * DAY).1, NONE);
    assert_eq!(graceful.look(1000 + 7 * DAY).1, ["virtualdomains a.test"], "but not for ever");
    world.queue.clear();
    assert_eq!(world.look(1601).1, ["virtualdomains a.test"]);
    assert_eq!(world.memory, Memory::default());
}

#[test]
fn a_look_long_after_is_still_the_first() {
    let mut world = World::both(&["a.test", "b.test"]);
    world.look(0);
    without("a.test", &mut world.accepted);
    without("a.test", &mut world.virtuals);
    assert_eq!(world.look(DAY).1, NONE);
    assert_eq!(world.look(2 * DAY).1, ["rcpthosts a.test"], "never both at once");
    assert_eq!(world.look(3 * DAY).1, ["virtualdomains a.test"]);
}

#[test]
fn a_host_that_comes_back_is_forgotten() {
    let mut world = World::both(&["a.test", "b.test"]);
    world.look(0);
    let whole = (world.virtuals.clone(), world.accepted.clone());
    without("a.test", &mut world.virtuals);
    without("a.test", &mut world.accepted);
    world.look(1000);
    (world.virtuals, world.accepted) = whole;
    assert_eq!(world.look(1200), (vec![], vec![]));
    assert_eq!(world.memory, Memory::default());
    without("a.test", &mut world.virtuals);
    without("a.test", &mut world.accepted);
    assert_eq!(world.look(1300).1, NONE, "it begins anew");
}

#[test]
fn a_host_that_is_relayed_from_now_on_keeps_its_line_of_rcpthosts() {
    let mut world = World::both(&["a.test", "b.test"]);
    world.choices.rcpthosts_only = RcpthostsOnly::Relay;
    world.look(0);
    without("a.test", &mut world.virtuals);
    assert_eq!(world.look(1000).1, NONE);
    assert_eq!(world.look(1300).1, ["virtualdomains a.test"]);
    assert!(world.around().accepted.contains(&Host::new(b"a.test").unwrap()));
}

#[test]
fn the_administrators_line_takes_over_at_once() {
    let mut world = World::both(&["a.test", "b.test"]);
    world.look(0);
    let mut content = b"a.test:bob\n".to_vec();
    content.extend_from_slice(world.files.virtualdomains.as_deref().unwrap());
    world.files.virtualdomains = Some(content);
    let mut accepted = b"b.test\n".to_vec();
    accepted.extend_from_slice(world.files.rcpthosts.as_deref().unwrap());
    world.files.rcpthosts = Some(accepted);
    assert_eq!(world.look(1).1, ["virtualdomains a.test"]);
    let around = world.around();
    assert_eq!(around.own_routes[&b"a.test"[..]], b"bob");
    assert_eq!(around.accepted.len(), 1, "b.test stands above the block");
    assert!(around.accepts_by_own_line(&Host::new(b"b.test").unwrap()));
}

#[test]
fn nothing_is_written_if_too_much_goes_or_comes() {
    let mut world = World::numbered(30);
    world.look(0);
    world.virtuals.truncate(24);
    let going = |world: &World| world.plan(1).limits;
    assert_eq!(going(&world), [], "6 of 30 are 20 percent");
    world.virtuals.truncate(23);
    let shrink = |list| Limit::Shrink { list, going: 7, of: 30, percent: 20 };
    assert_eq!(going(&world), [shrink(List::Rcpthosts), shrink(List::Virtualdomains)], "what is undecided goes, too");
    world.accepted.clear();
    assert!(going(&world).contains(&Limit::All { list: List::Rcpthosts, of: 30 }));
    let said = "the tables want none of the 30 hosts in the block of control/rcpthosts any more";
    assert_eq!(going(&world)[0].to_string(), said);

    let mut small = World::both(&["a.test", "b.test"]);
    small.look(0);
    small.virtuals.pop();
    assert_eq!(small.plan(1).limits, [], "few may go");
    small.virtuals.clear();
    assert_eq!(small.plan(1).limits.len(), 2, "all may not");

    let mut grown = World::numbered(4);
    grown.choices.grow = 3;
    assert_eq!(grown.plan(0).limits.len(), 2);
    grown.yes = true;
    assert_eq!(grown.look(0).0.len(), 8);
    let mut nothing = World::numbered(0);
    assert_eq!(nothing.look(0), (vec![], vec![]));
}

#[test]
fn what_was_agreed_once_needs_no_second_agreement() {
    let mut world = World::numbered(30);
    world.look(0);
    world.virtuals.truncate(10);
    world.accepted.truncate(10);
    world.yes = true;
    world.look(1000);
    world.yes = false;
    assert_eq!(world.look(1300).1.len(), 20);
    assert_eq!(world.look(1600).1.len(), 20);
    assert_eq!(world.around().routed.len(), 10);
    world.look(2000);
    world.virtuals.truncate(3);
    assert_eq!(world.plan(2001).limits.len(), 2, "for those only");
}

#[test]
fn hosts_move_to_morercpthosts_and_stay_there() {
    let mut world = World::numbered(49);
    world.look(0);
    assert_eq!((world.around().accepted.len(), world.around().accepted_more.len()), (49, 0), "50 with mail.test");
    let more = World::numbered(50);
    (world.virtuals, world.accepted) = (more.virtuals, more.accepted);
    let plan = world.plan(1);
    assert_eq!((plan.early.rcpthosts.len(), plan.early.morercpthosts.len()), (49, 0));
    assert_eq!((plan.late.rcpthosts.len(), plan.late.morercpthosts.len()), (0, 50));
    assert_eq!(plan.added.len(), 2, "moving is not coming");
    world.look(1);
    assert_eq!(world.files.rcpthosts.as_deref(), Some(&b"mail.test\n"[..]));
    world.accepted.pop();
    world.look(2);
    world.look(302);
    assert_eq!((world.around().accepted.len(), world.around().accepted_more.len()), (0, 49));
}

#[test]
fn without_rcpthosts_every_host_is_accepted_so_it_is_made_first() {
    let mut world = World::both(&["a.test"]);
    world.files.rcpthosts = None;
    let plan = world.plan(0);
    assert!(plan.create);
    assert!(plan.early.rcpthosts.is_empty(), "its mail would be relayed");
    assert_eq!(plan.late.rcpthosts.len(), 1);
    world.look(0);
    let text = String::from_utf8(world.files.rcpthosts.clone().unwrap()).unwrap();
    assert!(text.starts_with("mail.test\n#"), "{text}");
    world.files.rcpthosts = None;
    assert_eq!(world.plan(1).early.rcpthosts.len(), 1, "routed already");
    world.memory.owed = true;
    assert!(world.plan(1).early.rcpthosts.is_empty(), "perhaps");
    let nothing = World { files: Files { rcpthosts: None, ..world.files }, ..World::both(&[]) };
    assert!(!nothing.plan(2).create, "there is nothing to add");
}

#[test]
fn while_the_programs_are_not_ours_hosts_only_go() {
    let mut world = World::both(&["a.test", "b.test"]);
    world.look(0);
    world.virtuals = vec!["b.test".to_owned(), "c.test".to_owned()];
    world.accepted = world.virtuals.clone();
    world.may_add = false;
    assert_eq!(world.look(1000), (vec![], vec![]));
    assert_eq!(world.plan(1000).held.len(), 1);
    assert_eq!(world.look(1300), (vec![], vec!["rcpthosts a.test".to_owned()]));
    world.may_add = true;
    assert_eq!(world.look(1301).0, ["rcpthosts c.test", "virtualdomains c.test"]);
}

proptest! {
    /// Whatever comes and goes: mail is never accepted for a host that the tables have routed unless it still is, and
    /// nothing goes that the tables want.
    #[test]
    fn nothing_is_accepted_without_its_route(
        steps in proptest::collection::vec((proptest::collection::btree_set(0..8u8, 1..9), 0..700u64, any::<bool>()), 1..20),
    ) {
        let mut world = World::both(&[]);
        world.yes = true;
        let mut now = 0;
        for (present, later, queued) in steps {
            now += later;
            world.virtuals = present.iter().map(|n| format!("h{n}.test")).collect();
            world.accepted = world.virtuals.clone();
            world.queue = if queued { vec!["h0.test", "h1.test"] } else { Vec::new() };
            world.look(now);
            let around = world.around();
            prop_assert!(around.accepted.is_subset(&around.routed));
            for host in &world.virtuals {
                let host = Host::new(host.as_bytes()).unwrap();
                prop_assert!(around.routed.contains(&host) && around.accepted.contains(&host));
            }
            let again = world.files.clone();
            world.look(now);
            prop_assert_eq!(&again, &world.files, "a second look at the same time changes nothing");
        }
    }
}
