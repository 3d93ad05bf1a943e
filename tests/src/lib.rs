//! Support for the end-to-end tests: where the binary is and how to run it in a directory of its own.

pub mod archive;
pub mod formats;
#[cfg(feature = "hub")]
pub mod hub_fixture;
#[cfg(feature = "hub")]
pub mod hub_server;
pub mod model;
pub mod peer;
pub mod picture;
pub mod series;
pub mod shardline;
pub mod zoo;
