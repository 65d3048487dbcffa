#!/bin/sh
# Compiles alone each header that has no source of its own name (with one, every build does). headers.sh SOURCE_DIR COMPILER FLAG...
set -eu
cd "$1"
shift
for header in value/*.hpp crdt/*.hpp store/*.hpp peer/*.hpp datom/*.hpp realize/*.hpp; do
    [ -e "${header%.hpp}.cpp" ] || echo "$header"
done | xargs -P 2 -I{} "$@" -std=c++20 -fsyntax-only -include {} -x c++ /dev/null
