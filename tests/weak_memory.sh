#!/usr/bin/env bash
# Looks for orderings of memory that are too weak, and for data races: miri, which lets a thread read old values wherever the
# orderings allow that, and ThreadSanitizer, which watches the compiled program on real threads. Both need nightly Rust.
#
# `COEDIT_MIRI_SEEDS=64 tests/weak_memory.sh` runs miri with 64 seeds, `COEDIT_SEEDS=10` more rounds of the thread tests. A part
# whose tools cannot be had is passed over; the last lines say so.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc +nightly -vV 2>/dev/null | sed -n 's/^host: //p' || true)
ran=() passed_over=()

summary() {
    printf '\n== ran to the end: %s\n' "$([ ${#ran[@]} = 0 ] && echo nothing || printf '%s. ' "${ran[@]}")"
    [ ${#passed_over[@]} = 0 ] || printf '== PASSED OVER, not checked: %s\n' "${passed_over[@]}"
}
trap summary EXIT

# The components of the nightly toolchain are there, or can be had.
have() {
    [ -n "$host" ] || return 1
    for component in "$@"; do
        rustup component list --toolchain nightly --installed 2>/dev/null | grep "^$component" >/dev/null ||
            rustup component add "$component" --toolchain nightly || return 1
    done
}

# Without `cli`, whose crates the tests here do not need.
nightly() { cargo +nightly "$@" --locked --no-default-features --features async; }

under_miri() {
    # The clock's tests read the clocks of the system, and parking_lot keeps pointers in words.
    local flags="-Zmiri-disable-isolation -Zmiri-permissive-provenance"
    export CARGO_TARGET_DIR=target/miri MIRIFLAGS="$flags"
    nightly miri test --lib
    # Threads meet in other ways with each seed.
    MIRIFLAGS="$flags -Zmiri-many-seeds=0..${COEDIT_MIRI_SEEDS:-8}"
    nightly miri test --lib thread
    nightly miri test --test weak_memory
}

# Every test file that starts threads and runs without the model checker.
files_with_threads() {
    local files
    files=$(grep -lE 'thread::(spawn|scope)|scope\.spawn' tests/*.rs)
    # shellcheck disable=SC2086 # one argument a file
    grep -LE '^#!\[cfg\(.*shuttle' $files
}

under_thread_sanitizer() {
    local tests
    tests=$(files_with_threads | sed 's|tests/\(.*\)\.rs|--test \1|')
    export CARGO_TARGET_DIR=target/tsan RUSTFLAGS="-Zsanitizer=thread"
    export COEDIT_SEEDS="${COEDIT_SEEDS:-1}" COEDIT_HISTORIES="${COEDIT_HISTORIES:-200}"
    # The standard library is built as well: what threads do in it has to be seen.
    # shellcheck disable=SC2086 # one argument a word
    nightly test -Zbuild-std --target "$host" $tests
}

# Each part in a shell of its own, whose failure ends this one.
if have miri rust-src; then
    (under_miri)
    ran+=("miri, ${COEDIT_MIRI_SEEDS:-8} seeds")
else
    passed_over+=("miri: there is no nightly toolchain with miri and rust-src")
fi
case $host in
    *-linux-gnu | *-apple-darwin)
        if have rust-src; then
            (under_thread_sanitizer)
            ran+=("ThreadSanitizer")
        else
            passed_over+=("ThreadSanitizer: there is no nightly toolchain with rust-src")
        fi
        ;;
    *) passed_over+=("ThreadSanitizer: not on ${host:-a machine without nightly Rust}") ;;
esac
