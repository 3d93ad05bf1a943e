//! Train, evaluate, label and share small GMNM networks.

pub mod bench;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod data;
pub mod device;
pub mod families;
pub mod field;
pub mod forecast;
pub mod generate;
pub mod hub;
pub mod infer;
pub mod output;
pub mod package;
pub mod plot;
pub mod report;
pub mod resolve;
pub mod train;
