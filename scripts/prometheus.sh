#!/usr/bin/env bash
# Brings Prometheus, promtool and the node exporter to .tools/prometheus/usr/bin: links to those on
# the PATH, or Debian's packages, unpacked. Needs no root, installs nothing and starts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

minimum=2.42
folder=.tools/prometheus
bin=$folder/usr/bin

good() { # whether a program of this path is there and new enough
  local version
  version=$("$1" --version 2>&1 | sed -n 's/.*, version \([0-9.]*\).*/\1/p' | head -1) || return 1
  [[ -n $version && $(printf '%s\n' $minimum "$version" | sort -V | head -1) == "$minimum" ]]
}

give_up() { # without it the tests of the rules are left out, which CI may not
  echo "prometheus: $1; put prometheus and promtool, $minimum or newer (https://prometheus.io/download), on the PATH and run this again" >&2
  [[ -z ${CI:-} ]] || exit 1
  exit 0
}

good $bin/prometheus && good $bin/promtool && exit 0

if good prometheus && good promtool; then
  mkdir -p $bin
  for program in prometheus promtool prometheus-node-exporter node_exporter; do
    found=$(command -v $program) || continue
    ln -sf "$found" $bin/"${program/node_exporter/prometheus-node-exporter}"
  done
  exit 0
fi

command -v apt-get >/dev/null && command -v dpkg >/dev/null || give_up "not on the PATH, and this is not Debian"

new=$folder.new.$$
work=$(mktemp -d)
trap 'rm -rf "$work" $new' EXIT
lists="$work/lists"
mkdir -p "$work/debs" "$lists/partial" "$work/cache/archives/partial"
# Root's apt downloads as the user _apt, which has to be able to write here.
if ((EUID == 0)) && id _apt >/dev/null 2>&1; then
  chmod 755 "$work" && chown -R _apt "$work"/*
fi

packages=(prometheus prometheus-node-exporter)
download() { (cd "$work/debs" && apt-get -qq "$@" download "${packages[@]}"); }
# Lists of our own, where the machine's are missing or too old: those may be another user's.
own=(-o "Dir::State::Lists=$lists" -o "Dir::Cache=$work/cache")
echo "fetching Debian's ${packages[*]} into $folder"
download 2>/dev/null || { apt-get -qq "${own[@]}" update && download "${own[@]}"; } ||
  give_up "apt-get could not fetch Debian's packages"

for package in "$work"/debs/*.deb; do
  mkdir -p $new && dpkg -x "$package" $new
done
good $new/usr/bin/prometheus && good $new/usr/bin/promtool || give_up "Debian's packages are older than $minimum, or do not run here"
rm -rf $folder && mv $new $folder
