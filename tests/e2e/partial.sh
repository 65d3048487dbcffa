# A clone of a part of a history: how it looks, how it goes on, whom it can talk to.
source "$(dirname "$0")/lib.sh" "$@"

at server create tweets --as server
for part in 0 1 2 3 4 5 6 7 8 9; do
  tweets $((part * 10 + 1)) $((part * 10 + 10)) >>tweets.jsonl
  at server collect tweets --op add-tweet tweets.jsonl >/dev/null
done
serve server
all=$(at server ls --format csv | awk -F, '$1 == "tweets" { print $3 }')

at laptop clone "$url/tweets" --depth 3 >cloned
expect "commits of a clone of three" "3 commits" "$(grep -o '^3 commits' cloned)"
expect "what ls says" "partial: 3 of $all commits" "$(at laptop ls --format csv | tr -d '\r' | tail -n 1 | cut -d, -f6)"
expect "what log says" 1 "$(at laptop log tweets | grep -c 'older commits')"
expect "the same head" "$(at server heads tweets --format csv | cut -d, -f1)" "$(at laptop heads tweets --format csv | cut -d, -f1)"
at laptop verify tweets >/dev/null
realize laptop partial.datom >/dev/null
expect "tweets of the last three commits" 30 "$(ask partial.datom "$distinct_ids")"

at late clone "$url/tweets" --since 2100-01-01 >/dev/null
expect "at least one commit" 1 "$(at late ls --format csv | awk -F, '$1 == "tweets" { print $3 }')"
expect_error 2 '--since' at other clone "$url/tweets" --depth 3 --since 2020
expect_error 1 'instant|2020' at other clone "$url/tweets" --since 2020-99

# Both go on.
at server grant tweets "$(at laptop id)" --name ann >/dev/null
at laptop sync tweets >/dev/null
tweets 101 110 >mine.jsonl
at laptop collect tweets --op add-tweet mine.jsonl
tweets 111 120 >>tweets.jsonl
at server collect tweets --op add-tweet tweets.jsonl
at laptop sync tweets >/dev/null 2>&1
at laptop merge tweets >/dev/null
at laptop sync tweets >/dev/null
expect "one head again" "$(at server heads tweets --format csv | cut -d, -f1)" "$(at laptop heads tweets --format csv | cut -d, -f1)"
expect "ops at the server" 120 "$(ops_of server tweets)"
at server verify tweets >/dev/null
at laptop verify tweets >/dev/null
server_pid=$server

# The partial one serves.
serve laptop
at phone clone "$url/tweets" >/dev/null
expect "a clone of a part" "$(at laptop ls --format csv | cut -d, -f3,6)" "$(at phone ls --format csv | cut -d, -f3,6)"
at phone verify tweets >/dev/null

history() { at "$1" ls --format csv | tr -d '\r' | awk -F, -v crdt="$2" '$1 == crdt { print $6 == "" ? "all" : $6 }'; } # PEER CRDT

# Deepened by a little, then to the whole: what was written offline meanwhile stays, readers see the deeper log.
serve server
tweets 121 130 >offline.jsonl
at laptop collect tweets --op add-tweet offline.jsonl >/dev/null
before=$(at laptop heads tweets --format csv | cut -d, -f1)
at laptop deepen tweets "$url" --depth 10 >deeper
at deep clone "$url/tweets" --depth 10 >/dev/null
expect "older commits" "partial: $(($(at deep ls --format csv | tail -n 1 | cut -d, -f3) + 1)) of $(($(at server ls --format csv | awk -F, '$1 == "tweets" { print $3 }') + 1)) commits" \
  "$(history laptop tweets)"
