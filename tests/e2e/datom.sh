# A datom database from the command line: written, asked in every way and view, exported and imported.
source "$(dirname "$0")/lib.sh"

"$trib" transact p.datom '[{:db/ident :name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}]' >/dev/null 2>&1
"$trib" transact p.datom '[{:db/id -1 :name "Ann" :age 30} {:name "Bob" :age 41 :friend [-1]}]' >/dev/null
"$trib" transact p.datom '[[:db/add [:name "Ann"] :age 31]]' >/dev/null
ages='[:find ?n ?a :where [?e :name ?n] [?e :age ?a]]'

expect 'now' $'?n,?a\nAnn,31\nBob,41' "$("$trib" query p.datom "$ages" --format csv | tr -d "\r")"
expect 'as of' $'?n,?a\nAnn,30\nBob,41' "$("$trib" query p.datom "$ages" --as-of 2 --format csv | tr -d "\r")"
expect 'since' '31' "$("$trib" query p.datom '[:find ?a . :where [_ :age ?a]]' --since 2)"
expect 'history' '3' "$("$trib" query p.datom '[:find (count ?a) . :where [_ :age ?a]]' --history)"
expect 'pull' '{:friend [{:name "Ann"}], :name "Bob"}' "$("$trib" pull p.datom '[:name {:friend [:name]}]' '[:name "Bob"]' --format edn)"
expect 'changes of an entity' '4' "$("$trib" history p.datom '[:name "Ann"]' --format csv | tail -n +2 | wc -l)"
expect 'datoms' '2' "$("$trib" datoms p.datom avet :age --format csv | tail -n +2 | wc -l)"
expect 'transactions' '3' "$("$trib" tx-range p.datom --format edn | grep -c ':t ')"
"$trib" schema p.datom | grep -q ':db.unique/identity' || fail schema
"$trib" stats p.datom | grep -q ':age' || fail stats
"$trib" entity p.datom '[:name "Ann"]' | grep -q ':age 31' || fail entity
"$trib" explain p.datom "$ages" | grep -q ':access' || fail explain
"$trib" query p.datom "$ages" --format chart --svg ages.svg >/dev/null 2>&1
grep -q '</svg>' ages.svg || fail svg
expect 'typed at the shell' '2' "$(echo '[:find (count ?e) . :where [?e :name]]' | "$trib" repl p.datom)"

"$trib" export p.datom p.edn >/dev/null
"$trib" import q.datom p.edn >/dev/null
"$trib" export q.datom q.edn >/dev/null
cmp p.edn q.edn || fail 'the history is another after export and import'
"$trib" verify q.datom >/dev/null || fail verify

# While somebody else has it open
"$trib" tx-range p.datom --follow >followed & follower=$!
until_prints 3 grep -c '^t ' followed
"$trib" transact p.datom '[{:name "Cid" :age 7}]' >/dev/null
until_prints 4 grep -c '^t ' followed
kill "$follower"; wait "$follower" || true

expect_error 1 'expected \]' "$trib" query p.datom '[:find ?n :where [?e :name ?n]'
expect_error 1 'db.error/unknown-attribute: line 1, column 18: .*did you mean :name' "$trib" query p.datom '[:find ?n :where [?e :nam ?n]]'
expect_error 1 'db.error/wrong-type' "$trib" transact p.datom '[{:name "Dee" :age "old"}]'
expect_error 1 'db.error/datoms-conflict' "$trib" transact p.datom '[[:db/add 5 :age 1] [:db/add 5 :age 2]]'
expect_error 1 'history' "$trib" pull p.datom '[*]' '[:name "Ann"]' --history
expect 'nothing of it is there' '3' "$("$trib" query p.datom '[:find (count ?e) . :where [?e :age]]')"
