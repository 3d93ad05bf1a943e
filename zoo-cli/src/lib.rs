//! Train, evaluate, label and share small GMNM networks.

pub mod cli;
pub mod commands;
pub mod data;
pub mod report;
