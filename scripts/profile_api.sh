#!/usr/bin/env bash
# A flamegraph of the service that runs on this machine, as in the optimization guide; it is loaded
# meanwhile, or add --no-load when a load test runs already. More options: windtunnel profile --help
#
#   scripts/profile_api.sh [SECONDS] [FILE.svg] [OPTION ...]
#   scripts/profile_api.sh 60 profile_optimized.svg --clients 50
set -euo pipefail

if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0"
  exit 0
fi
seconds=${1-60}
file=${2-profile.svg}
shift $(($# < 2 ? $# : 2))
url=http://127.0.0.1:${API_PORT:-9600}

exec "$(dirname "$0")/../.venv/bin/windtunnel" profile --url "$url" --duration "$seconds" \
  --output "$file" "$@"
