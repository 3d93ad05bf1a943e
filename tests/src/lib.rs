//! Support for the end-to-end tests: where the binary is and how to run it in a directory of its own.

#[cfg(feature = "hub")]
pub mod hub_server;
pub mod zoo;
