//! The command `gristmill`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
