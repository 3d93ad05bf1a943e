//! What runs and the files beside them survive: kills, signals, a second process, damage on disk, and mistakes.

mod bounds;
#[cfg(target_os = "linux")]
mod crashes;
#[cfg(unix)]
mod damage;
mod foreign;
mod given;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod twice;
