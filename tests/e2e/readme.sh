# What README's first sections tell the reader to type works as it stands there, and prints what stands there.
source "$(dirname "$0")/lib.sh"
PATH=$(dirname "$trib"):$PATH
ln -s "$examples" examples
serve spare; kill "$server"; wait "$server" || true
port=${url##*:}   # a free one instead of README's

# Of the two sections: the indented lines, without their indentation, and the commands in the table.
sed -n '/^## A database of your own/,/^## In a program/p' "$examples/../README.md" >sections
awk '{ print /^    / ? substr($0, 5) : "" }' sections | sed "s/9095/$port/g" >lines
sed -n '/^| `/p' sections | grep -o '`trib [^`]*`' | tr -d '`' >table

# Without what differs from run to run: ids, times and what a transfer took.
lasting() {
  sed -E 's/\b1?[0-9a-f]{64}\b|\b[0-9a-f]{12}\b/ID/g; s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g
    s/[0-9.]+ [kM]?B of (payload|control)/SIZE of \1/g; s/[0-9.]+ s$/SECONDS s/' "$@"
}

count=0
run() { # COMMAND PRINTED: stdout and stderr may come in either order, for to files they are not written line by line
  local out=$work/out.$((++count)) err=$work/err.$count expected found
  eval "$1" >"$out" 2>"$err" </dev/null || true   # that a command fails shows in what it prints; `conflicts` is meant to
  [[ $1 != *'&' ]] || until_prints 1 grep -c . "$out"
  expected=$(lasting <<<"$2")
  for found in "$(lasting "$err" "$out")" "$(lasting "$out" "$err")"; do
    [ "$found" != "$expected" ] || { echo "ok: $1"; return; }
  done
  fail "$1"$'\nexpected:\n'"$expected"$'\nfound:\n'"$found"
}

# A command begins with "$ " and goes on until the shell has all of it; what follows is printed.
command= printed=
while IFS= read -r line <&3; do
  if [[ $line = '$ '* ]]; then
    [ -z "$command" ] || run "$command" "$printed"
    command=${line#'$ '} printed=
  elif ! bash -n <<<"$command" 2>/dev/null; then
    command+=$'\n'$line
  else
    printed+=$line$'\n'
  fi
done 3<lines
run "$command" "$printed"
[ "$count" -gt 40 ] || fail "README has only $count commands"

while IFS= read -r line <&3; do
  eval "$line" >"$work/out" 2>&1 </dev/null || fail "$line: $(cat "$work/out")"
  echo "ok: $line"
done 3<"$work/table"
