//! How a suite lists its checks, once, for its constant and for its macro.

/// `suite! { ($) /// docs … macro_name, module, Subject; part::check, … }` defines `CHECKS` and exports `macro_name`.
/// The dollar sign is a parameter because a macro that defines a macro cannot write one.
macro_rules! suite {
    (($d:tt) $(#[$doc:meta])* $name:ident, $suite:ident, $subject:ident; $($part:ident :: $check:ident,)*) => {
        /// Every check of the suite.
        pub const CHECKS: &[$crate::conformance::Check<$subject>] = &[
            $($crate::conformance::Check {
                name: stringify!($check),
                run: |subject| Box::pin($part::$check(subject)),
            },)*
        ];

        $(#[$doc])*
        #[macro_export]
        macro_rules! $name {
            ($d factory:expr) => {
                $(
                    #[test]
                    #[allow(clippy::print_stderr)]
                    fn $check() -> ::std::result::Result<(), $d crate::conformance::Violation> {
                        // A bundle may lack the part that a suite is about.
                        let subject: ::std::option::Option<$d crate::conformance::$suite::$subject> =
                            ::std::convert::Into::into(($d factory)());
                        let ::std::option::Option::Some(subject) = subject else {
                            ::std::eprintln!("skipped: needs a subject");
                            return ::std::result::Result::Ok(());
                        };
                        let check = $d crate::conformance::$suite::$part::$check;
                        match $d crate::conformance::block_on(check(subject)) {
                            ::std::result::Result::Err($d crate::conformance::Unmet::Violated(violation)) => {
                                ::std::result::Result::Err(violation)
                            }
                            ::std::result::Result::Err($d crate::conformance::Unmet::NotApplicable { needs }) => {
                                ::std::eprintln!("skipped: needs {needs}");
                                ::std::result::Result::Ok(())
                            }
                            ::std::result::Result::Ok(()) => ::std::result::Result::Ok(()),
                        }
                    }
                )*
            };
        }
    };
}
