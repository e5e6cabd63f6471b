#!/usr/bin/env bash
# Brings what compiling pillow-simd (and `go test -race`) needs, where this user may install it;
# otherwise says what is missing and goes on: what really needs it will say so again.
set -euo pipefail

# A compiler, and the headers of each image format: what has no header is silently not built in.
packages=(build-essential python3-dev python3-venv libjpeg-dev zlib1g-dev libwebp-dev)

command -v dpkg-query >/dev/null || exit 0
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ((EUID == 0)); then
  echo "installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "missing: ${missing[*]}; pillow-simd needs them: sudo apt-get install ${missing[*]}"
fi
