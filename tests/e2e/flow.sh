# The main job: collect, replicate, realize, query; an offline laptop; a second writer, a fork and a merge.
source "$(dirname "$0")/lib.sh" "$@"

expect "an identity is stable" "$(at collector id)" "$(at collector id)"
address=$(at collector create tweets --as collector)
[[ $address =~ ^trib:1[0-9a-f]{64}$ ]] || fail "no address: $address"
expect_error 1 'exists|already' at collector create tweets
at collector grant tweets "$(at laptop id)" --name ann

tweets 1 700 >tweets.jsonl
expect "collected" "700 ops collected" "$(at collector collect tweets --op add-tweet tweets.jsonl)"
expect "collecting again goes on where it was" "0 ops collected" "$(at collector collect tweets --op add-tweet tweets.jsonl)"
tweets 701 800 >>tweets.jsonl
expect "and takes what was added" "100 ops collected" "$(at collector collect tweets --op add-tweet tweets.jsonl)"
by_key() { tweets 901 "$1" | at collector collect tweets --op add-tweet - --key id 2>/dev/null; }
expect "from stdin" "10 ops collected" "$(by_key 910)"
expect "by key, again only what is new" "5 ops collected, 10 known ones skipped" "$(by_key 915)"

serve collector
at laptop clone "$url/tweets" 2>/dev/null
before=$(ops_of laptop tweets)
report=$(at laptop sync tweets --format json)
for field in commits payload_bytes control_bytes round_trips seconds; do
  grep -q "\"$field\":" <<<"$report" || fail "no $field in $report"
done
expect "nothing new takes one round trip" 1 "$(grep -o '"round_trips":[0-9]*' <<<"$report" | cut -d: -f2)"

realize laptop tweets.datom
expect "every op realized" "$before" "$(ask tweets.datom "$applied" add-tweet)"
expect "distinct ids" "$before" "$(ask tweets.datom "$distinct_ids")"
expect "ids are exact" 4600000000000000007 "$(ask tweets.datom '[:find ?id . :where [?t :tweet/retweet-count 7] [?t :tweet/id ?id]]')"
expect "full text: words, case-folded" $((800 / 7 + 2)) "$(ask tweets.datom '[:find (count ?t) . :where [(fulltext $ :tweet/text "node") [[?t]]]]')"
expect "a missing or null field is no fact" "nil" "$(ask tweets.datom '[:find ?c . :where [_ :tweet/favourite-count ?c]]')"
expect "realizing again changes nothing" "$before" "$(realize laptop tweets.datom >/dev/null && ask tweets.datom "$applied" add-tweet)"

# Offline, both write; then a fork, a report, a merge.
kill "$server"; wait "$server" || true
tweets 1001 1010 >laptop.jsonl
at laptop collect tweets --op add-tweet laptop.jsonl
tweets 2001 2020 >>tweets.jsonl
at collector collect tweets --op add-tweet tweets.jsonl
serve collector
at laptop sync tweets "$url" 2>/dev/null
expect "a fork has two heads" 2 "$(at laptop heads tweets --format csv | tail -n +2 | wc -l)"
expect_error 4 '2 heads' realize laptop tweets.datom
code=0; at laptop conflicts tweets >conflicts || code=$?
expect "conflicts exits with" 4 "$code"
grep -q ann conflicts || fail "conflicts does not name the author ann"
grep -q collector conflicts || fail "conflicts does not name the author collector"
echo '[[add-tweet {"id" 1}' >corrections.edn
expect_error 1 'corrections.edn: line [0-9]+, column' at laptop merge tweets --with corrections.edn
echo '[[1 2]]' >corrections.edn
expect_error 1 'corrections.edn: expected \[op-name params\]' at laptop merge tweets --with corrections.edn
echo '[[add-tweet {"id" 1 "text" "corrected"}]]' >corrections.edn
at laptop merge tweets --with corrections.edn >/dev/null
before=$((before + 1))
at laptop sync tweets >/dev/null
expect "one head everywhere" "$(at laptop heads tweets --format edn)" "$(at collector heads tweets --format edn)"
realize laptop tweets.datom
expect "merged: every op once" $((before + 30)) "$(ask tweets.datom "$applied" add-tweet)"
realize collector other.datom
expect "the same at the other peer" "$(ask tweets.datom '[:find ?id ?text :where [?t :tweet/id ?id] [?t :tweet/text ?text]]' --format edn | cksum)" \
  "$(ask other.datom '[:find ?id ?text :where [?t :tweet/id ?id] [?t :tweet/text ?text]]' --format edn | cksum)"

