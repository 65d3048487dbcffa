# Six hosts in network namespaces, a ring of five and one beside it, all of which write, over links of 100 ms each way, 2 % loss and
# 1 Mbit/s, that are cut and mended: then all have the same. network.sh TRIB WIRE; TRIBUTARY_NETWORK_SECONDS sets how long they write.
source "$(dirname "$0")/lib.sh" "$@"
wire=$2
seconds=${TRIBUTARY_NETWORK_SECONDS:-16}
net=trib$$
hosts=(1 2 3 4 5 6)
links=(1-2 2-3 3-4 4-5 5-1 1-6)

skip() { echo "skipped: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "network namespaces need root"
command -v ip >/dev/null || skip "there is no ip (package iproute2)"
[ -c /dev/net/tun ] || skip "there is no /dev/net/tun"
ip netns add "$net-0" 2>/dev/null || skip "network namespaces are not permitted here"
ip netns exec "$net-0" true 2>/dev/null || {
  ip netns del "$net-0"
  skip "network namespaces cannot be entered here (a chroot whose root is no mount?)"
}
clean() {
  kill -9 $(jobs -p) 2>/dev/null || true
  wait 2>/dev/null || true
  for each in 0 "${hosts[@]}"; do ip netns del "$net-$each" 2>/dev/null || true; done
  rm -rf "$work"
}
trap 'status=$?; clean; exit $status' EXIT

# -- Hosts and links

for host in "${hosts[@]}"; do
  ip netns add "$net-$host"
  ip -n "$net-$host" link set lo up
done
declare -A wires
for n in "${!links[@]}"; do
  a=${links[n]%-*} b=${links[n]#*-}
  "$wire" "$net-$a" "to-$b" "$net-$b" "to-$a" --delay 100 --loss 2 --rate 1000000 --seed "$n" >"wire-$n" 2>&1 &
  wires[${links[n]}]=$!
  until_prints ready cat "wire-$n"
  ip -n "$net-$a" addr add "10.9.$n.1" peer "10.9.$n.2" dev "to-$b"
  ip -n "$net-$b" addr add "10.9.$n.2" peer "10.9.$n.1" dev "to-$a"
  ip -n "$net-$a" link set "to-$b" up
  ip -n "$net-$b" link set "to-$a" up
done
on() { exec ip netns exec "$net-$1" "$trib" --store "$work/$1" "${@:2}"; }  # HOST COMMAND...; with & or in ( )

# -- Replicas: each host serves, is cloned from the first of its link, and follows it

at 1 create tweets --as host-1 >/dev/null
for host in 2 3 4 5 6; do at 1 grant tweets "$(at "$host" id)" --name "host-$host" >/dev/null; done
declare -A followers
for host in "${hosts[@]}"; do
  on "$host" serve --listen 0.0.0.0:9095 >"$host.url" 2>>"$host.log" &
  until_prints 1 grep -c '^ws://' "$host.url"
done
follow() { # LINK: its second host dials its first
  local n=$1 a=${links[$1]%-*} b=${links[$1]#*-}
  on "$b" sync tweets "ws://10.9.$n.1:9095" --follow >>"$b.log" 2>&1 &
}
clone() { (on "$1" clone "ws://10.9.$2.1:9095/tweets" >>"$1.log" 2>&1) || fail "clone at host $1: $(tail -n 3 "$1.log")"; }
clone 2 0
clone 6 5 & sixth=$!
clone 3 1; clone 4 2; clone 5 3
wait "$sixth"
echo "ok: clones over bad links"
for n in "${!links[@]}"; do follow "$n"; done

# -- All write; links break

collect() { on "$1" collect tweets --op add-tweet "$work/$1.jsonl" --follow --batch 10 --every 300ms >>"$1.log" 2>&1 & }
for host in "${hosts[@]}"; do : >"$host.jsonl"; collect "$host"; done
down() { ip -n "$net-$1" link set "to-$2" down; }
up() { ip -n "$net-$1" link set "to-$2" up; }
fed=0
for ((second = 1; second <= seconds; second++)); do
  for host in "${hosts[@]}"; do tweets $((host * 100000 + fed + 1)) $((host * 100000 + fed + 5)) >>"$host.jsonl"; done
  fed=$((fed + 5))
  case $((second % 16)) in
    2) kill -USR1 "${wires[1-6]}" ;;   # host 6 hears nothing, and is heard
    4) down 2 3; down 5 1 ;;           # 1, 2 and 6 apart from 3, 4 and 5
    10) kill -USR1 "${wires[1-6]}"; up 2 3 ;;
    13) up 5 1 ;;
  esac
  sleep 1
done
# In the middle of a cut?
case $((seconds % 16)) in [2-9]) kill -USR1 "${wires[1-6]}" ;; esac
up 2 3; up 5 1

# -- All have everything

total=$((fed * ${#hosts[@]}))
for host in "${hosts[@]}"; do until_prints "$total" ops_of "$host" tweets; done
expect "ops at each of the ${#hosts[@]} hosts" "$total" "$(for host in "${hosts[@]}"; do ops_of "$host" tweets; done | sort -u)"
heads() { at "$1" heads tweets --format csv | tail -n +2 | cut -d , -f 1 | sort | sha256sum; }
until_equal() {
  for host in 2 3 4 5 6; do until_prints "$(heads 1)" heads "$host"; done
}
until_equal
at 1 merge tweets >/dev/null 2>&1 || true   # one head already, if all was in one line
until_equal
order() { at "$1" log tweets -n 1000000 --format csv | cut -d , -f 1 | sha256sum; }
expect "the same order at all hosts" 1 "$(for host in "${hosts[@]}"; do order "$host"; done | sort -u | wc -l)"
for host in "${hosts[@]}"; do at "$host" verify >/dev/null || fail "a fault at host $host"; done
echo "ok: no fault at any host"
