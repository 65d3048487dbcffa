# The store over its life: who lacks what, backups, restored ones, repairs, removals.
source "$(dirname "$0")/lib.sh" "$@"

# WHO WHAT: of the status of the first peer of tweets.
peer() { at "$1" status tweets --format json | grep '"what":"peer"' | head -n 1 | grep -o "\"$2\":[^,}]*" | cut -d: -f2- | tr -d '"'; }

at collector create tweets --as collector >/dev/null
tweets 1 200 >tweets.jsonl
at collector collect tweets --op add-tweet tweets.jsonl --batch 10 >/dev/null
at collector grant tweets "$(at laptop id)" --name ann >/dev/null
serve collector
at laptop clone "$url/tweets" >/dev/null
expect "after a clone" "idle 0 0" "$(peer laptop state) $(peer laptop they_lack) $(peer laptop we_lack)"

# Live, and seen from both sides
start laptop sync tweets --follow 2>/dev/null >/dev/null &
follower=$!
until_prints live peer laptop state
until_prints live peer collector state
start laptop watch tweets --format json >watch.jsonl &
watcher=$!
tweets 201 210 >>tweets.jsonl
at collector collect tweets --op add-tweet tweets.jsonl --batch 10 >/dev/null
commits=$(at collector ls --format csv | awk -F, '/^tweets/ { print $3 }')
until_prints 1 grep -c "\"commits\":$commits," watch.jsonl
kill -INT "$watcher"; code=0; wait "$watcher" || code=$?
expect "SIGINT ends watch with" 0 "$code"
start laptop watch tweets >watch.txt & watcher=$!
until_prints 1 grep -c "tweets, $url: live" watch.txt
kill "$watcher"; wait "$watcher" || true

# The server is gone: since when, and why
kill "$server"; wait "$server" || true
until_prints offline peer laptop state
since=$(peer laptop since)
grep -q 'refused\|lost\|closed' <<<"$(peer laptop why)" || fail "no reason: $(peer laptop why)"
kill "$follower"; wait "$follower" || true
expect_error 1 'Connection refused' at laptop sync tweets
expect "since when it is offline stays" "$since" "$(peer laptop since)"
echo '{"id":1}' | at laptop collect tweets --op add-tweet --key id - >/dev/null
expect "what the peer lacks" 1 "$(peer laptop they_lack)"
at laptop status tweets | grep -q "^tweets  $url  offline" || fail "no table of peers"
at empty id >/dev/null
serve empty
expect_error 1 'offers no CRDT' at laptop sync tweets "$url"
at laptop status tweets --format json | grep "\"peer\":\"$url\"" | grep -q '"state":"refused"' || fail "not refused"
kill "$server"; wait "$server" || true

# A backup while another process writes
serve collector
at laptop sync tweets "$url" >/dev/null
at laptop backup copy >out
grep -q 'copied to copy; it is a store' out || fail "$(cat out)"
expect_error 1 'copy is there already' at laptop backup copy
expect "the copy is one" "0" "$(at copy verify >/dev/null; echo $?)"
expect "with the identity" "$(at laptop id)" "$(at copy id)"

# The laptop goes on, breaks, and last week's copy takes its place
echo '{"id":2}' | at laptop collect tweets --op add-tweet --key id - >/dev/null
echo '{"id":3}' | at laptop collect tweets --op add-tweet --key id - >/dev/null
at laptop sync tweets >/dev/null
mv laptop lost
mv copy laptop
at laptop sync tweets >/dev/null
echo '{"id":4}' | at laptop collect tweets --op add-tweet --key id - >/dev/null
at laptop sync tweets >/dev/null
expect "nothing was written twice" 0 "$(at collector status tweets | grep -c equivocations || true)"
at laptop verify >/dev/null 2>err
expect "nor is it said" 0 "$(wc -c <err)"
# The old one comes back as well: two stores with one identity
echo '{"id":5}' | at lost collect tweets --op add-tweet --key id - >/dev/null
at lost sync tweets >/dev/null 2>&1
expect "both forks are there" 2 "$(at collector heads tweets --format csv | tail -n +2 | wc -l)"
at collector status tweets | grep -q 'equivocations  1: ' || fail "not reported"
at lost verify 2>&1 | grep -q '1 equivocation' || fail "verify does not report it"
at lost merge tweets >/dev/null
at lost sync tweets >/dev/null

# A damaged store is repaired from a peer
at laptop sync tweets >/dev/null
heads=$(at collector heads tweets --format csv)
cp -r laptop intact
dd if=/dev/urandom of="$(ls -S laptop/db/*.log laptop/db/*.ldb | head -n 1)" bs=1 seek=3000 count=20 conv=notrunc 2>/dev/null
expect_error 1 'damaged' at laptop verify
expect_error 1 'no peer was asked.*Name one' at laptop verify --repair ws://127.0.0.1:1
at laptop verify --repair >out 2>err || fail "$(cat out err)"
expect "it is whole" "0" "$(at laptop verify >/dev/null; echo $?)"
expect "and the same" "$heads" "$(at laptop heads tweets --format csv)"
[ -d laptop/db.damaged ] || fail "the damaged database is gone"
expect_error 1 'another process has the store .*open' at collector verify --repair

# Removing
at laptop create mine >/dev/null
tweets 1 5 | at laptop collect mine --op add-tweet --key id - >/dev/null
expect_error 1 'no peer has acknowledged' at laptop rm mine
at laptop rm mine --force >/dev/null
at laptop rm tweets >/dev/null
expect "nothing is here" "" "$(at laptop ls --format csv | tail -n +2)"
expect "and nothing is left" "0 records of removed replicas, 0 B" "$(at laptop gc --dry-run)"
at laptop clone "$url/tweets" >/dev/null
expect "it can come back" "$heads" "$(at laptop heads tweets --format csv)"
