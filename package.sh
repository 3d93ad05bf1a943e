#!/usr/bin/env bash
# Makes a release archive of `zoo` for this kind of machine: the program, completions, manual pages and the licences of all
# that is in it. Arguments go to `cargo build`, as in `./package.sh --features cuda`.
set -euo pipefail
cd "$(dirname "$0")"

if [ -d .git ] || [ -f .git ]; then
  # `zoo --version` names the commit, which must say what was built.
  [ -z "$(git status --porcelain --untracked-files=no)" ] || { echo "package.sh: there are changes that are not committed; commit them first" >&2; exit 1; }
fi

cargo build --release --package zoo-cli "$@"
target=${CARGO_TARGET_DIR:-target}
zoo=$target/release/zoo
host=$(rustc -vV | sed -n 's/^host: //p')
name=zoo-$("$zoo" --version | sed -n '1s/^zoo //p')-$host
root=$target/package/$name
rm -rf "$root"
mkdir -p "$root/completions" "$root/licenses"

cp "$zoo" README.md "$root"
cp LICENSE-APACHE LICENSE-MIT "$root/licenses"
cp zoo-cli/sample/LICENSE "$root/licenses/LICENSE-FASHION-MNIST"
"$zoo" --quiet man --out "$root/man"
for shell in bash elvish fish powershell zsh; do
  "$zoo" completions "$shell" >"$root/completions/zoo.$shell"
done

# The crates that are linked in, each with its licence, then every text that they come with, once.
features=()
take=
for argument in "$@"; do
  case $take$argument in
    --no-default-features | --all-features | --features=* | take*) features+=("$argument"); take= ;;
    --features | -F) features+=("$argument"); take=take ;;
  esac
done
crates=$(cargo tree --locked --package zoo-cli --edges normal --prefix none --format '{p}|{l}|{r}' "${features[@]}" |
  grep -v -e '(proc-macro)' -e ' (/' -e '(\*)' | sort -u)
sources=$(cargo metadata --locked --format-version 1 --filter-platform "$host" | grep -o '"manifest_path":"[^"]*"' | sed 's/.*:"//; s/\/Cargo.toml"$//')
texts=$(mktemp -d)
trap 'rm -rf "$texts"' EXIT
{
  echo "The crates of others in this program, and the licences that they are under:"
  echo
  echo "$crates" | sed 's/^\([^ ]*\) v\([^|]*\)|\([^|]*\)|\(.*\)$/\1 \2: \3, \4/; s/, $//'
} >"$root/licenses/THIRD-PARTY.txt"
while IFS='|' read -r package _; do
  crate=${package/ v/-}
  source=$(awk -v end="/$crate" 'substr($0, length($0) - length(end) + 1) == end { print; exit }' <<<"$sources")
  while IFS= read -r file; do
    sum=$(cksum <"$file")
    sum=${sum// /-}
    [ -e "$texts/$sum" ] || cp "$file" "$texts/$sum"
    echo "$crate" >>"$texts/$sum.crates"
  done < <(find "$source" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' -o -iname 'copyright*' \))
done <<<"$crates"
for crates in "$texts"/*.crates; do
  {
    printf '\n%s\n' "--------------------------------------------------------------------------------"
    sort -u "$crates" | paste -s -d ' ' - | fold -s -w 120
    echo
    cat "${crates%.crates}"
  } >>"$root/licenses/THIRD-PARTY.txt"
done

archive=$target/package/$name.tar.gz
tar -C "$target/package" -czf "$archive" "$name"
echo "$archive"
