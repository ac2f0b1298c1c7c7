#!/usr/bin/env bash
# Retries, a gate that fails, the wave run again: on the sample, simulated and sped up, with a ledger of its own.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
file=$project/sample_data/findings.csv
home=${DEMO_HOME:-$project/.demo}

# Only a folder that a demo has made is made again.
if [ -e "$home" ] && [ ! -e "$home/.made-by-the-demo" ]; then
  echo "$home is not the demo's; set DEMO_HOME to a folder that does not exist." >&2
  exit 1
fi
rm -rf "$home"
mkdir -p "$home"
touch "$home/.made-by-the-demo"
# Away from any .env, and without settings of the environment that are for other ledgers.
cd "$home"
unset SLACK_WEBHOOK_URL STATE_FILE_PATH MIN_SUCCESS_RATE MAX_RETRIES MAX_PARALLEL_SESSIONS MOCK_FAULTS DEVIN_API_BASE_URL \
  DEVIN_API_VERSION FINDINGS_PATH FINDINGS_REPO_URL FINDINGS_SERVICE FINDINGS_ROOT FINDINGS_SERVICES FINDINGS_COLUMNS
export DAGSTER_HOME=$home REMEDIATION_DATA_DIR=$home/data
export MOCK_MODE=true MOCK_SEED=1003 MOCK_TIME_SCALE="${MOCK_TIME_SCALE:-30}"
export POLL_INTERVAL_SECONDS=0.5 BLOCKED_CONFIRM_SECONDS=1 PUBLISH_INTERVAL_SECONDS=0.5 WAVE_SIZE=5

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "Twenty findings are planned in four waves. Nothing is started yet."
remediate plan "$file"

say "The waves run one after the other. What fails is tried again; a wave that fails its gate stops all that follow."
remediate run "$file" || [ $? -eq 3 ]
failed=$(remediate query "SELECT wave FROM gate_results WHERE NOT passed ORDER BY wave LIMIT 1" | tail -n +2)

say "What went wrong in $failed?"
remediate query "SELECT finding_id, attempt, outcome, error_message FROM session_results WHERE wave = '$failed' AND NOT is_fixed"

say "$failed is run again: what succeeded is left alone, and the gate is evaluated again."
remediate run "$file" --wave "$failed"

say "And on with the waves that had to wait."
remediate run "$file"
remediate status

say "To look at it: DAGSTER_HOME=$DAGSTER_HOME make dashboard, then http://127.0.0.1:3001;"
echo "               DAGSTER_HOME=$DAGSTER_HOME make dev, then http://127.0.0.1:3000;"
echo "               duckdb -readonly $DAGSTER_HOME/data/remediation.duckdb"
