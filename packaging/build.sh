#!/usr/bin/env bash
# build.sh [--slim]: make the folder and the archive of the standalone binary in dist/ and print their sizes.
set -euo pipefail
cd "$(dirname "$0")/.."
name=completer${1:+-slim}
.venv/bin/pyinstaller --noconfirm --log-level WARN --distpath dist --workpath "build/$name" packaging/completer.spec -- "$@"
# Python's own library comes with debug symbols, two thirds of its size.
command -v strip >/dev/null && find "dist/$name/_internal" -maxdepth 1 -name 'libpython*.so*' -exec strip --strip-unneeded {} +
cp LICENSE "dist/$name/"
tar -C dist -c "$name" | gzip -6 > "dist/$name.tar.gz"
echo "dist/$name: $(du -sm "dist/$name" | cut -f1) MB, dist/$name.tar.gz: $(du -m "dist/$name.tar.gz" | cut -f1) MB"
