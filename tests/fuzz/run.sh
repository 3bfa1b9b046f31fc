#!/usr/bin/env bash
# run.sh [SECONDS]: feeds the parser with what grows out of the wire corpus. What breaks it stays in build-fuzz/.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
build=build-fuzz
[ -f $build/build.ninja ] || CC=clang meson setup $build -Dsanitize=true -Dfuzz=true -Db_lundef=false >/dev/null
ninja -C $build --quiet tests/fuzz/fuzz_line
mkdir -p $build/corpus $build/seeds
cp tests/wire/*.jsonl $build/seeds/
$build/tests/fuzz/fuzz_line -max_total_time="$seconds" -max_len=65536 -print_final_stats=1 \
    -artifact_prefix=$build/ $build/corpus $build/seeds 2>&1 | tail -n 12
