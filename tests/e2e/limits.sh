# What peers may take of one that serves: who is denied, comes too often, sends garbage or too much is told so, and others are served on.
source "$(dirname "$0")/lib.sh" "$@"
client=$examples/../tests/client/main.mjs

at peer create tweets --as peer --write open
tweets 1 50 >tweets.jsonl
at peer collect tweets --op add-tweet tweets.jsonl

# A limit that there is not, and one that is no number
echo '{:conections 7}' >peer/limits.edn
expect_error 1 'limits.edn: there is no limit :conections; there are .*:connections' at peer status
echo '{:connections "many"}' >peer/limits.edn
expect_error 1 'limits.edn: :connections is an integer' at peer status
cat >peer/limits.edn <<'EOF'
{:connections-per-address 5
 :key-bytes-per-second 400000 :key-bytes-burst 100000 :unread-bytes 100000
 :ban-first-ms 60000}
EOF
serve peer
port=${url##*:}
metric() { # LINE
  { exec 3<>"/dev/tcp/127.0.0.1/$port"; printf 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n' >&3; timeout 5 cat <&3; exec 3<&- 3>&-; } |
    tr -d '\r' | awk -v line="$1" '$1 == line { print $2 }'
}
met() { metric "tributary_limit_met_total{limit=\"$1\"}"; }

at laptop clone "$url/tweets" >/dev/null 2>&1
start laptop sync tweets "$url" --follow >sync.log 2>&1 &
follower=$!
until_prints 1 grep -c '^live' sync.log
goes_on() { # WHAT LAST: what is written now reaches the laptop
  tweets 1 "$2" >tweets.jsonl
  at peer collect tweets --op add-tweet tweets.jsonl >/dev/null 2>&1
  until_prints "$2" ops_of laptop tweets
  echo "ok: others go on being served: $1"
}

# Lists of keys, read while it serves
at eve clone "$url/tweets" >/dev/null 2>&1
printf '# not welcome any more\n%s  # eve\n' "$(at eve id)" >peer/deny
denied() { at eve sync tweets "$url" 2>&1 >/dev/null | grep -c 'list of denied keys'; }
until_prints 1 denied
expect_error 1 "key $(at eve id) is not welcome here: it is in this peer's list of denied keys" at eve sync tweets "$url"
until_prints 1 grep -c "^refused" <(at eve status --format csv | grep -o 'refused')
[ "$(met keys)" -gt 0 ] || fail "nobody was counted as refused for its key"
goes_on "a denied key" 60
rm peer/deny
welcome() { at eve sync tweets "$url" >/dev/null 2>&1 && echo yes; }
until_prints yes welcome
at laptop id >peer/allow
not_allowed() { at eve sync tweets "$url" 2>&1 >/dev/null | grep -c 'list of allowed keys'; }
until_prints 1 not_allowed
goes_on "a key that is not on the list" 70
rm peer/allow
until_prints yes welcome

# One address that takes all the connections it may
for fd in 5 6 7 8; do eval "exec $fd<>/dev/tcp/127.0.0.1/$port"; done
expect_error 1 '503: this peer has all the connections it takes of 127.0.0.1' at eve sync tweets "$url"
goes_on "an address with too many connections" 80
for fd in 5 6 7 8; do eval "exec $fd<&- $fd>&-"; done
until_prints yes welcome
[ "$(met connections-per-address)" -gt 0 ] || fail "no connection was counted as one too many"

# Who sends more than its share is read from more slowly, and gets there
tweets 1001 9000 >many.jsonl
at eve collect tweets --op add-tweet many.jsonl --batch 2 >/dev/null 2>&1
at eve sync tweets "$url" >eve.log 2>&1 &
throttled() { at peer status --format csv | grep -c 'share of this peer.*throttled'; }
until_prints 1 throttled
echo "ok: trib status says so"
[ "$(metric tributary_throttled_connections)" -le 1 ] || fail "others are throttled, too"
wait $!
expect "all of it arrived" 8080 "$(ops_of peer tweets)"
[ "$(met key-share)" -gt 0 ] || fail "nobody was counted as throttled"
until_prints 8080 ops_of laptop tweets

# Garbage ends its connection, and its key is refused for a while
if command -v node >/dev/null; then
  expect_error 1 'the peer says: ' node "$client" garbage "$url" mallory
  expect_error 1 'the peer says: key .* has sent bad input; try again in (60|5[0-9]) s' node "$client" garbage "$url" mallory
  expect "counted" "1 1" "$(met bad-input) $(met banned-keys)"
  at peer collect tweets --op add-tweet tweets.jsonl >/dev/null
  expect "another key" 8080 "$(node -pe 'JSON.parse(process.argv[1]).ops' "$(node "$client" clone "$url" tweets)")"
fi

# Of what has not authenticated, connections that say nothing, half a request, and a flood of garbage
for i in $(seq 200); do
  { exec 3<>"/dev/tcp/127.0.0.1/$port"; printf 'GET / HTTP/1.1\r\nX: %04000d' "$i" >&3; exec 3<&- 3>&-; } 2>/dev/null || true
done
kill -0 "$follower" || fail "the follower is gone: $(cat sync.log)"
kill "$follower"; wait "$follower" || true
at laptop verify