expect "what was written offline is the head" "$before" "$(at laptop heads tweets --format csv | cut -d, -f1)"
at laptop verify tweets >/dev/null
expect_error 1 'is here already' at laptop deepen tweets "$url" --depth 2
at laptop deepen tweets --format json >deeper
expect "nothing is below any more" all "$(history laptop tweets)"
expect_error 1 '"tweets" is whole' at laptop deepen tweets --all
expect "a stream that began at the cut is as if it had begun here" 130 "$(realize laptop partial.datom >/dev/null; ask partial.datom "$distinct_ids")"
realize laptop whole.datom >/dev/null
every='[:find ?id ?text :where [?t :tweet/id ?id] [?t :tweet/text ?text] :order-by ?id]'
expect "the same facts" "$(ask whole.datom "$every" | sha256sum)" "$(ask partial.datom "$every" | sha256sum)"
at laptop sync tweets >/dev/null
expect "and it is pushed" "$(at laptop heads tweets --format csv | cut -d, -f1)" "$(at server heads tweets --format csv | cut -d, -f1)"
at server verify tweets >/dev/null
at laptop verify tweets >/dev/null

# kill -9 at any moment of it: the replica is as it was, or deeper; and while it is served, followers go on.
tweets 1 1500 >many.jsonl
at server create many --as server
at server grant many "$(at laptop id)" --name ann >/dev/null
at server collect many --op add-tweet many.jsonl --batch 1 >/dev/null
at laptop clone "$url/many" --depth 500 >/dev/null
tweets 1501 1510 >more.jsonl
at laptop collect many --op add-tweet more.jsonl --batch 1 >/dev/null
heads=$(at laptop heads many --format csv)
kills=0
for wait in 01 02 03 04 05 06 08 10 13 17; do
  cp -r laptop "k$wait"
  start "k$wait" deepen many >/dev/null 2>kill.log &
  deepener=$!
  sleep "0.$wait"
  kill -9 "$deepener" 2>/dev/null && kills=$((kills + 1))
  wait "$deepener" 2>/dev/null || true
  at "k$wait" verify many >/dev/null || fail "a fault after kill -9"
  [ "$heads" = "$(at "k$wait" heads many --format csv)" ] || fail "other heads after kill -9"
  [ "$(history "k$wait" many)" = all ] || at "k$wait" deepen many >/dev/null
  at "k$wait" verify many >/dev/null || fail "a fault afterwards"
  [ "$(ops_of "k$wait" many)" = 1510 ] || fail "ops after kill -9: $(ops_of "k$wait" many)"
  rm -r "k$wait"
done
[ "$kills" -gt 0 ] || fail "nothing was killed"
echo "ok: a replica killed while it was deepened: $kills of 10 times"
at laptop deepen many >/dev/null
at laptop gc >/dev/null
at laptop verify many >/dev/null
at late clone "$url/many" --depth 5 >/dev/null
start late sync many "$url" --follow >late.log 2>&1 &
follower=$!
until_prints 1 grep -c '^live' late.log
at late deepen many --depth 200 >/dev/null
at laptop sync many >/dev/null
until_prints "$(at server heads many --format csv | cut -d, -f1)" eval "at late heads many --format csv | cut -d, -f1"
echo "ok: a follower goes on"
kill -INT "$follower"; wait "$follower" || fail "the follower failed: $(cat late.log)"

# Blobs that older commits name come with them, and a damaged store is repaired, above its cut or whole.
at server create files --as server
head -c 300000 /dev/urandom >old.bin
at server blob add files old.bin --op add-file >/dev/null
tweets 1 600 >few.jsonl
at server collect files --op add-tweet few.jsonl --batch 1 >/dev/null
at album clone "$url/files" --depth 400 >/dev/null
expect "blobs of the last commits" 0 "$(at album blob ls files --format csv | tail -n +2 | wc -l)"
damage() { dd if=/dev/urandom of="$(ls -S "$1"/db/*.log "$1"/db/*.ldb | head -n 1)" bs=1 seek=3000 count=20 conv=notrunc 2>/dev/null; }
damage album
expect_error 1 'damaged' at album verify
at album verify --repair >out 2>err || fail "$(cat out err)"
expect "repaired, and still partial" "partial: 400 of 602 commits 0" "$(history album files) $(at album verify >/dev/null; echo $?)"
rm -r album/db.damaged
at album deepen files >/dev/null
kill "$server_pid"
expect "the blob of an old one" "$(sha256sum <old.bin)" "$(at album blob cat files "$(at album blob ls files --format csv | tail -n 1 | cut -d, -f1)" | sha256sum)"
echo "ok: partial"
