//! `tollgate`: one binary for everything. This file only hands over to the command that was typed.
//!
//! Read on in [`request`] for the way of a request, in [`config`] for the way of a manifest, and in [`wiring`] for how
//! the two are put together.

mod admin;
mod clock;
mod commands;
mod config;
mod gateway;
mod identity;
mod kubernetes;
mod listen;
mod member;
mod quota;
mod request;
mod settings;
mod simulate;
mod stop;
mod tasks;
mod telemetry;
mod upstream;
mod wiring;
mod workers;

use std::process::ExitCode;

use clap::Parser;

use settings::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(settings) => commands::run::run(&settings),
        Command::Validate(settings) => commands::validate::run(&settings),
        Command::Apply(settings) => commands::resources::apply(&settings),
        Command::Get(settings) => commands::resources::get(&settings),
        Command::Delete(settings) => commands::resources::delete(&settings),
        Command::Status(look) => commands::look::status(&look),
        Command::Top(settings) => commands::top::top(&settings),
        Command::Budget(command) => commands::look::budgets(&command),
        Command::Ledger(look) => commands::look::ledger(&look),
        Command::Node(command) => commands::look::nodes(&command),
        Command::Rotate(command) => commands::look::rotate(&command),
        Command::Snapshot(whom) => commands::look::snapshot(&whom),
        Command::Crds => commands::crds::run(),
        Command::SimulateProvider(options) => commands::simulate_provider::run(*options),
    }
}
