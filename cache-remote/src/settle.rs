//! What is usable of a graph of records that somebody else made, sources first.

use std::collections::VecDeque;

/// The graph: by record, input and link the record that the link leads to; `None` if there is no such record.
pub(crate) type Targets = Vec<Vec<Vec<Option<usize>>>>;

/// A link's place: its record, its input, and where it comes among the input's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LinkPlace {
    pub(crate) record: usize,
    pub(crate) input: usize,
    pub(crate) link: usize,
}

/// What is wrong with a link or an input, causes before what they cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LinkFault {
    /// The link leads nowhere.
    OutOfRange,
    /// The link closes a loop.
    Loop,
    /// The input was given no link.
    Empty,
    /// The link leads to a record that is not usable.
    Dropped,
    /// The input is left with no link.
    Emptied,
}

/// The usable part of a graph.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Usable records, each after those that its links here lead to; for each input the links.
    pub(crate) steps: Vec<(usize, Vec<Vec<usize>>)>,
    /// Further links between usable records: all that close a loop, and perhaps some that do not.
    pub(crate) late: Vec<LinkPlace>,
    /// What is wrong with the rest, causes first. Faults of a whole input have link 0.
    pub(crate) faults: Vec<(LinkFault, LinkPlace)>,
}

/// Settles the graph in linear time, without recursion, in an order that depends on nothing but the graph.
///
/// A record is usable if it is valid and every input has a link to a record that became usable before. So no record is
/// lost to a loop that it does not need; only links are.
pub(crate) fn settle(targets: &Targets, is_valid: impl Fn(usize) -> bool) -> Settled {
    let dependants = dependants(targets);
    let ready = ready(targets, &dependants, is_valid);
    let mut settled = Settled::default();
    order(targets, &dependants, &ready, &mut settled);
    faults(targets, &ready, &mut settled);
    settled
}

/// Where links of `targets` lead to, with the place that each has.
fn links(targets: &Targets) -> impl Iterator<Item = (LinkPlace, Option<usize>)> + '_ {
    targets.iter().enumerate().flat_map(|(record, slots)| {
        slots.iter().enumerate().flat_map(move |(input, links)| {
            links.iter().enumerate().map(move |(link, source)| (LinkPlace { record, input, link }, *source))
        })
    })
}

/// By record the links that lead to it.
fn dependants(targets: &Targets) -> Vec<Vec<LinkPlace>> {
    let mut dependants = vec![Vec::new(); targets.len()];
    for (place, source) in links(targets) {
        if let Some(source) = source {
            dependants[source].push(place);
        }
    }
    dependants
}

/// The usable records in the order in which they become so, and each one's place in it.
struct Ready {
    records: Vec<usize>,
    places: Vec<Option<usize>>,
}

fn ready(targets: &Targets, dependants: &[Vec<LinkPlace>], is_valid: impl Fn(usize) -> bool) -> Ready {
    let mut open: Vec<usize> = targets.iter().map(Vec::len).collect();
    let mut met: Vec<Vec<bool>> = targets.iter().map(|slots| vec![false; slots.len()]).collect();
    let mut queue: VecDeque<usize> = (0..targets.len()).filter(|record| open[*record] == 0).collect();
    let mut ready = Ready { records: Vec::new(), places: vec![None; targets.len()] };
    while let Some(record) = queue.pop_front() {
        if !is_valid(record) {
            continue;
        }
        ready.places[record] = Some(ready.records.len());
        ready.records.push(record);
        for place in &dependants[record] {
            if !std::mem::replace(&mut met[place.record][place.input], true) {
                open[place.record] -= 1;
                if open[place.record] == 0 {
                    queue.push_back(place.record);
                }
            }
        }
    }
    ready
}

/// Puts the usable records into an order in which as many links as possible lead backwards: a record waits for all that
/// it links to, unless everything waits; then the one goes ahead that became usable first.
fn order(targets: &Targets, dependants: &[Vec<LinkPlace>], ready: &Ready, settled: &mut Settled) {
    let usable = |record: usize| ready.places[record].is_some();
    let mut waits: Vec<usize> = vec![0; targets.len()];
    for (place, source) in links(targets) {
        waits[place.record] += usize::from(source.is_some_and(usable));
    }
    let mut done = vec![false; targets.len()];
    let mut queue: VecDeque<usize> = ready.records.iter().copied().filter(|record| waits[*record] == 0).collect();
    let mut stuck = ready.records.iter().copied();
    loop {
        let next = match queue.pop_front() {
            Some(record) => Some(record),
            None => stuck.find(|record| !done[*record]),
        };
        let Some(record) = next else { return };
        if std::mem::replace(&mut done[record], true) {
            continue;
        }
        let mut kept = vec![Vec::new(); targets[record].len()];
        for (input, links) in targets[record].iter().enumerate() {
            for (link, source) in links.iter().enumerate() {
                match source.filter(|source| usable(*source)) {
                    Some(source) if done[source] && source != record => kept[input].push(link),
                    Some(_) => settled.late.push(LinkPlace { record, input, link }),
                    None => {}
                }
            }
        }
        settled.steps.push((record, kept));
        for place in dependants[record].iter().filter(|place| usable(place.record)) {
            waits[place.record] -= 1;
            if waits[place.record] == 0 {
                queue.push_back(place.record);
            }
        }
    }
}

fn faults(targets: &Targets, ready: &Ready, settled: &mut Settled) {
    let usable = |record: usize| ready.places[record].is_some();
    let back = back_links(targets, |record| !usable(record));
    for (place, source) in links(targets) {
        match source {
            None => settled.faults.push((LinkFault::OutOfRange, place)),
            Some(source) if usable(source) => {}
            Some(_) if back.contains(&place) => settled.faults.push((LinkFault::Loop, place)),
            Some(_) => settled.faults.push((LinkFault::Dropped, place)),
        }
    }
    for (record, slots) in targets.iter().enumerate() {
        for (input, links) in slots.iter().enumerate() {
            let place = LinkPlace { record, input, link: 0 };
            if links.is_empty() {
                settled.faults.push((LinkFault::Empty, place));
            } else if !links.iter().flatten().any(|source| usable(*source)) {
                settled.faults.push((LinkFault::Emptied, place));
            }
        }
    }
    settled.faults.sort_unstable();
}

/// The links that lead back to a record from which they were come to, among the records that `include` names.
fn back_links(targets: &Targets, include: impl Fn(usize) -> bool) -> std::collections::HashSet<LinkPlace> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; targets.len()];
    let mut found = std::collections::HashSet::new();
    for first in (0..targets.len()).filter(|record| include(*record)) {
        if states[first] != State::New {
            continue;
        }
        states[first] = State::Open;
        let mut stack = vec![LinkPlace { record: first, input: 0, link: 0 }];
        while let Some(place) = stack.last_mut() {
            let Some(links) = targets[place.record].get(place.input) else {
                states[place.record] = State::Done;
                stack.pop();
                continue;
            };
            let Some(source) = links.get(place.link) else {
                (place.input, place.link) = (place.input + 1, 0);
                continue;
            };
            let here = *place;
            place.link += 1;
            let Some(source) = source.filter(|source| include(*source)) else { continue };
            match states[source] {
                State::New => {
                    states[source] = State::Open;
                    stack.push(LinkPlace { record: source, input: 0, link: 0 });
                }
                State::Open => drop(found.insert(here)),
                State::Done => {}
            }
        }
    }
    found
}
