#!/usr/bin/env bash
# run.sh [SECONDS [TARGET]...]: feeds the targets with what grows out of their seeds, for that long together. Input that
# breaks one is left as build-fuzz/TARGET-crash-*; to see it again: build-fuzz/tests/fuzz/TARGET FILE.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(fuzz_line fuzz_stream fuzz_spool)
build="build-fuzz"

if ! command -v clang >/dev/null; then
    echo "fuzz: there is no clang" >&2
    exit 1
fi
if [ ! -f $build/build.ninja ] && ! said=$(CC=clang meson setup $build -Dsanitize=true -Dfuzz=true -Db_lundef=false 2>&1); then
    echo "$said" >&2
    exit 1
fi
ninja -C $build --quiet "${targets[@]/#/tests/fuzz/}"

# The wire corpus is lines of clients; the others find their own way from a few bytes.
seed() {
    case $1 in
    fuzz_line) cp tests/wire/*.jsonl "$2" ;;
    fuzz_stream) for line in tests/wire/y_*.jsonl; do { printf '\377A' && cat "$line"; } >"$2/${line##*/}"; done ;;
    fuzz_spool)
        printf '\020\040\000\001AAAAAAAAAAAAAAAA' >"$2/flood"
        printf '\010\010\101\000AAAAAAAAAAAAAAAA' >"$2/held"
        ;;
    esac
}

failed=0
for target in "${targets[@]}"; do
    corpus=$build/corpus/$target seeds=$build/seeds/$target log=$build/$target.log
    mkdir -p "$corpus" "$seeds"
    seed "$target" "$seeds"
    if "$build/tests/fuzz/$target" -max_total_time=$((seconds / ${#targets[@]} + 1)) -max_len=16384 \
        -print_final_stats=1 "-artifact_prefix=$build/$target-" "$corpus" "$seeds" >"$log" 2>&1; then
        echo "fuzz: $target: ok: $(grep -o 'number_of_executed_units: .*' "$log" | tr -dc 0-9) inputs"
    else
        grep -vE '^#[0-9]+\s+(NEW|REDUCE|pulse|INITED|RELOAD)' "$log" | tail -n 60
        echo "fuzz: $target: broken: see $log"
        failed=1
    fi
done
exit $failed
