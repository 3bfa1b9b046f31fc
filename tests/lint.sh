#!/usr/bin/env bash
# lint.sh [BUILD]: what reading the code by machine finds. A tool that is not installed is skipped, visibly.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
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

mapfile -t files < <(find common daemon client tests -name '*.[ch]' | sort)
# Whatever says that a shell runs it, and what a shell completes words with.
mapfile -t scripts < <(
    {
        grep -rlIE --exclude-dir='build*' --exclude-dir=.git '^#!.*[ /](ba|da)?sh$' .
        find common daemon client systemd tests -name '*.bash'
    } | sort -u
)
# How the program is compiled where the build does not compile it.
plain=(-std=gnu17 -D_GNU_SOURCE -DHASH_NONFATAL_OOM=1 -I. "-I$build")

# What clang-format would change, as a diff.
format() {
    local file bad=0
    for file in "${files[@]}"; do
        clang-format "$file" | diff -u --label "$file" --label "$file, formatted" "$file" - || bad=$((bad + 1))
    done
    [ "$bad" -eq 0 ] || echo "$bad files to format: clang-format -i FILE"
    [ "$bad" -eq 0 ]
}

# One file a run: with several, clang-tidy 14 takes a va_list of the second for uninitialized.
tidy() {
    if [ ! -f "$build/compile_commands.json" ]; then
        echo "there is no $build/compile_commands.json: meson setup $build"
        return 1
    fi
    local bad=0
    tidied() {
        xargs -P "$(nproc)" -I{} clang-tidy --quiet "$@" 2> >(grep -vE '^[0-9]+ warnings? (generated|treated)' >&2) || bad=1
    }
    tidied -p "$build" {} < <(printf '%s\n' "${files[@]}" | grep '\.c$' | grep -v '^tests/fuzz/')
    tidied {} -- "${plain[@]}" < <(printf '%s\n' tests/fuzz/*.c)
    [ "$bad" -eq 0 ]
}

check floors python3 python3 -B tests/floors.py
check format clang-format format
check clang-tidy clang-tidy tidy
# Without --library=posix: it takes what the cleanup attribute closes for open, and what is a number for a pointer.
check cppcheck cppcheck cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 \
    -I. --library=tests/cppcheck.cfg --suppress=missingIncludeSystem -j "$(nproc)" common daemon client tests
check "gcc -fanalyzer" gcc python3 -B tests/analyze.py "$build"
check shellcheck shellcheck shellcheck -x -e SC2317 "${scripts[@]}"
exit $found
