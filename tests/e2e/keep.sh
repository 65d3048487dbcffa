# What somebody has is never lost: where databases may be made, and what a rebuild may replace.
source "$(dirname "$0")/lib.sh" "$@"

person='[{:db/ident :person/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one}]'
contents() {
  if [ -e "$1/identity" ]; then at "$1" log tweets
  elif [ -e "$1/CURRENT" ]; then "$trib" export "$1"
  else (cd "$1" && find . -type f -exec cksum {} + | sort); fi
}
# DIR PATTERN COMMAND...: it is refused, and all in DIR is as it was.
keeps() {
  local before; before=$(contents "$1")
  expect_error 1 "$2" "${@:3}"
  expect "as it was" "$before" "$(contents "$1")" >/dev/null
  [ ! -e "$1.rebuild" ] || fail "$1.rebuild is left behind"
}

at me create tweets --as me >/dev/null
tweets 1 7 >tweets.jsonl
at me collect tweets --op add-tweet tweets.jsonl >/dev/null
into=(at me realize tweets --with "$examples/tweets.edn" --into)
"$trib" transact own.datom "$person" >/dev/null 2>&1
"$trib" transact own.datom '[{:person/name "Ann"}]' >/dev/null
"$trib" export own.datom own.edn >/dev/null

# A new database needs a directory of its own
mkdir photos empty
echo precious >photos/ann.jpg
keeps photos 'photos is no datom database.* such as ann.jpg; .*absent or empty' "$trib" transact photos "$person"
keeps photos 'no datom database' "$trib" import photos own.edn
keeps photos 'no datom database' "${into[@]}" photos
keeps photos 'no datom database' "${into[@]}" photos --rebuild
keeps me 'me is a store' "${into[@]}" me
keeps me 'me is a store' "${into[@]}" me --rebuild
keeps me 'no datom database' "$trib" transact me/db "$person"
keeps photos 'ann.jpg is no directory' "${into[@]}" photos/ann.jpg --rebuild
"$trib" import empty own.edn >/dev/null
expect "an empty directory will do" '"Ann"' "$("$trib" query empty '[:find ?n . :where [_ :person/name ?n]]' --format edn)"

# Facts of one's own: a stream would let no others in, and a rebuild would lose them
keeps own.datom 'has facts of its own' "${into[@]}" own.datom
keeps own.datom 'own.datom has facts that came from no stream, which --rebuild would lose' "${into[@]}" own.datom --rebuild
"$trib" transact own.datom '[{:person/name "Bob"}]' >/dev/null
expect "it still takes facts" 2 "$("$trib" query own.datom '[:find (count ?p) . :where [?p :person/name]]')"

# A rebuild is about one stream of one CRDT
"${into[@]}" two.datom >/dev/null
at me create others --as me >/dev/null
tweets 11 12 >others.jsonl
at me collect others --op add-tweet others.jsonl >/dev/null
keeps two.datom 'from another CRDT' at me realize others --with "$examples/tweets.edn" --into two.datom --rebuild
at me realize others --with "$examples/tweets.edn" --into two.datom --log others >/dev/null
keeps two.datom 'the stream "others" .*too, which --rebuild would lose' "${into[@]}" two.datom --rebuild
expect "both are there" 9 "$(ask two.datom "$distinct_ids")"

# What a rebuild replaces is what a link leads to; what another was killed in is of no use
mkdir elsewhere
"${into[@]}" elsewhere/t.datom >/dev/null
ln -s elsewhere/t.datom link.datom
cp -r elsewhere/t.datom elsewhere/t.datom.rebuild
"${into[@]}" link.datom --rebuild >/dev/null
[ -L link.datom ] || fail 'the link is gone'
expect "rebuilt behind the link" 7 "$(ask elsewhere/t.datom "$distinct_ids")"
[ ! -e elsewhere/t.datom.rebuild ] || fail 'an unfinished database is left behind'
cp -r own.datom elsewhere/t.datom.rebuild
expect_error 1 't.datom.rebuild has facts that came from no stream' "${into[@]}" link.datom --rebuild
expect "facts of one's own stay" 2 "$("$trib" query elsewhere/t.datom.rebuild '[:find (count ?p) . :where [?p :person/name]]')"
echo '{:schema [] :ops {}}' >nothing.edn
expect_error 1 'no entry' at me realize tweets --with nothing.edn --into two.rebuilt --rebuild
expect_error 1 'no entry' at me realize tweets --with nothing.edn --into first.datom
[ ! -e first.datom ] || fail 'a first realize that failed leaves a database'
[ ! -e two.rebuilt.rebuild ] || fail 'a rebuild that failed leaves a database'
