#!/usr/bin/env bash
# Retries, a gate that fails, the wave run again: on the sample, simulated and sped up, with a ledger of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

export DAGSTER_HOME="${DEMO_HOME:-$PWD/.demo}" MOCK_MODE=true MOCK_SEED=1003 MOCK_TIME_SCALE="${MOCK_TIME_SCALE:-30}"
export POLL_INTERVAL_SECONDS=0.5 BLOCKED_CONFIRM_SECONDS=1 PUBLISH_INTERVAL_SECONDS=0.5 WAVE_SIZE=5
file=sample_data/findings.csv

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

rm -rf "$DAGSTER_HOME"
say "Twenty findings are planned in four waves. Nothing is started yet."
remediate plan "$file"

say "The waves run one after the other. What fails is tried again; a wave that fails its gate stops all that follow."
remediate run "$file" || [ $? -eq 3 ]
failed=$(remediate query "SELECT wave FROM gate_results WHERE NOT passed ORDER BY wave LIMIT 1" | tail -n +2)

say "What went wrong in $failed?"
remediate query "SELECT finding_id, attempt, outcome, error_message FROM session_results WHERE wave = '$failed' AND NOT is_fixed"

say "$failed is run again: what succeeded is left alone, and the gate judges anew."
remediate run "$file" --wave "$failed"

say "And on with the waves that had to wait."
remediate run "$file"
remediate status

say "To look at it: DAGSTER_HOME=$DAGSTER_HOME make dashboard, then http://127.0.0.1:3001;"
echo "               DAGSTER_HOME=$DAGSTER_HOME make dev, then http://127.0.0.1:3000;"
echo "               duckdb -readonly $DAGSTER_HOME/data/remediation.duckdb"
