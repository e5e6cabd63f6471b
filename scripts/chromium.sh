#!/usr/bin/env bash
# Brings the browser with which the app's tests look at every page, where this user may install it;
# otherwise says what is missing, and fails where its tests have to run (CI).
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done

if command -v apt-get >/dev/null && ((EUID == 0)); then
  echo "installing chromium"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
else
  echo "missing: chromium; the tests of the app in a browser are left out: sudo apt-get install chromium"
  test -z "${CI:-}"
fi
