# Peers that are none, and a server that meets them: the connection is closed with a reason, others are undisturbed.
source "$(dirname "$0")/lib.sh" "$@"

at peer create tweets --as peer
tweets 1 100 >tweets.jsonl
at peer collect tweets --op add-tweet tweets.jsonl
serve peer
port=${url##*:}
at laptop clone "$url/tweets" >/dev/null 2>&1
start laptop sync tweets "$url" --follow >sync.log 2>&1 &
follower=$!

# Something that is no WebSocket, an upgrade and then garbage, and half a handshake that hangs
send() { { exec 3<>"/dev/tcp/127.0.0.1/$port"; printf '%b' "$1" >&3; timeout 5 cat <&3; exec 3<&- 3>&-; } 2>/dev/null || true; }
upgrade='GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
send '\x00\x01\x02\x03garbage\r\n\r\n' >/dev/null
send "${upgrade}"'\x82\x85\x00\x00\x00\x00\xc1\xff\xff\xff\xff' >answer
grep -aq '101' answer || fail "no upgrade"
send "${upgrade}"'\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00' >/dev/null
exec 4<>"/dev/tcp/127.0.0.1/$port"  # says nothing

tweets 101 200 >>tweets.jsonl
at peer collect tweets --op add-tweet tweets.jsonl >/dev/null
until_prints 200 ops_of laptop tweets
echo "ok: the other connection got everything"
exec 4<&- 4>&-
kill "$follower"; wait "$follower" || true

# A server that is no tributary peer
coproc server_of_nothing { exec perl -MIO::Socket::INET -e '
  my $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", ReuseAddr => 1) or die;
  $| = 1; print $s->sockport, "\n";
  while (my $c = $s->accept) { sysread $c, my $b, 4096; print $c "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"; close $c }'; }
read -r nothing_port <&"${server_of_nothing[0]}"
expect_error 1 'not a tributary peer|no tributary peer|upgrade|answers HTTP' timeout 60 "$trib" --store "$work/laptop" sync tweets "ws://127.0.0.1:$nothing_port"
kill -9 "$server_of_nothing_PID"
