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
kill "$server_pid"
echo "ok: partial"
