# kill -9 of one role again and again, while ops are collected, replicated and realized; then every count is exact. kill.sh TRIB ROLE
source "$(dirname "$0")/lib.sh" "$@"
role=$2
kills=${TRIBUTARY_KILLS:-20}
total=$((kills * 100))
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
for ((n = 1; n <= kills; n++)); do
  tweets $((fed + 1)) $((n * 100)) >>tweets.jsonl
  fed=$((n * 100))
  sleep "0.$(printf '%03d' $((RANDOM % 300)))"
  kill -9 "${!role}"
  wait "${!role}" 2>/dev/null || true
  case $role in
    collector) collect ;;
    server) serve collector "$port" ;;
    laptop) sync ;;
    realizer) realizing ;;
  esac
done

until_prints "$total" ops_of collector tweets
until_prints "$total" ops_of laptop tweets
until_prints "$total" ask tweets.datom "$applied" add-tweet
expect "after $kills kills of the $role: ops collected" "$total" "$(ops_of collector tweets)"
expect "ops at the laptop" "$total" "$(ops_of laptop tweets)"
expect "ops applied" "$total" "$(ask tweets.datom "$applied" add-tweet)"
expect "distinct ids" "$total" "$(ask tweets.datom "$distinct_ids")"
expect "no fault at the collector" 0 "$(at collector verify >/dev/null; echo $?)"
expect "no fault at the laptop" 0 "$(at laptop verify >/dev/null; echo $?)"
