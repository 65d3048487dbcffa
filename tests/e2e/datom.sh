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
expect 'a range of values' '[31 41]' "$("$trib" datoms p.datom avet :age --from -5 --to 42 --format edn | awk '{print $3}' | tr '\n' ' ' | sed 's/ $/]/; s/^/[/')"
expect 'its end is not included' '1' "$("$trib" datoms p.datom avet :age --from 31 --to 41 --format csv | tail -n +2 | wc -l)"
expect 'an index from there on' '41' "$("$trib" datoms p.datom avet :age 32 --seek --limit 1 --format edn | awk '{print $3}')"
expect 'and back' '31' "$("$trib" datoms p.datom avet :age 32 --rseek --limit 1 --format edn | awk '{print $3}')"
expect_error 1 'values of one attribute' "$trib" datoms p.datom aevt :age --from 1
expect 'supposed' $'?n,?a\nAnn,31\nBob,42\nDee,7' "$("$trib" query p.datom "$ages" --with '[[:db/add [:name "Bob"] :age 42] {:name "Dee" :age 7}]' --format csv | tr -d "\r")"
expect 'and not done' $'?n,?a\nAnn,31\nBob,41' "$("$trib" query p.datom "$ages" --format csv | tr -d "\r")"
expect_error 1 'db.error/wrong-type' "$trib" query p.datom "$ages" --with '[{:name "Dee" :age "x"}]'
changed='[:find ?n ?was ?is :in $ $old :where [?e :name ?n] [?e :age ?is] [$old ?e :age ?was] [(not= ?was ?is)]]'
expect 'two states' $'?n,?was,?is\nAnn,30,31' "$("$trib" query p.datom "$changed" --view old=as-of:2 --format csv | tr -d "\r")"
expect 'a view of another database' $'?n,?was,?is\nAnn,30,31' "$("$trib" query p.datom "$changed" --db old=p.datom --view '$old=as-of:2,now' --format csv | tr -d "\r")"
expect_error 2 '--view is NAME=VIEW' "$trib" query p.datom "$changed" --view old
expect_error 2 'a view is as-of:T' "$trib" query p.datom "$changed" --view old=then
expect 'transactions' '3' "$("$trib" tx-range p.datom --format edn | grep -c ':t ')"
"$trib" schema p.datom | grep -q ':db.unique/identity' || fail schema
"$trib" stats p.datom | grep -q ':age' || fail stats
"$trib" schema p.datom --format edn >schema.edn
"$trib" transact declared.datom @schema.edn >/dev/null 2>&1
expect 'a schema declares itself elsewhere' "$(cat schema.edn)" "$("$trib" schema declared.datom --format edn)"
expect 'columns are plain names in JSON' '{"n":"Ann"}' "$("$trib" query p.datom '[:find ?n :keys n :where [?e :name ?n] [?e :age 31]]' --format json)"
"$trib" entity p.datom '[:name "Ann"]' | grep -q ':age 31' || fail entity
"$trib" explain p.datom "$ages" | grep -q 'expected' || fail explain
"$trib" explain p.datom "$ages" --format edn | grep -q ':access' || fail 'explain as EDN'
"$trib" query p.datom "$ages" --format chart --svg ages.svg >/dev/null 2>&1
grep -q '</svg>' ages.svg || fail svg
ranked='[:find ?c ?n :in [[?c ?n]]]'
charted() { "$trib" query p.datom "$ranked" "$1" --format chart "${@:2}" | awk '{printf "%s ", $2}'; }
expect 'bars of numbers of every type come by size' '1E+3 200 100 9.5 7.25 1 0 -2 -3 -40 ' \
  "$(charted '[["a" 1] ["b" 9.5] ["c" -3] ["d" 100] ["e" 7.25M] ["f" 200N] ["g" -2N] ["h" 0] ["i" 1E+3M] ["j" -40]]')"
