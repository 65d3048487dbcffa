# kill -9 of one role, or of any of them, again and again, while ops are collected, replicated and realized; then every count is exact.
# kill.sh TRIB collector|server|laptop|realizer|any [MINUTES]
source "$(dirname "$0")/lib.sh" "$@"
roles=(collector server laptop realizer)
role=$2
kills=${TRIBUTARY_KILLS:-20}
[ -z "${3:-}" ] || kills=1000000 until=$((SECONDS + $3 * 60))
: >tweets.jsonl

at collector create tweets --as collector >/dev/null
serve collector
port=${url##*:}
at laptop clone "$url/tweets" >/dev/null 2>&1

collect() { start collector collect tweets --op add-tweet "$work/tweets.jsonl" --follow --batch 10 --every 20ms >>collect.log 2>&1 & collector=$!; }
sync() { start laptop sync tweets "$url" --follow >>sync.log 2>&1 & laptop=$!; }
realizing() { start laptop realize tweets --with "$examples/tweets.edn" --into "$work/tweets.datom" --follow >>realize.log 2>&1 & realizer=$!; }
collect; sync; realizing

fed=0
for ((n = 1; n <= kills && SECONDS < ${until:-1000000}; n++)); do
  [ "$role" = any ] && victim=${roles[RANDOM % 4]} || victim=$role
  tweets $((fed + 1)) $((n * 100)) >>tweets.jsonl
  fed=$((n * 100))
  sleep "0.$(printf '%03d' $((RANDOM % 300)))"
  kill -9 "${!victim}"
  wait "${!victim}" 2>/dev/null || true
  case $victim in
    collector) collect ;;
    server) serve collector "$port" ;;
    laptop) sync ;;
    realizer) realizing ;;
  esac
done

total=$fed
until_prints "$total" ops_of collector tweets
until_prints "$total" ops_of laptop tweets
until_prints "$total" ask tweets.datom "$applied" add-tweet
expect "after $((n - 1)) kills: ops collected" "$total" "$(ops_of collector tweets)"
expect "ops at the laptop" "$total" "$(ops_of laptop tweets)"
expect "ops applied" "$total" "$(ask tweets.datom "$applied" add-tweet)"
expect "distinct ids" "$total" "$(ask tweets.datom "$distinct_ids")"
expect "no fault at the collector" 0 "$(at collector verify >/dev/null; echo $?)"
expect "no fault at the laptop" 0 "$(at laptop verify >/dev/null; echo $?)"
