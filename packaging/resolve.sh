#!/bin/sh
# Checks that the package and every extra that users install has wheels, and never a source build, on each platform that
# we name in docs/reference/platforms.md. Reads the index' metadata alone: nothing is installed, nothing is run.
# Usage: packaging/resolve.sh [EXTRA…]; "base" is the package without extras. Exit status 1 if anything cannot be resolved.
set -eu
cd "$(dirname "$0")/.."
UV=${UV:-.venv/bin/uv}
# The glibc of Ubuntu 22.04 and Debian 12 is younger than 2.34.
PLATFORMS="aarch64-apple-darwin x86_64-pc-windows-msvc x86_64-manylinux_2_34 aarch64-manylinux_2_34"
extras=${*:-base cpu hf llama-cpp exllamav2 exllamav3 lmdeploy bench editors binary dev}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
for extra in $extras; do
    option=""
    [ "$extra" = base ] || option="--extra=$extra"
    for platform in $PLATFORMS; do
        for python in 3.11 3.13; do
            # shellcheck disable=SC2086  # no option is no argument
            if "$UV" pip compile pyproject.toml $option --quiet --only-binary :all: --no-header \
                --python-platform "$platform" --python-version "$python" >"$log" 2>&1; then
                echo "ok    $extra  $platform  Python $python  $(grep -c '==' "$log") packages"
            else
                echo "FAIL  $extra  $platform  Python $python"
                sed 's/^/      /' "$log"
                failed=1
            fi
        done
    done
done
exit $failed
