# A blob of 100 MB: added, cloned, killed in the middle and taken up, fetched on demand, pushed, damaged and mended. Memory stays bounded.
source "$(dirname "$0")/lib.sh" "$@"
size=100000000
head -c $size /dev/urandom >big.bin
printf 'a small one' >small.txt

json() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; } # FIELD of a report on stdin
# The greatest RssAnon of a process in kB, until it ends.
watch_memory() { # PID FILE
  local most=0 now
  while now=$(awk '/RssAnon/ { print $2 }' "/proc/$1/status" 2>/dev/null) && [ -n "$now" ]; do
    [ "$now" -gt "$most" ] && most=$now && echo "$most" >"$2.new" && mv "$2.new" "$2"
    sleep 0.02
  done
}
expect_below() { # WHAT MOST FOUND
  [ "$3" -gt 0 ] && [ "$3" -le "$2" ] || fail "$1: expected at most $2, found '$3'"
  echo "ok: $1: $3"
}

at collector create files --as collector >/dev/null
start collector blob add files big.bin --op add-file >address &
adder=$!
watch_memory $adder adder.kb
wait $adder
address=$(cat address)
[[ $address =~ ^blob:1[0-9a-f]{64}$ ]] || fail "no address: $address"
id=${address#blob:1}
expect "added" $size "$(stat -c %s "$work/collector/blobs/$id")"
expect_below "RssAnon of adding, kB" 32768 "$(cat adder.kb)"
expect "the same content has the same address" "$address" "$(at collector blob add files big.bin --op add-file)"
expect "what is said of it" "add-file,big.bin" "$(at collector blob ls files --format csv | tr -d '\r' | awk -F, 'NR == 2 { print $4 "," $5 }')"
expect "the directory is private" 700 "$(stat -c %a collector/blobs)"

serve collector
watch_memory $server server.kb &

echo "-- killed in the middle"
start laptop clone "$url/files" >/dev/null 2>&1 &
cloner=$!
watch_memory $cloner cloner.kb &
for _ in $(seq 3000); do [ -s "laptop/blobs/$id.have" ] && break; sleep 0.01; done
kill -9 $cloner
wait $cloner 2>/dev/null || true
[ -e "laptop/blobs/$id.part" ] || fail "it was through before it was killed"
expect_below "RssAnon of cloning, kB" 65536 "$(cat cloner.kb)"
here=$(at laptop blob ls files --format csv | tr -d '\r' | awk -F, 'NR == 2 { print $3 }')
[ "$here" -gt 0 ] && [ "$here" -lt $size ] || fail "of the partial blob there are '$here' bytes"
fetched=$(at laptop sync files "$url" --format json | json blob_bytes_in)
expect "only the rest of $size was fetched" $((size - here)) "$fetched"
at laptop blob get files "${id:0:8}" copy.bin >/dev/null
cmp big.bin copy.bin
expect "a range" "$(tail -c +50000001 big.bin | head -c 1000 | sha256sum)" "$(at laptop blob cat files "$address" --range 50000000-50000999 | sha256sum)"
expect "nothing is fetched twice" 0 "$(at laptop sync files --format json | json payload_bytes)"
expect_below "RssAnon of serving, kB" 65536 "$(cat server.kb)"
[ ! -e "laptop/blobs/$id.part" ] && [ ! -e "laptop/blobs/$id.have" ] || fail "leftovers of a whole blob"

echo "-- on demand"
at tablet clone "$url/files" --lazy-blobs >/dev/null 2>&1
expect "a lazy clone has commits only" 0 "$(at tablet blob ls files --format csv | tr -d '\r' | awk -F, 'NR == 2 { print $3 }')"
expect "and stays so" 0 "$(at tablet sync files --format json | json blobs_in)"
(cd tablet && at tablet blob get files "$address" >/dev/null)
cmp big.bin tablet/big.bin
expect_error 1 "is there already" at tablet blob get files "$address" copy.bin

echo "-- pushed"
at collector grant files "$(at laptop id)" --name ann >/dev/null
at laptop sync files >/dev/null
small=$(at laptop blob add files small.txt --op add-file)
expect "bytes pushed" 11 "$(at laptop sync files --format json | json blob_bytes_out)"
expect "at the collector" "a small one" "$(at collector blob cat files "$small")"

echo "-- damaged"
printf 'X' | dd of="laptop/blobs/$id" bs=1 seek=70000000 conv=notrunc status=none
cmp -s big.bin "laptop/blobs/$id" && printf 'Y' | dd of="laptop/blobs/$id" bs=1 seek=70000000 conv=notrunc status=none
at laptop blob get files "$address" mended.bin 2>err >/dev/null
grep -q "is damaged here; fetching it again" err || fail "the damage was not found: $(cat err)"
cmp big.bin mended.bin
cmp big.bin "laptop/blobs/$id"

echo "-- asked wrongly"
expect_error 1 "there is no file nothing" at laptop blob add files nothing
expect_error 1 "no commit of files names a blob 00" at laptop blob get files 00
expect_error 1 "there is no CRDT \"none\"" at laptop blob add none small.txt
expect_error 2 "FROM-TO" at laptop blob cat files "$address" --range 5
