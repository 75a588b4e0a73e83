#!/usr/bin/env bash
# What action.yml runs: judges $PATHS once, writes every report below $REPORTS, ends with the status of the verdict.
set -euo pipefail
runvet="${RUNVET:-$RUNNER_TEMP/runvet/bin/runvet}"

paths=()
while IFS= read -r line; do [ -z "$line" ] || paths+=("$line"); done <<<"$PATHS"
arguments=()
while IFS= read -r line; do [ -z "$line" ] || arguments+=("$line"); done <<<"$ARGUMENTS"
[ ${#paths[@]} -gt 0 ] || { echo "::error title=runvet::no paths are given"; exit 2; }

mkdir -p "$REPORTS"
status=0
"$runvet" check --format github --fail-on "$FAIL_ON" \
  --also "json=$REPORTS/runvet.json" --also "sarif=$REPORTS/runvet.sarif" --also "junit=$REPORTS/junit.xml" \
  --also "html=$REPORTS/report.html" --also "markdown=$REPORTS/report.md" \
  ${arguments[@]+"${arguments[@]}"} -- "${paths[@]}" || status=$?

{
  echo "status=$status"
  echo "sarif=$REPORTS/runvet.sarif"
  echo "reports=$REPORTS"
} >>"$GITHUB_OUTPUT"
exit "$status"
