# A client of its own, made from docs/protocol.md and docs/formats.md (tests/client, in JavaScript), clones and pushes.
source "$(dirname "$0")/lib.sh" "$@"
client=$examples/../tests/client/main.mjs
command -v node >/dev/null || { echo "skipped: there is no node"; exit 77; }

at peer create tweets --as peer
tweets 1 3000 >tweets.jsonl
at peer collect tweets --op add-tweet tweets.jsonl --batch 3 2>/dev/null
serve peer
at laptop clone "$url/tweets" >/dev/null 2>&1
start laptop sync tweets "$url" --follow >sync.log 2>&1 &

heads() { at "$1" heads tweets --format csv | awk -F, 'NR > 1 { print $1 }' | sort; }
field() { node -pe "JSON.parse(process.argv[1]).$1" "$2"; }

cloned=$(node "$client" clone "$url" tweets)
expect "ops cloned" 3000 "$(field ops "$cloned")"
expect "heads cloned" "$(heads peer)" "$(field 'heads.join("\n")' "$cloned")"

at peer grant tweets "$(node "$client" key bob)" --name bob >/dev/null
pushed=$(node "$client" push "$url" tweets bob note "written elsewhere")
expect "ops after a push" 3001 "$(field ops "$pushed")"
expect "the peer's heads after it" "$(field 'heads.join("\n")' "$pushed")" "$(heads peer)"
until_prints 3001 ops_of laptop tweets
expect "what was pushed, at a third peer" '    (note "written elsewhere")' "$(at laptop log tweets --ops -n 1 | tail -n 1)"
at laptop verify

expect_error 1 'may not write' node "$client" push "$url" tweets mallory note "not granted"
expect_error 1 'no CRDT' node "$client" clone "$url" nothing
