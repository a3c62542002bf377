#!/usr/bin/env bash
# Builds the verifier, if it was not built, and runs it in the present folder with the
# arguments in VERIFY_ARGUMENTS, separated by spaces, or else with those of this script.
# VERIFY_REPORTS is the folder for the reports. The exit code is that of verify: 0
# passed, 1 requests were lost, 2 no verdict.
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
if [ ! -x "$source/bin/verify" ] || [ ! -x "$source/bin/loadagent" ]; then
	make -C "$source" tools >&2
fi
arguments=("$@")
if [ ${#arguments[@]} -eq 0 ]; then
	read -r -a arguments <<<"${VERIFY_ARGUMENTS:-}"
fi
code=0
"$source/bin/verify" "${arguments[@]}" --reports "${VERIFY_REPORTS:-reports}" || code=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
	verdict=$([ "$code" = 0 ] && echo passed || { [ "$code" = 1 ] && echo failed || echo "no verdict"; })
	echo "verify: $verdict (code $code); see ${VERIFY_REPORTS:-reports}/report.html" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
