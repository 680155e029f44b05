use super::*;
use crate::catalog::Table;
use crate::settings::RcpthostsOnly;
use crate::sync::around::{Files, route};
use crate::sync::block::Marked;
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

    fn wanted(&self) -> Wanted {
        let mut rows = Rows::default();
        self.virtuals.iter().for_each(|host| rows.add(Table::Virtual, Some(host.as_bytes())));
        self.accepted.iter().for_each(|host| rows.add(Table::Rcpthosts, Some(host.as_bytes())));
        Wanted::judge(&rows, &self.around(), &self.choices)
    }

    fn plan(&self, now: u64) -> Plan {
        let (around, wanted) = (self.around(), self.wanted());
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

/// Hosts that cover each other in every way.
const WORLD: [&str; 8] = ["a.test", "x.a.test", ".a.test", "y.x.a.test", ".x.a.test", "b.test", "z.b.test", ".b.test"];

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

#[test]
fn a_host_stays_routed_while_a_line_that_stays_accepts_it() {
    let mut world = World::both(&["x.wild.test", "b.test"]);
    world.choices.wildcards = true;
    world.look(0);
    // Its rows become one of the suffix above it, which cannot come.
    world.virtuals = vec![".wild.test".to_owned(), "b.test".to_owned()];
    world.may_add = false;
    for now in [1000, 1300, 2000] {
        assert_eq!(world.look(now), (vec![], vec![]));
    }
    let plan = world.plan(2001);
    assert_eq!(plan.kept.values().collect::<Vec<_>>(), [b"x.wild.test"], "it is named");
    assert_eq!(plan.waiting, [], "nothing changes by waiting");
    world.may_add = true;
    assert_eq!(world.look(2001), (vec!["virtualdomains .wild.test".to_owned()], vec![]));
    assert_eq!(world.look(2301).1, ["virtualdomains x.wild.test"], "there is another way");
}

#[test]
fn a_line_of_the_administrators_keeps_the_route_of_what_it_accepts() {
    for (line, route) in [("a.test", "a.test"), (".a.test", "x.a.test"), ("x.a.test", ".a.test")] {
        let mut world = World::new(&[route, "b.test"], &["b.test"]);
        world.choices.wildcards = true;
        world.files.rcpthosts = some(&format!("mail.test\n{line}\n"));
        world.look(0);
        without(route, &mut world.virtuals);
        for now in [1000, 1300, 1600, 2000] {
            assert_eq!(world.look(now).1, NONE, "{line}");
        }
        let kept = world.plan(2000).kept;
        assert_eq!(kept, BTreeMap::from([(Host::new(route.as_bytes()).unwrap(), line.as_bytes().to_vec())]));
        // It counts from when that line is gone.
        let text = String::from_utf8(world.files.rcpthosts.clone().unwrap()).unwrap();
        world.files.rcpthosts = some(&text.replacen(&format!("{line}\n"), "", 1));
        assert_eq!(world.look(3000).1, NONE, "{line}");
        assert_eq!(world.look(3299).1, NONE, "{line}");
        assert_eq!(world.look(3300).1, [format!("virtualdomains {route}")]);
    }
    let mut many = World::numbered(30);
    many.accepted.clear();
    many.files.rcpthosts = some(&(0..29).map(|n| format!("h{n}.test\n")).collect::<String>());
    many.look(0);
    many.virtuals.drain(..29);
    assert_eq!(many.plan(1).limits, [], "none of them goes");
}

#[test]
fn a_route_waits_for_a_suffix_that_accepts_its_host_and_for_hosts_below_it() {
    let mut world = World::both(&["b.test"]);
    world.choices.wildcards = true;
    world.virtuals.extend(["x.w.test", ".v.test"].map(str::to_owned));
    world.accepted.extend([".w.test", "y.v.test"].map(str::to_owned));
    world.choices.rcpthosts_only = RcpthostsOnly::Local;
    world.look(0);
    (world.virtuals, world.accepted) = (vec!["b.test".to_owned()], vec!["b.test".to_owned()]);
    assert_eq!(world.look(1000).1, NONE);
    assert_eq!(world.look(1299).1, NONE);
    assert_eq!(world.look(1300).1, ["rcpthosts .w.test", "rcpthosts y.v.test"]);
    assert_eq!(world.look(1599).1, NONE, "connections go on with what they have read");
    assert_eq!(world.look(1600).1.len(), 3);
    assert_eq!(world.around().routed.len(), 1);
}

#[test]
fn a_line_of_a_control_file_takes_no_host_away_that_is_there() {
    for only in [RcpthostsOnly::Ask, RcpthostsOnly::Relay, RcpthostsOnly::Local] {
        let mut world = World::both(&[".wild.test", "b.test", "c.test"]);
        (world.choices.wildcards, world.choices.rcpthosts_only) = (true, only);
        world.look(0);
        world.files.smtproutes = some("printer.wild.test:10.0.0.5\nb.test:10.0.0.6\n");
        world.files.locals = some("mail.test\nc.test\n");
        for now in [1000, 1300, 1600] {
            assert_eq!(world.look(now), (vec![], vec![]), "{only:?}");
        }
        assert_eq!(world.around().routed.len(), 3);
        assert_eq!(world.around().accepted.len(), 3);
    }
}

proptest! {
    /// Whatever tables, files and settings become: no line is added for mail that has no way, and what is accepted does
    /// not lose its way.
    #[test]
    fn what_is_accepted_keeps_its_way(
        steps in proptest::collection::vec(
            (
                proptest::collection::vec(0..WORLD.len(), 0..8),
                proptest::collection::vec(0..WORLD.len(), 0..8),
                [proptest::collection::vec(0..WORLD.len(), 0..2), proptest::collection::vec(0..WORLD.len(), 0..2),
                 proptest::collection::vec(0..WORLD.len(), 0..2), proptest::collection::vec(0..WORLD.len(), 0..2)],
                0..900u64,
                (any::<bool>(), any::<bool>(), 0..4usize),
            ),
            1..12,
        ),
        only in 0..3usize,
    ) {
        let mut world = World::both(&[]);
        world.yes = true;
        world.choices.rcpthosts_only = [RcpthostsOnly::Ask, RcpthostsOnly::Local, RcpthostsOnly::Relay][only];
        let mut now = 0;
        for (virtuals, accepted, [locals, relayed, routes, lines], later, (may_add, wildcards, changes)) in steps {
            now += later;
            let names = |chosen: &[usize]| chosen.iter().map(|&n| WORLD[n].to_owned()).collect::<Vec<_>>();
            let text = |chosen: &[usize], end: &str| {
                Some(names(chosen).iter().map(|name| format!("{name}{end}\n")).collect::<String>().into_bytes())
            };
            let around = world.around();
            (world.virtuals, world.accepted) = (names(&virtuals), names(&accepted));
            (world.may_add, world.choices.wildcards) = (may_add, wildcards);
            // The administrator changes a file now and then.
            match changes {
                0 => world.files.locals = text(&locals, ""),
                1 => world.files.smtproutes = text(&relayed, ":10.0.0.1"),
                2 => {
                    let own = Marked::own_only(text(&routes, ":bob").unwrap());
                    world.files.virtualdomains = own.write(around.virtualdomains.lines());
                }
                _ => {
                    let own = Marked::own_only(text(&lines, "").unwrap());
                    world.files.rcpthosts = own.write(around.rcpthosts.lines());
                }
            }
            let (before, plan) = (world.around(), world.plan(now));
            let rows = world.wanted();
            prop_assert!(plan.limits.is_empty());
            for name in WORLD.iter().map(|name| Host::new(name.as_bytes()).unwrap()) {
                let suffix = name.as_bytes().starts_with(b".");
                // Any host below a suffix that has no line of its own.
                let name = if suffix { Host::new(&[b"any", name.as_bytes()].concat()).unwrap() } else { name };
                let had_way = before.has_way(&name, &before.routed);
                let has_way = before.has_way(&name, &plan.routed);
                let by = |lines: &dyn Fn(&Host) -> bool| candidates(name.as_bytes()).into_iter().find(|key| lines(key));
                let own = |key: &Host| before.accepts_by_own_line(key);
                let was = by(&|key| own(key) || before.accepted.contains(key));
                for (when, list) in [("early", &plan.early.rcpthosts), ("late", &plan.late.rcpthosts)] {
                    let is = by(&|key| own(key) || list.contains(key));
                    let elsewhere = by(&|key| (own(key) || list.contains(key)) && rows.relayed.contains(key));
                    prop_assert!(
                        is.is_none() || has_way || elsewhere.is_some() || (was.is_some() && !had_way),
                        "{}: {} is accepted by {:?}, and has no way by {:?}", when, name, is, plan.routed
                    );
                }
            }
            world.look(now);
        }
    }

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
