//! The proof that every check of a suite can fail.

use std::collections::BTreeSet;
use std::fmt;

use crate::conformance::check::{Check, Unmet};
use crate::conformance::executor::block_on;
use crate::conformance::faulty::Fault;

/// What stands against a proof, one line each. `Debug` reads like `Display`, because a test that returns it prints the
/// former.
pub struct Unproven(Vec<String>);

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl fmt::Debug for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Unproven {}

/// Runs each of `checks` on a sound subject and on faulty ones: `faults` names the faults that each of them has to
/// find, one at least, and `subject` makes a subject with a fault. Gives the names of the checks that say nothing of the
/// sound subject, which are not proven by that.
///
/// # Errors
/// The checks that fail without a fault, overlook one of theirs, or have none.
pub fn prove<S>(
    checks: &[Check<S>],
    faults: &[(&str, Fault)],
    subject: impl Fn(Fault) -> S,
) -> Result<Vec<&'static str>, Unproven> {
    let mut lines = Vec::new();
    let mut passed_over = Vec::new();
    let names: BTreeSet<_> = checks.iter().map(|check| check.name).collect();
    if names.len() < checks.len() {
        lines.push("two checks have the same name".to_owned());
    }
    let strangers = faults.iter().filter(|(name, _)| !names.contains(name));
    lines.extend(strangers.map(|(name, _)| format!("there is no check {name}")));
    for check in checks {
        let name = check.name;
        match block_on((check.run)(subject(Fault::None))) {
            Ok(()) => {}
            Err(Unmet::Violated(violation)) => lines.push(format!("{name} fails without a fault: {violation:?}")),
            Err(Unmet::NotApplicable { needs }) => {
                tracing::info!(name, needs, "a check is not proven");
                passed_over.push(name);
                continue;
            }
        }
        let mine: Vec<_> = faults.iter().filter(|(of, _)| *of == name).collect();
        if mine.is_empty() {
            lines.push(format!("no fault is named for {name}"));
        }
        for (_, fault) in mine {
            match block_on((check.run)(subject(*fault))) {
                Err(Unmet::Violated(_)) => {}
                outcome => lines.push(format!("{name} overlooks {fault:?}: {outcome:?}")),
            }
        }
    }
    if lines.is_empty() { Ok(passed_over) } else { Err(Unproven(lines)) }
}
