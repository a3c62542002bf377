#!/usr/bin/env bash
# Builds the verifier, if it was not built, and runs it in the present folder with the
# arguments of this script or, without any, those in VERIFY_ARGUMENTS, separated by spaces.
# VERIFY_BIN is a folder with verify and loadagent, if they were built elsewhere.
# VERIFY_REPORTS is the folder for the reports. The exit code is that of verify: 0
# passed, 1 requests were lost, 2 no verdict.
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
bin=${VERIFY_BIN:-$source/bin}
if [ -z "${VERIFY_BIN:-}" ] && { [ ! -x "$bin/verify" ] || [ ! -x "$bin/loadagent" ]; }; then
	make -C "$source" tools >&2
fi
arguments=("$@")
if [ ${#arguments[@]} -eq 0 ]; then
	read -r -a arguments <<<"${VERIFY_ARGUMENTS:-}"
fi
code=0
"$bin/verify" "${arguments[@]}" --reports "${VERIFY_REPORTS:-reports}" || code=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
	verdict=$([ "$code" = 0 ] && echo passed || { [ "$code" = 1 ] && echo failed || echo "no verdict"; })
	echo "verify: $verdict (code $code); see ${VERIFY_REPORTS:-reports}/report.html" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$code"
