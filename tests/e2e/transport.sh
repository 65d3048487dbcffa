# Ways from peer to peer: TLS with all that can be wrong with it, proxies, IPv6, Unix-domain sockets; and what is said when one is no way.
source "$(dirname "$0")/lib.sh" "$@"

at peer create tweets --as peer >/dev/null
tweets 1 200 >tweets.jsonl
at peer collect tweets --op add-tweet tweets.jsonl >/dev/null

# serve_at LISTEN [OPTION...]: the peer; sets $server and $url, and $port of TCP
serve_at() {
  : >peer.url
  start peer serve --listen "$@" >peer.url 2>peer.log &
  server=$!
  until_prints 1 grep -c ':' peer.url
  url=$(cat peer.url)
  port=${url##*:}
}
stop() { kill "$server"; wait "$server" || true; }
more() { # FIRST LAST: the peer goes on
  tweets "$@" >>tweets.jsonl
  at peer collect tweets --op add-tweet tweets.jsonl >/dev/null
}

# certificate NAME SUBJECT-ALT-NAME [OPTION of openssl ca...]: NAME.pem and NAME.key, by the CA in ca.pem
new_key() { openssl ecparam -genkey -noout -name prime256v1 -out "$1.key" 2>/dev/null; }
new_key ca
openssl req -x509 -key ca.key -out ca.pem -days 3650 -subj "/CN=test CA" 2>/dev/null
mkdir ca && touch ca/index.txt && echo 01 >ca/serial
cat >ca.conf <<CONF
[ca]
default_ca = here
[here]
database = ca/index.txt
serial = ca/serial
new_certs_dir = ca
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
CONF
certificate() {
  [ -e "$1.key" ] || new_key "$1"
  openssl req -new -key "$1.key" -subj "/CN=$1" -addext "subjectAltName=$2" -out "$1.csr" 2>/dev/null
  openssl ca -batch -notext -config ca.conf -in "$1.csr" -out "$1.pem" "${@:3}" 2>openssl.log || fail "openssl: $(cat openssl.log)"
}
certificate good DNS:localhost,IP:127.0.0.1 -days 30
certificate other DNS:example.org -days 30
certificate old DNS:localhost,IP:127.0.0.1 -startdate 20200101000000Z -enddate 20200201000000Z
certificate young DNS:localhost,IP:127.0.0.1 -startdate 21000101000000Z -enddate 21000201000000Z
pin_of() { openssl x509 -in "$1.pem" -noout -pubkey | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1; }

# TLS: who vouches for the server is said once, and remembered
serve_at 127.0.0.1:0 --tls-cert good.pem --tls-key good.key
expect "address" "wss://127.0.0.1:$port" "$url"
expect "the pin that serve prints" "$(pin_of good)" "$(grep -Eo '[0-9a-f]{64}' peer.log)"
expect_error 1 "wss://127.0.0.1:$port shows a certificate that nobody vouches for.*--pin $(pin_of good).*--ca" at laptop clone "$url/tweets"
at laptop clone "$url/tweets" --ca ca.pem >/dev/null
more 201 210
at laptop sync tweets >/dev/null
expect "over TLS, by its CA" 210 "$(ops_of laptop tweets)"
at desk clone "wss://localhost:$port/tweets" --pin "$(pin_of good)" >/dev/null
more 211 220
at desk sync tweets "wss://localhost:$port" >/dev/null
expect "over TLS, by its pin" 220 "$(ops_of desk tweets)"
expect_error 1 "shows another key than the one pinned.*--pin $(pin_of good)" at desk sync tweets --pin "$(pin_of other)"
expect_error 1 'no pin.*64 hex' at desk sync tweets --pin abc
expect_error 1 'no certificate to read in' at desk sync tweets --ca nowhere.pem
expect_error 1 "wss://127.0.0.1:$port/.*\"other\".*it offers: tweets|wss://127.0.0.1:$port has no CRDT \"other\"; it offers: tweets" \
  at laptop clone "$url/other" --ca ca.pem
expect_error 1 "ws://127.0.0.1:$port answers HTTP.*use wss://127.0.0.1:$port" at laptop sync tweets "ws://127.0.0.1:$port"
expect_error 1 'is not TLS' at laptop sync tweets "ws://127.0.0.1:$port" --ca ca.pem
SSL_CERT_FILE=$work/ca.pem at shelf clone "$url/tweets" >/dev/null
expect "over TLS, by the system's CAs" 220 "$(ops_of shelf tweets)"

# A renewed certificate is shown without a restart; a follower that was told a CA goes on
start laptop sync tweets --follow >sync.log 2>&1 &
follower=$!
until_prints 1 grep -c live sync.log
new_key good
certificate good DNS:localhost,IP:127.0.0.1 -days 60
expect_error 1 'another key' at desk sync tweets
stop
serve_at "127.0.0.1:$port" --tls-cert good.pem --tls-key good.key
more 221 230
until_prints 230 ops_of laptop tweets
echo "ok: a follower came back over TLS"
kill "$follower"; wait "$follower" || true
stop

# Certificates that are wrong
serve_at 127.0.0.1:0 --tls-cert other.pem --tls-key other.key
expect_error 1 "wss://127.0.0.1:$port shows a certificate for example.org. Use that name" at laptop sync tweets "$url" --ca ca.pem
stop
serve_at 127.0.0.1:0 --tls-cert old.pem --tls-key old.key
expect_error 1 "expired at 2020-02-01.*clock says $(date -u +%Y-%m)" at laptop sync tweets "$url" --ca ca.pem
stop
serve_at 127.0.0.1:0 --tls-cert young.pem --tls-key young.key
expect_error 1 "not valid before 2100-01-01.*clock says $(date -u +%Y-%m)" at laptop sync tweets "$url" --ca ca.pem
stop
expect_error 1 'no key in PEM that .* belongs to' at peer serve --listen 127.0.0.1:0 --tls-cert good.pem --tls-key old.key
expect_error 1 'no certificate to read' at peer serve --listen 127.0.0.1:0 --tls-cert nowhere.pem --tls-key good.key
expect_error 2 'tls-key' at peer serve --tls-cert good.pem

# In the clear
serve_at 127.0.0.1:0
expect_error 1 "wss://127.0.0.1:$port.*use ws://127.0.0.1:$port" at laptop sync tweets "wss://127.0.0.1:$port" --ca ca.pem
expect_error 1 "cannot connect to ws://127.0.0.1:1: Connection refused" at laptop sync tweets ws://127.0.0.1:1
expect_error 1 'cannot find the host of ws://nowhere.invalid:9095' at laptop sync tweets ws://nowhere.invalid
expect_error 1 'no peer.s URL; one looks like' at laptop sync tweets http://127.0.0.1
expect_error 1 "ws://127.0.0.1:$port has no CRDT \"other\"; it offers: tweets" at laptop clone "$url/other"
stop

# Compressed, if both want it
serve_at 127.0.0.1:0 --compress
at thin clone "$url/tweets" --compress >/dev/null
at thick clone "$url/tweets" >/dev/null
expect "compressed" "$(ops_of thick tweets)" "$(ops_of thin tweets)"
stop

# IPv6
if serve_at '[::1]:0' 2>/dev/null && grep -q '^ws://\[::1\]:' peer.url; then
  at six clone "$url/tweets" >/dev/null
  expect "over IPv6" 230 "$(ops_of six tweets)"
  stop
else
  echo "skipped: this machine has no IPv6 loopback"
fi

# Unix-domain sockets: one that was left behind is replaced, one in use and other files are not
serve_at "unix:$work/peer.sock"
at near clone "unix:$work/peer.sock:/tweets" >/dev/null
more 231 240
at near sync tweets >/dev/null
expect "over a Unix-domain socket" 240 "$(ops_of near tweets)"
expect_error 1 "cannot listen on unix:$work/peer.sock.*in use" at six serve --listen "unix:$work/peer.sock"
kill -9 "$server"; wait "$server" 2>/dev/null || true
[ -S peer.sock ] || fail "nothing was left behind"
serve_at "unix:$work/peer.sock"
at near sync tweets >/dev/null
stop
[ ! -e peer.sock ] || fail "the socket is still there"
echo precious >file
expect_error 1 'no socket' at peer serve --listen "unix:$work/file"
expect "a file in the way" precious "$(cat file)"
expect_error 1 "cannot connect to unix:$work/peer.sock: No such file" at near sync tweets
expect_error 1 'too long for a socket' at peer serve --listen "unix:/$(printf 'x%.0s' $(seq 120))"

# Behind a proxy that hands on what is under a prefix: nginx, which also ends TLS, or a small one without TLS.
serve_at "unix:$work/peer.sock"
proxy_port=$((20000 + RANDOM % 10000))
if command -v nginx >/dev/null; then
  proxied=wss://127.0.0.1:$proxy_port/some/prefix
  trust="--ca ca.pem"
  cat >nginx.conf <<CONF
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  server {
    listen 127.0.0.1:$proxy_port ssl;
    ssl_certificate $work/good.pem;
    ssl_certificate_key $work/good.key;
    location /some/prefix/ {
      proxy_pass http://unix:$work/peer.sock:/;
      proxy_http_version 1.1;
      proxy_set_header Upgrade \$http_upgrade;
      proxy_set_header Connection upgrade;
    }
  }
}
CONF
  nginx -p "$work" -c nginx.conf >proxy.log 2>&1 &
