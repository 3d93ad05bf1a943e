//! The command `zoo`.

fn main() {}
