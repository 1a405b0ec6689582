#!/bin/sh
set -⟦eu⟧

usage() {
  echo "usage: $0 ⟦[-v] FILE⟧" >&2
  exit ⟦1⟧
}

if [ $# -lt ⟦1⟧ ]; then
  ⟦usage⟧
fi

for file in "⟦$@⟧"; do
  if [ -f "$⟦file⟧" ]; then
    lines=$(wc -l < "⟦$file⟧")
    echo "$file: ⟦$lines⟧"
  else
    ⟦echo "$file: not found" >&2⟧
  fi
done
