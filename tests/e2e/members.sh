# Who may do what: several owners, readers only, revocations that reach live connections, a new key for a store, deny lists.
source "$(dirname "$0")/lib.sh" "$@"

rows() { at "$1" members "$2" --format csv | tr -d '\r' | tail -n +2; }
rights() { rows "$1" tweets | cut -d, -f1,3 | tr '\n' ' ' | sed 's/ $//'; }

# A CRDT that only members read, with an owner beside its creator.
at owner create tweets --as olga --read listed --owner "$(at boss id)" >/dev/null
at owner grant tweets "$(at laptop id)" --name ann >/dev/null
at owner grant tweets "$(at laptop id)" --name ann >/dev/null
expect "granting again changes nothing" 2 "$(at owner log tweets --format csv | tail -n +2 | wc -l)"
at owner grant tweets "$(at reader id)" --name rita --right read >/dev/null
at owner grant tweets "$(at boss id)" --name bo --right owner >/dev/null
expect "members" "bo,owner olga,owner ann,write rita,read" "$(rights owner)"
expect_error 2 'KEY is the 64 hexadecimal digits' at owner grant tweets 12ab --name x
expect_error 1 'no member' at owner revoke tweets nobody

serve owner
expect "a stranger sees nothing" 0 "$(at stranger ls "$url" --format csv | tail -n +2 | wc -l)"
address=$(at owner ls --format csv | tr -d '\r' | tail -n 1 | cut -d, -f5)
at stranger id >/dev/null
expect_error 1 'offers no CRDT.*trib ls' at stranger clone "$url/$address"
for peer in laptop reader boss; do at "$peer" clone "$url/$address" 2>/dev/null >/dev/null; done
tweets 1 10 >tweets.jsonl
expect_error 1 'may not write.*ask an owner: trib grant tweets [0-9a-f]{64}|Ask an owner: trib grant tweets [0-9a-f]{64}' \
  at reader collect tweets --op add-tweet tweets.jsonl
expect_error 1 'only an owner of .tweets. grants.*olga' at laptop grant tweets "$(at stranger id)" --name sam
at laptop collect tweets --op add-tweet tweets.jsonl >/dev/null
at laptop sync tweets "$url" >/dev/null 2>&1
at reader sync tweets "$url" >/dev/null 2>&1
expect "a reader reads what a writer wrote" 10 "$(ops_of reader tweets)"

# A reader that is revoked while it is connected is told so, and gets nothing more.
start reader sync tweets "$url" --follow >reader.log 2>&1 &
follower=$!
until_prints 1 grep -c '^live' reader.log
at owner revoke tweets rita >/dev/null
code=0; wait "$follower" || code=$?
expect "the follower of a revoked reader ends" 1 "$code"
grep -q 'was revoked in .tweets. and may no longer read' reader.log || fail "no reason: $(cat reader.log)"
at laptop sync tweets >/dev/null 2>&1
expect_error 1 'offers no CRDT|no longer read' at reader sync tweets "$url"

# A writer goes; what it wrote before stays, what it writes meanwhile is refused once the two meet.
at owner revoke tweets ann >/dev/null
tweets 11 15 >>tweets.jsonl
at laptop collect tweets --op add-tweet tweets.jsonl >/dev/null
expect_error 1 'offers no CRDT|no longer read' at laptop sync tweets "$url"
expect "its past counts" 10 "$(ops_of owner tweets)"
expect_error 1 'a key stays revoked.*trib rotate' at owner grant tweets "$(at laptop id)" --name ann
expect_error 1 'already' at owner revoke tweets ann

# The laptop makes a new key; nobody knows it until an owner grants it.
old=$(at laptop id)
new=$(at laptop rotate 2>/dev/null)
expect "the new key is the store's" "$new" "$(at laptop id)"
[ "$old" != "$new" ] || fail "the key is the old one"
at owner grant tweets "$new" --name ann2 >/dev/null
at laptop sync tweets "$url" >/dev/null 2>&1 || true

# The other owner hands its key over, and then lets the first one go.
at boss sync tweets "$url" >/dev/null 2>&1
boss=$(at boss rotate 2>/dev/null)
expect "the new key has the rights of the old" "bo,owner,$boss" "$(rows boss tweets | awk -F, -v k="$boss" '$2 == k { print $1 "," $3 "," $2 }')"
at boss sync tweets "$url" >/dev/null 2>&1
expect "the others know" "$boss" "$(rows owner tweets | awk -F, '$1 == "bo" && $3 == "owner" { print $2 }')"
at boss revoke tweets olga >/dev/null
expect_error 1 'revoked in .tweets.' at boss sync tweets "$url"
expect_error 1 'left without an owner' at boss revoke tweets bo
for peer in owner boss laptop; do at "$peer" verify >/dev/null || fail "$peer does not verify"; done
kill "$server"; wait "$server" || true

# Anyone may write where write is open, but who is banned.
at owner create wall --write open --as olga >/dev/null
serve owner
at stranger clone "$url/wall" >/dev/null 2>&1
at stranger collect wall --op add-tweet tweets.jsonl >/dev/null
at stranger sync wall "$url" >/dev/null 2>&1
expect "a stranger writes" 15 "$(ops_of owner wall)"
at owner revoke wall "$(at stranger id)" >/dev/null
at stranger sync wall "$url" >/dev/null 2>&1
tweets 16 17 >>tweets.jsonl
expect_error 1 'was revoked' at stranger collect wall --op add-tweet tweets.jsonl
