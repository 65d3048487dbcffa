# Who follows a datom database sees every transaction once, whoever has it open, comes and goes.
source "$(dirname "$0")/lib.sh" "$@"

t=0
say() { # transactions, each acknowledged
  for _ in $(seq "$1"); do "$trib" transact d '[{:n '"$((++t))"'}]' >/dev/null; done
}
follow() { exec "$trib" tx-range d --format edn --follow "$@"; } # with &: then $! is trib itself
order_of() { grep -o ' :t [0-9]*' "$1" | cut -d ' ' -f 3; }
has_once() { # FILE FIRST
  expect "what $1 has, each once, in order" "$(seq -s ' ' "$2" "$((t + 1))")" "$(order_of "$1" | xargs)"
}
sees_all() { # FILE: from t 1, the schema, on
  until_prints "$((t + 1))" grep -c . "$1"
  has_once "$1" 1
}

"$trib" transact d '[{:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]' >/dev/null 2>&1
follow >one & one=$!
until_prints 1 grep -c . one   # it has the directory, and writes for others
follow >two & two=$!
until_prints 1 grep -c . two
follow --from after:1 >later & later=$!
say 3
sees_all one; sees_all two
kill "$one"; code=0; wait "$one" || code=$?
expect 'a follower that is stopped ends with' 0 "$code"
say 3
sees_all two
kill -9 "$two"; wait "$two" || true   # perhaps the one that has the directory
say 3
until_prints "$t" grep -c . later
has_once later 2
kill "$later"; wait "$later" || true

# A stream wants a database for itself: who follows it makes room, and goes on
at me create tweets --as me >/dev/null
tweets 1 7 >tweets.jsonl
at me collect tweets --op add-tweet tweets.jsonl >/dev/null
realize me tweets.datom >/dev/null
"$trib" tx-range tweets.datom --format edn --follow >stream & follower=$!
until_prints "$("$trib" tx-range tweets.datom --format edn | wc -l)" grep -c . stream
tweets 8 9 >>tweets.jsonl
at me collect tweets --op add-tweet tweets.jsonl >/dev/null
realize me tweets.datom >/dev/null
start me realize tweets --with "$examples/tweets.edn" --into "$work/tweets.datom" --follow >realize.log 2>&1 & realizer=$!
tweets 10 12 >>tweets.jsonl
at me collect tweets --op add-tweet tweets.jsonl >/dev/null
until_prints 12 ask tweets.datom "$distinct_ids"
kill "$realizer"; wait "$realizer" || true
until_prints "$("$trib" tx-range tweets.datom --format edn | wc -l)" grep -c . stream
cmp stream <("$trib" tx-range tweets.datom --format edn) || fail 'it saw something else than the log'
echo 'ok: a realize stream beside a follower'
kill "$follower"; wait "$follower" || true

# From now on
follow --from latest >news & follower=$!
until_prints d/socket eval 'ls d/socket'
sleep 1   # nothing tells that it has begun
say 1
until_prints 1 grep -c . news
expect 'only what is new' "$((t + 1))" "$(order_of news)"
kill "$follower"; wait "$follower" || true

# Commands that come and go at the same time: none fails, each is done once
write() { local n; for n in $(seq 15); do "$trib" transact busy "[{:who \"$1\" :n $n}]" >/dev/null || fail "writer $1 was refused"; done; }
"$trib" transact busy '[{:db/ident :who :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
  {:db/ident :n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]' >/dev/null 2>&1
write a & writers=($!)
write b & writers+=($!)
for _ in $(seq 15); do "$trib" query busy '[:find (count ?e) . :where [?e :n]]' >/dev/null; done
for writer in "${writers[@]}"; do wait "$writer"; done
expect 'two writers beside a reader' 30 "$("$trib" query busy '[:find (count ?e) . :where [?e :n]]')"
