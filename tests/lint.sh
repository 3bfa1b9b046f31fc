#!/usr/bin/env bash
# lint.sh [BUILD]: what reading the code by machine finds. A tool that is not installed is skipped, visibly.
set -uo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
found=0

# check TITLE PROGRAM COMMAND...: runs the command where its program is there.
check() {
    local title=$1 program=$2
    shift 2
    if ! command -v "$program" >/dev/null; then
        echo "lint: $title: skipped: there is no $program"
    elif "$@"; then
        echo "lint: $title: ok"
    else
        echo "lint: $title: findings"
        found=1
    fi
}

mapfile -t sources < <(git ls-files '*.c')
mapfile -t headers < <(git ls-files '*.h')
mapfile -t scripts < <(git ls-files dev .ci/run '*.sh')

tidy() {
    printf '%s\n' "${sources[@]}" | grep -E '^(common|daemon|client)/' |
        xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$build" 2> >(grep -v 'warnings generated' >&2)
}

check floors python3 python3 -B tests/floors.py
check format clang-format clang-format --dry-run --Werror "${sources[@]}" "${headers[@]}"
check clang-tidy clang-tidy tidy
# cppcheck knows neither jansson's loops nor those of utlist: what they assign is no longer uninitialized.
check cppcheck cppcheck cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr --std=c11 -I. \
    --suppress=missingIncludeSystem \
    --suppress=unknownMacro --suppress=uninitvar -j "$(nproc)" common daemon client
check shellcheck shellcheck shellcheck -x -e SC2317 "${scripts[@]}"
exit $found