# A merge that puts the other side first rewinds what was applied, and only that.
kill "$server"; wait "$server" || true
tweets 3001 3003 >>laptop.jsonl
at laptop collect tweets --op add-tweet laptop.jsonl
realize laptop tweets.datom
tweets 4001 4004 >>tweets.jsonl
at collector collect tweets --op add-tweet tweets.jsonl
serve collector
at laptop sync tweets "$url" 2>/dev/null
mine=$(at laptop heads tweets --format csv | awk -F, 'NR == 2 { print $1 }')
theirs=$(at laptop heads tweets --format csv | awk -F, 'NR == 3 { print $1 }')
at laptop merge tweets --order "$theirs,$mine" >/dev/null
realize laptop tweets.datom >realized
grep -q '1 commit undone' realized || fail "no rewind reported: $(cat realized)"
expect "after a rewind: the facts of every op once" $((before + 37)) "$(ask tweets.datom "$distinct_ids")"
expect "after a rewind: every op once" $((before + 37)) "$(ask tweets.datom "$applied" add-tweet)"

who_changed='[:find ?time ?author ?v ?added :in $ $h ?id
  :where [$h ?e :tweet/id ?id] [$h ?e :tweet/text ?v ?tx ?added] [?tx :tx/commit ?c] [?c :commit/time ?time]
         [?c :commit/author ?key] [(get-else $ ?c :commit/author-name ?key) ?author]]'
asked_who() { ask "$1" "$who_changed" 4600000000000003001 --view h=history --format csv | tr -d '\r' | tail -n +2 | cut -d, -f2-; }
expect "who changed what, without what was undone" "ann,tweet 3001 über nodes,true" "$(asked_who tweets.datom)"

# A fork has no grants of the original's, so its authors have no names there
at laptop fork tweets mine >/dev/null
at laptop realize mine --with "$examples/tweets.edn" --into "$work/mine.datom" >/dev/null
expect "who changed what in a fork" "$(at laptop id),tweet 3001 über nodes,true" "$(asked_who mine.datom)"

expect "verify finds no fault" 0 "$(at laptop verify >/dev/null; echo $?)"
expect "nor in the database, which has a rewind" 0 "$("$trib" verify "$work/tweets.datom" >/dev/null; echo $?)"
"$trib" export tweets.datom rewound.edn >/dev/null
"$trib" import copy.datom rewound.edn >/dev/null
cmp rewound.edn <("$trib" export copy.datom) || fail 'a rewind is another after export and import'
"$trib" verify copy.datom >/dev/null || fail 'the copy has faults'
expect "of what was undone, a copy tells no more" "$(ask tweets.datom '[:find (count ?tx) . :where [?tx :db/txInstant]]')" \
  "$(ask copy.datom '[:find (count ?tx) . :where [?tx :db/txInstant]]')"
undone=$(($(sed -n 's/.*:rewind-to \([0-9]*\).*/\1/p' rewound.edn | head -n 1) + 1))
expect_error 1 'was undone by the rewind' "$trib" query copy.datom "$distinct_ids" --as-of "$undone"
cmp <("$trib" tx-range tweets.datom) <("$trib" tx-range copy.datom) || fail 'a rewind has no mark in the copy'
expect "a rewind is marked in csv" "$((undone - 1))" "$("$trib" tx-range tweets.datom --format csv | tr -d '\r' | sed '1d; s/.*,//' | sort -u | grep .)"
sed '/:rewind-to/s/\[:db\/retract [^]]*\]//' rewound.edn >bad.edn
expect_error 1 'bad.edn: line [0-9]+: .*the rewind' "$trib" import bad.datom bad.edn
"$trib" import bad.datom rewound.edn >/dev/null
cmp rewound.edn <("$trib" export bad.datom) || fail 'another history after an import that was refused a rewind'
cp -r other.datom damaged.datom
for file in damaged.datom/*.ldb damaged.datom/*.log; do
  if [ -s "$file" ]; then printf 'damaged!' | dd of="$file" bs=1 seek=900 conv=notrunc 2>/dev/null; fi
done
expect_error 1 'damaged' "$trib" verify damaged.datom
at laptop log tweets --graph --ops >/dev/null
expect "tail sees every op" $((before + 37)) "$(at laptop tail tweets --ops --format json | wc -l)"
expect "tail after the last is empty" 0 "$(at laptop tail tweets --from latest --ops | wc -l)"
expect "csv" "(count ?id)" "$(ask tweets.datom '[:find (count ?id) :where [_ :tweet/id ?id]]' --format csv | head -n 1 | tr -d '\r')"
expect "arguments" "tweet 5 über nodes" "$(ask tweets.datom '[:find ?x . :in $ ?id :where [?t :tweet/id ?id] [?t :tweet/text ?x]]' 4600000000000000005)"
expect "a collection as an argument" 2 "$(ask tweets.datom '[:find (count ?t) . :in $ [?id ...] :where [?t :tweet/id ?id]]' '[4600000000000000005,4600000000000000006]')"
expect "a relation as an argument" "tweet 5 über nodes,five" "$(ask tweets.datom '[:find ?x ?n :in $ [[?id ?n]] :where [?t :tweet/id ?id] [?t :tweet/text ?x]]' '[[4600000000000000005 "five"]]' --format csv | tail -n 1 | tr -d '\r')"
expect "as of a past transaction" 10 "$(ask other.datom '[:find (count ?id) . :where [_ :tweet/id ?id]]' --as-of "$(ask other.datom '[:find (min ?tx) . :where [?t :tweet/retweet-count 10 ?tx]]' | awk '{ print $1 }')")"
