//! The proof that every check of a suite passes on a sound subject and fails on a faulty one.

use std::collections::BTreeSet;
use std::fmt::Write;

use cache_core::conformance::{Check, Fault, Unmet, block_on};

/// Proves `checks` by `faults`, which names a fault for each of them. `subject` makes a subject with a fault.
pub(crate) fn prove<S>(checks: &[Check<S>], faults: &[(&str, Fault)], subject: impl Fn(Fault) -> S) {
    let mut wrong = String::new();
    let names: BTreeSet<_> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), checks.len(), "two checks have the same name");
    for (name, _) in faults.iter().filter(|(name, _)| !names.contains(name)) {
        writeln!(wrong, "there is no check {name}").unwrap();
    }
    for check in checks {
        let name = check.name;
        match block_on((check.run)(subject(Fault::None))) {
            Ok(()) => {}
            Err(Unmet::Violated(violation)) => writeln!(wrong, "{name} fails without a fault: {violation:?}").unwrap(),
            // The check says nothing here; then a fault cannot show either.
            Err(Unmet::NotApplicable { needs }) => {
                println!("skipped: {name} needs {needs}");
                continue;
            }
        }
        let mine: Vec<_> = faults.iter().filter(|(of, _)| *of == name).collect();
        if mine.is_empty() {
            writeln!(wrong, "no fault is named for {name}").unwrap();
        }
        for (_, fault) in mine {
            match block_on((check.run)(subject(*fault))) {
                Err(Unmet::Violated(_)) => {}
                outcome => writeln!(wrong, "{name} overlooks {fault:?}: {outcome:?}").unwrap(),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
