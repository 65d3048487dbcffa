#!/usr/bin/env bash
# Clones ops over the git protocol: a commit with one file of 100 tweets each, without compression. git_clone.sh TWEETS.jsonl
set -euo pipefail
tweets=$1
dir=$(mktemp -d)
trap 'kill "${daemon:-}" 2>/dev/null; rm -rf "$dir"' EXIT
git init -q --bare "$dir/tweets.git"
git -C "$dir/tweets.git" config core.compression 0
git -C "$dir/tweets.git" config pack.compression 0
LC_ALL=C awk '
  function flush() {
    if (n == 0) return
    printf "commit refs/heads/main\ncommitter c <c@c> %d +0000\ndata 0\nM 100644 inline f%d\ndata %d\n%s\n", 1400000000 + c, c % 100, length(text), text
    text = ""; n = 0; c++
  }
  { text = text $0 "\n"; if (++n == 100) flush() }
  END { flush() }' "$tweets" | git -C "$dir/tweets.git" fast-import --quiet
git daemon --reuseaddr --listen=127.0.0.1 --port=19418 --export-all --base-path="$dir" "$dir" &
daemon=$!
sleep 1
ops=$(wc -l <"$tweets")
for run in 1 2 3; do
  rm -rf "$dir/clone"
  from=$(date +%s%N)
  git clone -q --bare git://127.0.0.1:19418/tweets.git "$dir/clone"
  echo $((ops * 1000000000 / ($(date +%s%N) - from)))
done | sort -n | sed -n 2p | awk '{ printf "%-46s %12d ops/s\n", "git clone, 100 ops a commit", $1 }'
