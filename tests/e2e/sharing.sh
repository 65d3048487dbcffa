# A second process never meets a locked store; servers stop cleanly; health, metrics, logs.
source "$(dirname "$0")/lib.sh" "$@"

at peer create tweets --as peer
tweets 1 50 >tweets.jsonl
serve peer
port=${url##*:}
at peer collect tweets --op add-tweet tweets.jsonl
expect "log while serving" 1 "$(at peer log tweets -n 1 | wc -l)"
expect "ls of a peer" 1 "$(at peer ls "$url" --format csv | grep -c '^tweets,cdvcs')"

http() { exec 3<>"/dev/tcp/127.0.0.1/$port"; printf 'GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$1" >&3; cat <&3; exec 3<&- 3>&-; }
http /health | grep -q '200' || fail "no /health"
http /metrics | grep -q '^tributary_' || fail "no /metrics"
echo "ok: /health and /metrics on the same port"

start peer realize tweets --with "$examples/tweets.edn" --into "$work/tweets.datom" --follow >realize.log 2>&1 &
realizer=$!
until_prints 50 ask tweets.datom "$distinct_ids"
tweets 51 60 >>tweets.jsonl
at peer collect tweets --op add-tweet tweets.jsonl
until_prints 60 ask tweets.datom "$distinct_ids"
echo "ok: queries while realize --follow writes"
expect_error 1 'being written by' realize peer tweets.datom

kill -TERM "$realizer"; code=0; wait "$realizer" || code=$?
expect "SIGTERM ends realize --follow with" 0 "$code"

# The owner leaves; the collector that was its client goes on as the owner.
: >more.jsonl
start peer collect tweets --op add-tweet more.jsonl --follow --every 50ms >collect.log 2>&1 &
collector=$!
tweets 101 110 >>more.jsonl
until_prints 70 ops_of peer tweets
kill -TERM "$server"; code=0; wait "$server" || code=$?
expect "SIGTERM ends serve with" 0 "$code"
tweets 111 120 >>more.jsonl
until_prints 80 ops_of peer tweets
expect_error 1 'is being collected into tweets by another process' at peer collect tweets --op add-tweet more.jsonl
exec 5>>more.jsonl  # a writer that keeps the file open through its rotation
mv more.jsonl more.jsonl.1
tweets 121 123 >more.jsonl
tweets 124 125 >&5
exec 5>&-
until_prints 85 ops_of peer tweets
echo "ok: collect --follow survives its owner and a rotation"
serve peer "$port"
expect "serve while another process has the store" "$port" "${url##*:}"
expect "its peers see everything" 1 "$(at other clone "$url/tweets" 2>/dev/null | grep -c 'commits\? in')"
expect "ops at the other peer" 85 "$(ops_of other tweets)"
kill -INT "$collector" 2>/dev/null || true
kill -TERM "$collector"; wait "$collector" || true
kill -9 "$server"; wait "$server" 2>/dev/null || true
expect "after kill -9 the store opens" 85 "$(ops_of peer tweets)"

start peer --log-format json serve --listen 127.0.0.1:0 >/dev/null 2>json.log &
server=$!
expect_error 1 'refused|cannot' at other --log-format json sync tweets ws://127.0.0.1:1
grep -q '^{"time":' err || fail "no JSON log line: $(cat err)"
echo "ok: errors as JSON log lines"

# Several over one connection: what each costs, and what goes wrong with one keeps no other back.
serve peer
at peer create notes --as peer
at peer create secret --as peer --read listed
at many id >/dev/null
at peer grant secret "$(at many id)" --name many --right read >/dev/null
for crdt in tweets notes secret; do at many clone "$url/$crdt" >/dev/null 2>&1; done
at many create own
tweets 201 203 >three.jsonl
at peer collect notes --op add-note three.jsonl >/dev/null
at peer collect secret --op add-note three.jsonl >/dev/null
cost() { tr -d '\r' | awk -F, -v crdt="$1" 'NR > 1 && $1 == crdt { print $3 "," $7 }'; } # CRDT: commits in, round trips
at many sync tweets notes --format csv >rows
expect "notes, one of two" "1,1" "$(cost notes <rows)"
expect "tweets, the other" "0,1" "$(cost tweets <rows)"
expect "both" "1,1" "$(cost '' <rows)"
at many sync --all >all
expect "a line for each, and one for all" "notes secret tweets in all" "$(cut -d: -f1 all | sort | head -n 4 | grep -v all | tr '\n' ' ')$(tail -n 1 all | cut -d: -f1)"
at peer revoke secret many >/dev/null
tweets 204 204 | at peer collect notes --op add-note --key id - >/dev/null
expect_error 1 '^(own|secret): this peer offers no CRDT' at many sync own secret notes "$url"
expect "the third came" 1 "$(grep -c '^notes: 1 commit in' out)"
expect "both that did not are named" 2 "$(grep -Ec '^(own|secret): ' err)"
expect "as JSON, too" 1 "$(at many sync secret notes --format json 2>/dev/null | grep -c '"crdt":"secret".*"error":"')"
expect_error 2 'either --all or the names' at many sync tweets --all
expect_error 2 'Give their names' at many sync "$url"
start many sync notes secret "$url" --follow >many.log 2>&1 &
follower=$!
until_prints 1 grep -c '^live' many.log
expect "the refused one is named" 1 "$(grep -c 'secret: .*the others go on' many.log)"
tweets 205 205 | at peer collect notes --op add-note --key id - >/dev/null
until_prints 5 ops_of many notes
kill -INT "$follower"; code=0; wait "$follower" || code=$?
expect "a follower with one that failed ends with" 1 "$code"