expect 'a limit keeps the largest' '100 7 ' "$(charted '[["a" 1] ["b" 7] ["c" -3] ["d" 100]]' --limit 2)"
"$trib" query p.datom "$ranked" '[["small" 3] ["large" 100]]' --svg ranked.svg 2>/dev/null
expect 'in a picture, too' 'large small ' "$(grep -o 'large\|small' ranked.svg | tr '\n' ' ')"
"$trib" query p.datom '[:find ?when ?c ?n :in [[?when ?c ?n]]]' \
  "[$(for i in $(seq 20); do echo "[#inst \"2024-01-0$((i % 9 + 1))\" \"a series with a name $i\" $i]"; done)]" --svg lines.svg 2>/dev/null
height=$(sed -n 's/.*svg.* height="\([0-9]*\)".*/\1/p' lines.svg)
[ "$(grep 'a series' lines.svg | grep -o '<text x="[0-9]*' | grep -o '[0-9]*$' | sort -n | tail -n 1)" -lt 640 ] || fail 'the legend leaves the picture'
[ "$(grep -o ' y="[0-9]*' lines.svg | grep -o '[0-9]*$' | sort -n | tail -n 1)" -lt "$height" ] || fail 'the legend leaves the picture below'
expect 'lines look different' 20 "$(grep -o '<polyline.*' lines.svg | sed 's/.*stroke=/stroke=/' | sort -u | wc -l)"
expect 'typed at the shell' '2' "$(echo '[:find (count ?e) . :where [?e :name]]' | "$trib" repl p.datom)"

expect 'the last rows of a chart are cut, too' 'Bob 41' "$("$trib" query p.datom "$ages" --format chart --limit 1 | awk '{print $1, $2}')"
expect 'of a collection, too' '["Ann"]' "$("$trib" query p.datom '[:find [?n ...] :where [_ :name ?n]]' --format json --limit 1)"
echo '[[(aged ?e ?n) [?e :age ?n]]]' >rules.edn
by_rule='[:find (count ?e) . :in $ % :where (aged ?e _)]'
expect 'rules in a file' '2' "$("$trib" query p.datom "$by_rule" @rules.edn)"
expect 'at the shell, too' '2' "$(echo "$by_rule @rules.edn" | "$trib" repl p.datom)"
expect_error 1 'no command exit; :quit' "$trib" repl p.datom <<<exit
expect_error 1 'no datom database in nodir.datom' "$trib" repl nodir.datom </dev/null
expect_error 1 'no datom database in nodir.datom, and no store in store' "$trib" --store store verify nodir.datom
for wrong in "query p.datom [:find(max?a).:where[_:age?a]] --offset 2" "entity p.datom" "datoms p.datom" "pull p.datom [*]" "tx-range p.datom 3 --from at:4" \
  "schema p.datom --format 3" "schema p.datom --format xml" "grant c abc --name x"; do
  # shellcheck disable=SC2086  # words are meant
  expect_error 2 'no option --offset|expected|not both|give either|64 hexadecimal digits' "$trib" $wrong
done
expect 'less than nothing has a bar, too' 'Ann -31 ░' "$("$trib" query p.datom '[:find ?n ?m :where [?e :name ?n] [?e :age ?a] [(- ?a) ?m]]' --format chart --limit 1 | awk '{print $1, $2, substr($3, 1, 3)}' | LC_ALL=C sed 's/\(\xe2\x96\x91\).*/\1/')"
expect 'and nothing is told' 'no rows' "$("$trib" query p.datom '[:find ?n ?a :where [?e :name ?n] [?e :age ?a] [(> ?a 99)]]' --format chart)"
"$trib" query p.datom '[:find ?n ?a :where [?e :name ?n] [?e :age ?a] [(> ?a 99)]]' --svg empty.svg 2>err
grep -q 'no rows' err && [ ! -e empty.svg ] || fail 'nothing is drawn of nothing'
echo '[{:name "Late"}]' >late.edn
expect_error 1 'not the present, .*type :now first' "$trib" repl p.datom --as-of 2 <late.edn

"$trib" export p.datom p.edn >/dev/null
expect_error 1 'timeout' "$trib" query p.datom '[:find (count ?x) :in $ % :where (n ?x)]' '[[(n ?x) [(ground 0) ?x]] [(n ?x) (n ?y) [(inc ?y) ?x]]]' --timeout 0.1
"$trib" import q.datom p.edn >/dev/null
"$trib" export q.datom q.edn >/dev/null
expect 'two views of a second database' '30,31' "$("$trib" query p.datom '[:find ?was ?is :in $ $old $new :where [?p :name "Ann"] [$old ?p :age ?was] [$new ?p :age ?is]]' \
  --db old=q.datom --view old=as-of:2 --db new=./q.datom --format csv | tail -n 1 | tr -d "\r")"
cmp p.edn q.edn || fail 'the history is another after export and import'
"$trib" verify q.datom >/dev/null || fail verify

# What is refused makes no database
expect_error 1 'db.error/not-an-entity' "$trib" transact none.datom '[{:no/such 1}]'
echo '{:t garbage' >none.edn
expect_error 1 'none.edn: line 1, column [0-9]+: ' "$trib" import none.datom none.edn
expect_error 1 'trib transact none.datom @schema.edn' "$trib" import none.datom schema.edn
[ ! -e none.datom ] || fail 'a database is left behind'
# What is there instead of a database is said
expect_error 1 'schema.edn is no directory' "$trib" query schema.edn "$ages"
expect_error 1 'no datom database and has other files in it' "$trib" query . "$ages"
expect_error 1 'did you mean :name' "$trib" datoms p.datom aevt :nmae
expect_error 1 'did you mean :name' "$trib" history p.datom '[:nmae "Ann"]'
by_name='[:find ?a . :in $ ?n :where [?e :name ?n] [?e :age ?a]]'
"$trib" query p.datom "$by_name" Ann 2>err
grep -q "Ann is a symbol here; the text is written '\"Ann\"'" err || fail 'text without its quotes'

# What is gone is known by its key
"$trib" transact q.datom '[[:db/retractEntity [:name "Bob"]]]' >/dev/null
expect 'changes of what is gone' '6' "$("$trib" history q.datom '[:name "Bob"]' --format csv | tail -n +2 | wc -l)"
expect_error 1 'not-found: there is no entity' "$trib" history q.datom '[:name "Nobody"]'
expect 'nothing said of it since' '0' "$("$trib" history q.datom '[:name "Ann"]' --since 90 --format csv | tail -n +2 | wc -l)"

# Every type, names that change hands, past facts, and what transactions say of themselves
"$trib" transact all.datom '[{:db/ident :id :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :long :db/valueType :db.type/long :db/cardinality :db.cardinality/many}
  {:db/ident :big :db/valueType :db.type/bigint :db/cardinality :db.cardinality/one}
  {:db/ident :dec :db/valueType :db.type/bigdec :db/cardinality :db.cardinality/one}
  {:db/ident :double :db/valueType :db.type/double :db/cardinality :db.cardinality/one}
  {:db/ident :float :db/valueType :db.type/float :db/cardinality :db.cardinality/one}
  {:db/ident :flag :db/valueType :db.type/boolean :db/cardinality :db.cardinality/one}
  {:db/ident :when :db/valueType :db.type/instant :db/cardinality :db.cardinality/one}
  {:db/ident :key :db/valueType :db.type/keyword :db/cardinality :db.cardinality/one}
  {:db/ident :sym :db/valueType :db.type/symbol :db/cardinality :db.cardinality/one}
  {:db/ident :uuid :db/valueType :db.type/uuid :db/cardinality :db.cardinality/one}
  {:db/ident :uri :db/valueType :db.type/uri :db/cardinality :db.cardinality/one}
  {:db/ident :ref :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
  {:db/ident :text :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/fulltext true}
  {:db/ident :counter :db/valueType :db.type/long :db/cardinality :db.cardinality/one :db/noHistory true}
  {:db/ident :pair :db/valueType :db.type/tuple :db/tupleTypes [:db.type/long :db.type/string] :db/cardinality :db.cardinality/one}
  {:db/ident :keys :db/valueType :db.type/tuple :db/tupleType :db.type/keyword :db/cardinality :db.cardinality/many}
  {:db/ident :a :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
  {:db/ident :b :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :a+b :db/valueType :db.type/tuple :db/tupleAttrs [:a :b] :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}]' >/dev/null 2>&1
for tx in '[{:db/id "datomic.tx" :db/txInstant #inst "2150-01-01"}]' '[{:id "x" :uri "not a uri"}]'; do
  "$trib" transact all.datom "$tx" >/dev/null 2>&1 && fail "written: $tx"
done
for tx in '[{:id "x" :long [1 -5 9223372036854775807] :big 123456789012345678901234567890N :dec 1.50M :double 0.1 :float 1.5
     :flag true :when #inst "1969-01-01" :key :a/b :sym s/y :uuid #uuid "19c10d87-e5ec-4f3b-8f3c-000000000001" :uri "http://a.b/c"
     :ref ["y"] :text "some \"words\"\n日本語" :counter 1 :pair [1 nil] :keys [[:a :b] [:c :d :e]] :a "A" :b 1}
    {:db/id "y" :id "y" :a "A" :b 2} {:db/id "datomic.tx" :text "said of the transaction" :db/doc "why"}]' \
  '[{:id "x" :counter 2 :text "changed" :b 3} [:db/retract [:id "x"] :long 1]]' \
  '[{:id "x" :counter 3} [:db/retract [:id "x"] :a]]' '[]' \
  '[{:db/id :a+b :db/ident :both} {:db/id :a :db/ident :first} {:db/id :long :db/ident :number}]' \
  '[{:db/ident :a+b :db/valueType :db.type/string :db/cardinality :db.cardinality/one}]' \
  '[{:id "y" :a+b "the name of another before" :first "Q" :b 77}]' \
  '[[:db/retractEntity [:id "x"]]]' '[[:db/retract :both :db/unique :db.unique/identity]]'; do
  "$trib" transact all.datom "$tx" >/dev/null || fail "not written: $tx"
done
every='[:find ?when ?big ?dec ?dec ?uuid :where [?e :big ?big] [?e :dec ?dec] [?e :uuid ?uuid] [?e :when ?when]]'
expect 'cells are bare' '1969-01-01T00:00:00.000Z,123456789012345678901234567890,1.50,1.50,19c10d87-e5ec-4f3b-8f3c-000000000001' \
  "$("$trib" query all.datom "$every" --as-of 2 --format csv | tail -n 1 | tr -d "\r")"
expect 'JSON in the order of the columns' \
  '{"?when":"1969-01-01T00:00:00.000Z","?big":123456789012345678901234567890,"?dec":1.50,"?uuid":"19c10d87-e5ec-4f3b-8f3c-000000000001"}' \
  "$("$trib" query all.datom "$every" --as-of 2 --format json)"
"$trib" export all.datom all.edn >/dev/null
"$trib" import again.datom all.edn >/dev/null
"$trib" export again.datom again.edn >/dev/null
cmp all.edn again.edn || fail 'what has every type is another after export and import'

# An import that was cut short goes on, wherever it was
for lines in 1 4 6 8; do
  rm -rf part.datom
  { head -n "$lines" all.edn; echo '{:t nonsense'; tail -n "+$((lines + 2))" all.edn; } >bad.edn
  expect_error 1 "bad.edn: line $((lines + 1))[,:] .*" "$trib" import part.datom bad.edn
  grep -q 'import again to go on' err || fail 'it does not say how to go on'
  expect "goes on after $lines" "10 transactions imported, $lines of them earlier" "$("$trib" import part.datom all.edn)"
  cmp all.edn <("$trib" export part.datom) || fail "another history after line $lines"
done
"$trib" verify part.datom >/dev/null || fail verify
expect_error 1 'exists: part.datom has transactions that are not how p.edn begins' "$trib" import part.datom p.edn
awk 'BEGIN { for (i = 1; i <= 30000; i++) printf "{:instant #inst \"2020-01-01T00:00:00.000Z\", :t %d, :data []}\n", i }' >long.edn
"$trib" import long.datom long.edn >/dev/null 2>&1 & importing=$!
sleep 0.3; kill -9 "$importing" 2>/dev/null || true; wait "$importing" 2>/dev/null || true
"$trib" import long.datom long.edn | grep -q '^30,000 transactions imported' || fail 'it does not go on after a kill'
cmp long.edn <("$trib" export long.datom) || fail 'another history after a kill'

# At a terminal: completion, a line that is dropped, an error with its place, the end
rm -f typed
shows() { # TEXT TIMES: waits until the terminal has shown it so often
  until_prints yes sh -c "[ \"\$(grep -aoF -- '$1' typed | wc -l)\" -ge $2 ] && echo yes"
}
at_terminal() { # like a person: types when the shell asks
  shows 'trib> ' 1; printf '[:find ?n :where garbage'
  shows garbage 1; printf '\003'
  shows 'trib> ' 2; printf ':sch\t\n'
  shows ':db.unique/identity' 1; shows 'trib> ' 3; printf '[:find ?n :where [_ :nam ?n]]\n'
  shows 'did you mean' 1; printf '[:find (max ?a) .\n:where [_ :age ?a]]\n'
  shows $'\n41' 1; printf '\004'
}
at_terminal | XDG_STATE_HOME=$work TERM=xterm timeout 60 script -fqec "exec $trib repl p.datom" typed >/dev/null || fail "the shell ended badly: $(cat -v typed)"
for seen in ':db.unique/identity' 'did you mean :name' '^41'; do
  tr -d '\r' <typed | grep -q -- "$seen" || fail "not at the terminal: $seen: $(cat -v typed)"
done
grep -q 'max' tributary/repl_history || fail 'what was typed is not remembered'
echo 'ok: the shell at a terminal'

# While somebody else has it open
expect_error 1 'cursor after:100 is beyond the log, whose last t is 3' "$trib" tx-range p.datom --from after:100 --follow
expect_error 1 'beyond the log' "$trib" tx-range p.datom --from at:5
expect 'a cursor may be a transaction' 't 3' "$("$trib" tx-range p.datom --from "after:$(($("$trib" query p.datom '[:find (max ?tx) . :where [?tx :db/txInstant]]') - 1))" | cut -c1-3 | head -n 1)"
"$trib" tx-range p.datom --follow >followed & follower=$!
until_prints 3 grep -c '^t ' followed
"$trib" transact p.datom '[{:name "Cid" :age 7}]' >/dev/null
until_prints 4 grep -c '^t ' followed
"$trib" verify p.datom | grep -q '^p.datom: 4 transactions' || fail 'verify while it is open elsewhere'
kill "$follower"; wait "$follower" || true

expect_error 1 'expected \]' "$trib" query p.datom '[:find ?n :where [?e :name ?n]'
expect_error 1 'db.error/unknown-attribute: line 1, column 22: .*did you mean :name' "$trib" query p.datom '[:find ?n :where [?e :nam ?n]]'
expect_error 1 'db.error/wrong-type' "$trib" transact p.datom '[{:name "Dee" :age "old"}]'
expect_error 1 'db.error/datoms-conflict' "$trib" transact p.datom '[[:db/add 5 :age 1] [:db/add 5 :age 2]]'
expect_error 1 'history' "$trib" pull p.datom '[*]' '[:name "Ann"]' --history
expect 'nothing of it is there' '3' "$("$trib" query p.datom '[:find (count ?e) . :where [?e :age]]')"
