#!/usr/bin/env bash
# run.sh [--jobs N] [SECONDS [TARGET]...]: feeds the targets with what grows out of their seeds, for that long together, N of
# them at a time. Seeds are in corpus/TARGET, what was grown stays in build-fuzz/corpus/TARGET. Input that breaks one is left
# as build-fuzz/TARGET-crash-*; to see it again: build-fuzz/tests/fuzz/TARGET FILE.
# run.sh --seeds BUILD: each target takes its seeds, and nothing else, in a build with sanitizers. "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/fuzz build=build-fuzz jobs=1 all=()
for source in "$here"/fuzz_*.c; do
    source=${source##*/}
    all+=("${source%.c}")
done

# The wire corpus is lines of clients.
seed() {
    local line
    case $1 in
    fuzz_line) cp tests/wire/*.jsonl "$2" ;;
    fuzz_stream) for line in tests/wire/y_*.jsonl; do { printf '\377A' && cat "$line"; } >"$2/${line##*/}"; done ;;
    esac
    [ ! -d "$here/corpus/$1" ] || cp "$here/corpus/$1"/* "$2"
}

if [ "${1:-}" = --seeds ]; then
    seeds=$(mktemp -d) passed=0 failed=0
    trap 'rm -rf "$seeds"' EXIT
    for target in "${all[@]}"; do
        mkdir "$seeds/$target"
        seed "$target" "$seeds/$target"
        : >"$seeds/$target/nothing"
        if "$2/tests/fuzz/$target" "$seeds/$target"/*; then
            passed=$((passed + 1))
        else
            echo "FAILED $target with its seeds"
            failed=$((failed + 1))
        fi
    done
    echo "$passed passed, $failed failed"
    exit $((failed > 0))
fi

if [ "${1:-}" = --jobs ]; then
    jobs=$2
    shift 2
fi
seconds=${1:-60}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")

if ! command -v clang >/dev/null; then
    echo "fuzz: there is no clang" >&2
    exit 1
fi
if [ ! -f $build/build.ninja ] && ! said=$(CC=clang meson setup $build -Dsanitize=true -Dfuzz=true -Db_lundef=false 2>&1); then
    echo "$said" >&2
    exit 1
fi
ninja -C $build --quiet daemon/supd "${targets[@]/#/tests/fuzz/}"

# The words of the protocol, which nobody guesses.
$build/daemon/supd --describe | grep -oE '"[A-Za-z0-9_.]+"' | sort -u >$build/words

# run TARGET: its result is a line, and whether it held.
run() {
    local target=$1 corpus=$build/corpus/$1 seeds=$build/seeds/$1 log=$build/$1.log
    mkdir -p "$corpus" "$seeds"
    seed "$target" "$seeds"
    if "$build/tests/fuzz/$target" "-max_total_time=$((seconds / ${#targets[@]} + 1))" -max_len=16384 -timeout=60 \
        -print_final_stats=1 "-dict=$build/words" "-artifact_prefix=$build/$target-" "$corpus" "$seeds" \
        >"$log" 2>&1; then
        echo "fuzz: $target: ok: $(grep -ao 'number_of_executed_units: .*' "$log" | tr -dc 0-9) inputs"
    else
        grep -avE '^#[0-9]+\s+(NEW|REDUCE|pulse|INITED|RELOAD)' "$log" | tail -n 60
        echo "fuzz: $target: broken: see $log"
        return 1
    fi
}

failed=0 running=0
for target in "${targets[@]}"; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    run "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit $failed
