//! How a command of the lab ends.

/// How it ended, if not as it should.
pub enum Ending {
    /// Shapes were not the expected ones.
    Unexpected,
    /// It was interrupted.
    Interrupted,
    /// The command line asks for what there is not, or names a file that cannot be used.
    Usage(String),
    /// A file, or standard output, cannot be written.
    Output(String),
    /// An experiment could not go on, or has found what cannot be.
    Engine(String),
}
