//! Sources before what links to them, in a graph that somebody else made.

/// What is wrong with a link or an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkFault {
    /// The link at this place leads nowhere.
    OutOfRange(usize),
    /// The link leads back to the record itself.
    Loop,
    /// The link leads to a record that is not usable.
    Dropped,
    /// Nothing is left of the input.
    Empty,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Usable,
    Dropped,
}

struct Frame {
    record: usize,
    input: usize,
    link: usize,
    /// For each input the places of links that are usable.
    kept: Vec<Vec<usize>>,
}

/// Visits every record after those that it links to, without recursion. Links in reverse that close a loop are faults of
/// the record in which they are met.
///
/// `inputs` gives a record's links, `target` where one leads, `None` if nowhere. `fault` is told of the input; it may
/// stop everything. `finish` is told which links of each input are usable, and says whether the record is.
pub(crate) fn settle<'a, L: 'a, E>(
    count: usize,
    inputs: impl Fn(usize) -> &'a [Vec<L>],
    target: impl Fn(&L) -> Option<usize>,
    mut fault: impl FnMut(usize, usize, LinkFault) -> Result<(), E>,
    mut finish: impl FnMut(usize, Vec<Vec<usize>>) -> Result<bool, E>,
) -> Result<(), E> {
    let mut states = vec![State::New; count];
    let mut stack: Vec<Frame> = Vec::new();
    let frame = |record| Frame { record, input: 0, link: 0, kept: vec![Vec::new(); inputs(record).len()] };
    for first in 0..count {
        if states[first] != State::New {
            continue;
        }
        states[first] = State::Open;
        stack.push(frame(first));
        while let Some(top) = stack.last_mut() {
            let Some(links) = inputs(top.record).get(top.input) else {
                let Frame { record, kept, .. } = stack.pop().expect("the loop found it");
                let mut usable = true;
                for (input, kept) in kept.iter().enumerate() {
                    if kept.is_empty() {
                        fault(record, input, LinkFault::Empty)?;
                        usable = false;
                    }
                }
                usable = usable && finish(record, kept)?;
                states[record] = if usable { State::Usable } else { State::Dropped };
                continue;
            };
            let Some(link) = links.get(top.link) else {
                top.input += 1;
                top.link = 0;
                continue;
            };
            let here = top.link;
            let source = target(link).filter(|source| *source < count);
            match source.map(|source| (source, states[source])) {
                Some((source, State::New)) => {
                    states[source] = State::Open;
                    stack.push(frame(source));
                    continue;
                }
                Some((_, State::Usable)) => top.kept[top.input].push(here),
                Some((_, State::Open)) => fault(top.record, top.input, LinkFault::Loop)?,
                Some((_, State::Dropped)) => fault(top.record, top.input, LinkFault::Dropped)?,
                None => fault(top.record, top.input, LinkFault::OutOfRange(here))?,
            }
            top.link += 1;
        }
    }
    Ok(())
}