else
  echo "nginx is not here: a small proxy without TLS stands in"
  proxied=ws://127.0.0.1:$proxy_port/some/prefix
  trust=
  perl -MIO::Socket::INET -MIO::Socket::UNIX -MIO::Select -e '
    my ($port, $socket) = @ARGV;
    $SIG{CHLD} = "IGNORE";
    my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => $port, ReuseAddr => 1) or die "$!";
    while (my $client = $listener->accept) {
      next if fork;
      my $request = "";
      while ($request !~ /\r\n\r\n/) { sysread $client, $request, 4096, length $request or exit }
      my $status = "";
      $status = "404 Not Found" unless $request =~ s/^GET \/some\/prefix\/ /GET \/ /;
      my $server = IO::Socket::UNIX->new(Peer => $socket) or $status ||= "502 Bad Gateway";
      if ($status) { print $client "HTTP/1.1 $status\r\nContent-Length: 0\r\n\r\n"; exit }
      syswrite $server, $request;
      my %to = ($client => $server, $server => $client);
      my $both = IO::Select->new($client, $server);
      while (my @ready = $both->can_read) {
        for my $from (@ready) {
          my $n = sysread $from, my $bytes, 65536 or exit;
          for (my $at = 0; $at < $n;) { $at += syswrite $to{$from}, $bytes, $n - $at, $at or exit }
        }
      }
    }' "$proxy_port" "$work/peer.sock" >proxy.log 2>&1 &
fi
proxy=$!
clone_proxied() { at "$1" clone "$proxied/tweets" $trust >/dev/null 2>&1 && ops_of "$1" tweets; }
until_prints 240 clone_proxied behind
more 241 250
at behind sync tweets >/dev/null
expect "through a proxy, under a prefix" 250 "$(ops_of behind tweets)"
expect_error 1 'answers HTTP with status 404' at behind sync tweets "${proxied%/prefix}/elsewhere/" $trust
stop
expect_error 1 'answers HTTP with status 502' at behind sync tweets
kill "$proxy"; wait "$proxy" || true
