# Shared by the end-to-end tests; sourced with the path of trib as the script's first argument.
set -euo pipefail
trib=$1
examples=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../examples" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/tributary-e2e-XXXXXX")
trap 'status=$?; kill -9 $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; exit $status' EXIT
cd "$work"
unset TRIB_STORE
export USER=tester

at() { "$trib" --store "$work/$1" "${@:2}"; }           # a command at one of the peers
start() { exec "$trib" --store "$work/$1" "${@:2}"; }   # for use with & : then $! is trib itself
fail() { echo "FAILED: $*" >&2; exit 1; }

expect() { # WHAT EXPECTED FOUND
  [ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
  echo "ok: $1: $3"
}

# CODE PATTERN COMMAND...: the command ends with the code and says something like the pattern on stderr.
expect_error() {
  local code=0
  "${@:3}" >out 2>err || code=$?
  [ "$code" = "$1" ] || fail "${*:3}: expected exit code $1, found $code: $(cat err)"
  grep -Eq -- "$2" err || fail "${*:3}: expected a message like '$2', found: $(cat err)"
  echo "ok: $(head -n 1 err)"
}

until_prints() { # EXPECTED COMMAND...
  local got=
  for _ in $(seq 600); do
    got=$("${@:2}" 2>/dev/null || true)
    [ "$got" = "$1" ] && return
    sleep 0.1
  done
  fail "still '$got' instead of '$1': ${*:2}"
}

# tweets FIRST LAST: JSON lines with ids beyond 2^53; every 7th has the word "node", in one of three spellings.
tweets() {
  awk -v first="$1" -v last="$2" 'BEGIN {
    split("node,Node.js,NODE!", words, ",")
    for (i = first; i <= last; i++)
      printf "{\"id\":4600000000000%06d,\"text\":\"tweet %d \\u00fcber %s\",\"timestamp_ms\":\"%d\",\"user\":{\"screen_name\":\"user%d\"},\"retweet_count\":%d,\"favorite_count\":null}\n",
        i, i, i % 7 == 0 ? words[i / 7 % 3 + 1] : "nodes", 1400000000000 + i, i % 10, i }'
}

ops_of() { at "$1" status --format csv | awk -F, -v crdt="$2" '$1 == crdt && $2 == "ops" { print $3 + 0 }' | tr -d '\r'; }
ask() { "$trib" query "$work/$1" "${@:2}"; }
realize() { at "$1" realize tweets --with "$examples/tweets.edn" --into "$work/$2" "${@:3}"; }

# serve PEER [PORT]: starts a server in the background; sets $server (its pid) and $url.
serve() {
  : >"$work/$1.url"
  start "$1" serve --listen "127.0.0.1:${2:-0}" >"$work/$1.url" 2>>"$work/$1.log" &
  server=$!
  until_prints 1 grep -c '^ws://' "$work/$1.url"
  url=$(cat "$work/$1.url")
}

applied='[:find (count ?tx) . :in $ ?op :where [?tx :commit/op ?op]]'
distinct_ids='[:find (count ?id) . :where [_ :tweet/id ?id]]'
