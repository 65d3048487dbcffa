# Bad input of users and files: a clear message, the right exit code, nothing lost.
source "$(dirname "$0")/lib.sh" "$@"

at me create tweets --as me

# JSON lines
{ tweets 1 3; echo '{"id":4,'; printf '{"id":"\xff"}\n'; tweets 6 8; printf '{"cut": '; } >bad.jsonl
expect_error 3 'bad.jsonl: line 4, at byte [0-9]+: .*JSON' at me collect tweets --op add-tweet bad.jsonl
expect "the stream went on" 6 "$(ops_of me tweets)"
expect "the rejects are kept" 2 "$(wc -l <me/rejects-tweets.jsonl)"
grep -q '"line":4' me/rejects-tweets.jsonl || fail "no position in the rejects"
printf '"end"}\n' >>bad.jsonl
expect "a line that was cut off is read when it is whole" "1 op collected" "$(at me collect tweets --op add-tweet bad.jsonl)"
expect_error 1 'No such file' at me collect tweets --op add-tweet nowhere.jsonl
expect_error 1 'no CRDT "nothing"' at me collect nothing --op add-tweet bad.jsonl

# A line that no commit could hold is refused like any other; the stream goes on
at me create long >/dev/null
{ tweets 9 9; printf '{"id":1,"text":"'; head -c 17000000 /dev/zero | tr '\0' x; echo '"}'; tweets 10 10; } >long.jsonl
expect_error 3 "long.jsonl: line 2, at byte [0-9]+: an op of more than a commit's 16 MiB" at me collect long --op add-long long.jsonl
expect_error 2 'no EDN symbol' at me collect long --op 'add tweet' long.jsonl

# Addresses and usage
for reading in ls status 'log tweets' 'heads tweets' 'tail tweets' verify 'conflicts tweets' 'collect tweets --op add-tweet bad.jsonl'; do
  # shellcheck disable=SC2086  # words are meant
  expect_error 1 'there is no store in .*/m3; trib create or trib clone makes one' at m3 $reading
done
[ ! -e m3 ] || fail "a slip made a store"
"$trib" transact own.datom '[]' >/dev/null 2>&1
expect_error 1 'own.datom is a datom database; a store needs a directory of its own' at own.datom create tweets
[ ! -e own.datom/identity ] || fail "a store in a database"
expect_error 1 'ws://' at me sync tweets localhost:9095
expect_error 1 'cannot connect to ws://127.0.0.1:1: Connection refused' at me sync tweets ws://127.0.0.1:1
expect_error 2 '64 hexadecimal digits' at me grant tweets abc --name ann
expect_error 2 'no command "frobnicate"' at me frobnicate
expect_error 2 'required' at me create
expect_error 2 '^\{.*"level":"error","message":".*required.*\}$' at me create --log-format json
expect_error 2 'HOST:PORT' at me serve --listen 9095
serve me
expect_error 1 'has no CRDT "nothing"; it offers: tweets' at you clone "$url/nothing"
expect_error 1 'an address of a newer tributary: trib:2' at you clone "$url/trib:2$(printf '0%.0s' {1..64})"

# A peer without a grant: its commits are refused with a reason, here and there nothing is lost
at stranger clone "$url/tweets" >/dev/null 2>&1
tweets 20 21 >stranger.jsonl
expect_error 1 'may not write "tweets". Ask an owner: trib grant tweets' at stranger collect tweets --op add-tweet stranger.jsonl
expect "the server has what it had" 7 "$(ops_of me tweets)"

# Dispatch maps
bad_map() { printf '%s' "$2" >map.edn; expect_error 1 "$1" at me realize tweets --with map.edn --into bad.datom; }
bad_map 'map.edn: line 1, column [0-9]+: expected' '{:schema [ :ops {}}'
bad_map '^.{1,200}$' "[$(seq 1000 | tr '\n' ' ')]"
bad_map 'expected :ops' '{:shema []}'
bad_map 'expected one of :path' '{:ops {add-tweet [{:a [:lnog [:path "x"]]}]}}'
bad_map 'there is no attribute :tweet/oops' '{:ops {add-tweet [{:tweet/oops [:path "id"]}]}}'
expect_error 1 'No such file' at me realize tweets --with nowhere.edn --into bad.datom
printf '{:schema [] :ops {}}' >map.edn
expect_error 1 'op 0 \(add-tweet\) of commit [0-9a-f]{12} by me failed: .*no entry' at me realize tweets --with map.edn --into unknown.datom

