#!/usr/bin/env bash
# Runs the examples as a user would, and checks what they print: examples/run.sh DIRECTORY-OF-BINARIES
set -euo pipefail
bin=$1
work=$(mktemp -d)
collector=
end() {
    [ -z "$collector" ] || kill -9 "$collector" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

# expect TEXT FILE: TEXT is a whole line of FILE
expect() {
    grep -qxF -- "$1" "$2" || { cat "$2" >&2; fail "expected the line: $1"; }
}

# tweets FIRST LAST: tweets with 64-bit ids; every third is by ann, every fifth is about rivers
tweets() {
    seq "$1" "$2" | awk '{
        printf "{\"id\":59198383856330%04d,\"text\":\"%s %d\",\"user\":{\"screen_name\":\"%s\"}}\n",
            $1, $1 % 5 ? "Grüße" : "a river", $1, $1 % 3 ? "bob" : "ann"
    }'
}

mkfifo "$work/lines"
"$bin/example_collector" "$work/collector" tweets add-tweet 127.0.0.1:0 <"$work/lines" >"$work/address" &
collector=$!
exec 3>"$work/lines"
tweets 1 300 >&3
for _ in $(seq 100); do [ -s "$work/address" ] && break; sleep 0.1; done
url=$(head -n 1 "$work/address")
[ -n "$url" ] || fail "the collector has no address"

analysis() {
    "$bin/example_analysis" "$work/analysis" "$url" tweets "$work/tweets.datom" river >"$work/answers"
}

# The collector commits every hundred lines at once; the analysis may come before the third commit.
for _ in $(seq 50); do
    analysis
    grep -qxF "300 tweets" "$work/answers" && break
    sleep 0.1
done
expect "300 texts in memory" "$work/answers"
expect '["bob" 200]' "$work/answers"
expect '["ann" 100]' "$work/answers"
expect "60 with the word river" "$work/answers"

# More arrives, with a correction and a bad line among it, and the source ends: only what is new is fetched and realized.
tweets 301 350 >&3
echo '{"id":591983838563300001,"text":"corrected","user":{"screen_name":"bob"}}' >&3
echo 'no json' >&3
exec 3>&-
for _ in $(seq 50); do
    analysis
    grep -qxF "350 tweets" "$work/answers" && break
    sleep 0.1
done
expect "51 ops realized now" "$work/answers"
expect "70 with the word river" "$work/answers"

"$bin/example_audit" "$work/analysis" tweets "$work/tweets.datom" :tweet/id 591983838563300001 >"$work/audit"
for line in '^collector: .* commits, 351 ops, ' \
    '  collector  add-tweet  + :tweet/text "Grüße 1"$' \
    '  collector  add-tweet  - :tweet/text "Grüße 1"$' \
    '  collector  add-tweet  + :tweet/text "corrected"$'; do
    grep -q -e "$line" "$work/audit" || { cat "$work/audit" >&2; fail "expected a line like: $line"; }
done
expect '["collector" add-tweet 351]' "$work/audit"

"$bin/example_event_log" "$work/tweets.datom" :tweet/id 591983838563300001 >"$work/told"
for part in ':author "collector"' '[:tweet/text "Grüße 1" false]' '[:tweet/text "corrected" true]'; do
    grep -qF -- "$part" "$work/told" || { cat "$work/told" >&2; fail "expected in the event log: $part"; }
done

"$bin/example_event_log" >"$work/told"
diff "$(dirname "$0")/event_log.expected" "$work/told" || fail "the event log is not what it should be"
"$bin/example_cdc" "$work/follows.datom" >"$work/told"
diff "$(dirname "$0")/cdc.expected" "$work/told" || fail "the captured changes are not what they should be"

kill "$collector"
wait "$collector" || fail "the collector did not end cleanly"
collector=
echo "examples: collector, analysis, audit, event log and captured changes agree"
