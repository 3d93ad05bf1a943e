#!/usr/bin/env bash
# A profile override of a package's opt-level undoes `strip = "symbols"` for that package's binary.
#
# Software: cargo and rustc 1.95.0 (seen on x86_64 Linux).
# Input: a package without dependencies, `strip = "symbols"` in its release profile; once as it is, once with
# `[profile.release.package.NAME]` that sets `opt-level = 3` alone (the value that the profile has anyway).
# Behaviour: with the override cargo passes `strip=debuginfo` in the place of `strip=symbols`, without a warning, and the
# binary keeps its symbol table. Output seen:
#   without override: strip=symbols, 0 symbol tables
#   with override: strip=debuginfo, 1 symbol tables
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
echo 'fn main() {}' >src/main.rs
build() {
  printf '[package]\nname = "probe"\nversion = "0.1.0"\nedition = "2024"\n[profile.release]\nstrip = "symbols"\n%s' "$1" >Cargo.toml
  rm -rf target
  flag=$(cargo build --release --offline --verbose 2>&1 | grep -o 'strip=[a-z]*' | sort -u | paste -sd,)
  tables=$(readelf --sections --wide target/release/probe | grep -c ' \.symtab ' || true)
  echo "$flag, $tables symbol tables"
}
cargo --version
plain=$(build '')
override=$(build $'[profile.release.package.probe]\nopt-level = 3\n')
echo "without override: $plain"
echo "with override: $override"
[ "$plain" = "strip=symbols, 0 symbol tables" ] && [ "$override" = "strip=debuginfo, 1 symbol tables" ]