# A changed dispatch map
realize me tweets.datom >/dev/null
sed 's/:tweet\/text \[:path/:tweet\/text [:string [:path/; s/"text"\]/"text"]]/' "$examples/tweets.edn" >changed.edn
expect_error 1 'dispatch map.*--rebuild.*--from-here' at me realize tweets --with changed.edn --into tweets.datom
at me realize tweets --with changed.edn --into tweets.datom --rebuild >/dev/null
expect "rebuilt" 6 "$(ask tweets.datom "$distinct_ids")"
at me realize tweets --with "$examples/tweets.edn" --into tweets.datom --from-here >/dev/null

# Queries
expect_error 1 'line 1, column [0-9]+: expected' ask tweets.datom '[:find ?x :where [?x :tweet/id ?y]'
expect_error 1 ':tweet/txt.*did you mean :tweet/text' ask tweets.datom '[:find ?x :where [?x :tweet/txt ?y]]'
expect_error 1 'in \?z: no clause' ask tweets.datom '[:find ?z :where [?x :tweet/id ?y]]'
expect_error 1 'no function named frob' ask tweets.datom '[:find ?x :where [?x :tweet/id ?y] [(frob ?y)]]'
expect_error 1 'db.error/wrong-type: .*write it like "text"' ask tweets.datom '[:find ?x :where [?x :tweet/text 3]]'
echo '[[(said ?x) [?x :tweet/txt]]]' >rules.edn
expect_error 1 'the rules: line 1, column 17: .*did you mean :tweet/text' ask tweets.datom '[:find ?x :in $ % :where (said ?x)]' @rules.edn
expect_error 1 'the rules: line 1, column 6: .*expected a variable' ask tweets.datom '[:find ?x :in $ % :where (r ?x)]' '[[(r x) [x :tweet/id]]]'
expect_error 1 'the pattern: line 1, column 2: .*did you mean :tweet/id' "$trib" pull tweets.datom '[:tweet/idd]' 1
expect_error 2 'given as @rules.edn' ask tweets.datom '[:find ?x :in $ % :where (said ?x)]' rules.edn
expect_error 2 'given as @rules.edn' "$trib" transact new.datom rules.edn
[ ! -e new.datom ] || fail "a slip made a database"
expect "a query that takes no database" 4 "$(ask tweets.datom '[:find ?x . :in ?x :where [(even? ?x)]]' 4)"
expect_error 1 'no datom database' ask nowhere.datom '[:find ?x :where [?x :tweet/id]]'
expect_error 1 'at:N' at me tail tweets --from yesterday

# Damaged and newer stores: said, not crashed on. (A datom database of a newer format: tests/datom.)
kill "$server"; wait "$server" || true
cp -r me newer
# A whole record of LevelDB's log, checksum first, with a late number: "Mformat" is 2 (store/keys.hpp).
printf '\230\322\203\326\027\000\001\000\000\000\000\000\001\000\000\001\000\000\000\001\007Mformat\001\002' >"$(ls newer/db/*.log | tail -n 1)"
expect_error 1 'the store has format 2.*newer' at newer ls
cp -r me damaged_identity
echo 0123 >damaged_identity/identity
expect_error 1 'identity is damaged' at damaged_identity id
cp -r me damaged_database
echo nowhere >damaged_database/db/CURRENT
expect_error 1 'damaged' at damaged_database ls
at large create tweets >/dev/null
tweets 1 500 | at large collect tweets --op add-tweet - >/dev/null 2>&1
dd if=/dev/zero of="$(ls large/db/*.log | tail -n 1)" bs=1 seek=100 count=50 conv=notrunc 2>/dev/null
expect_error 1 'damaged' at large verify

# A full disk: an error, then everything that was acknowledged is there, and writing goes on once there is room
trap 'status=$?; kill -9 $(jobs -p) 2>/dev/null || true; umount "$work/disk" 2>/dev/null || true; rm -rf "$work"; exit $status' EXIT
if mkdir disk && mount -t tmpfs -o size=3m tmpfs disk 2>/dev/null; then
  at disk/store create tweets --as full >/dev/null
  tweets 1 20000 >many.jsonl
  expect_error 1 'the disk is full' at disk/store collect tweets --op add-tweet many.jsonl --batch 50
  expect_error 1 'disk is full' at disk/store log tweets
  mount -o remount,size=64m disk
  kept=$(ops_of disk/store tweets)
  [ "$kept" -gt 0 ] && [ $((kept % 50)) -eq 0 ] || fail "half a commit, or none: $kept ops"
  at disk/store collect tweets --op add-tweet many.jsonl >/dev/null
  expect "and collecting goes on where it was" 20000 "$(ops_of disk/store tweets)"
  expect "without a fault" 0 "$(at disk/store verify >/dev/null; echo $?)"
  umount disk
else
  echo "skipped: a full disk (no right to mount a tmpfs here)"
fi
