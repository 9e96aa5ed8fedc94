//! The layercache tool: the crates over one directory, without a daemon. docs/cli.md has its arguments and JSON.

mod apply;
mod args;
mod base;
mod build;
mod cache;
mod cache_export;
mod cache_lookup;
mod checkout;
mod convert;
mod diff;
mod du;
mod failure;
mod forced;
mod fsck;
mod image;
mod image_output;
mod images;
mod kept_blob;
mod metadata_file;
mod output;
mod progress;
mod prune;
mod session;
mod spec;
mod step;
mod step_index;
mod upperdir_marks;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Step(step) => return step::guard(&step.command),
        Command::Build(arguments) => build::run(arguments),
        Command::Diff(arguments) => diff::run(arguments),
        Command::Apply(arguments) => apply::run(arguments),
        Command::Convert(arguments) => convert::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
        Command::Cache(command) => cache::run(command),
        Command::Image(command) => image::run(command),
        Command::Du(arguments) => du::run(arguments),
        Command::Prune(arguments) => prune::run(arguments),
        Command::Images(arguments) => images::run(arguments),
        Command::Fsck(arguments) => fsck::run(arguments),
    }
    .map(|()| ExitCode::SUCCESS)
}
