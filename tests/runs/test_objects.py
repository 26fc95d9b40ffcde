from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optimizer.errors import InputError, RunError
from optimizer.runs.objects import Objects

FULL = """
import resource, signal, sys
from pathlib import Path
from optimizer.errors import RunError
from optimizer.runs.objects import Objects
objects = Objects(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    objects.add(open("/dev/zero", "rb"), "endless")
except RunError as error:
    print(error.code)
"""


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


def test_a_file_is_stored_under_its_hash_and_read_back(objects: Objects) -> None:
    content = os.urandom(3 * 1024 * 1024 + 17)
    stored = objects.add(io.BytesIO(content), "model.keras")

    sha256 = hashlib.sha256(content).hexdigest()
    assert (stored.sha256, stored.size_bytes, stored.name) == (sha256, len(content), "model.keras")
    assert objects.path(sha256) == objects.folder / sha256[:2] / sha256
    assert objects.read(sha256) == content


def test_a_flipped_byte_is_refused_as_damaged_and_mended_by_storing_again(objects: Objects) -> None:
    stored = objects.add_bytes(b"weights", "w")
    path = objects.path(stored.sha256)
    path.chmod(0o600)
    path.write_bytes(b"wEights")

    with pytest.raises(RunError, match="damaged") as caught:
        objects.read(stored.sha256)
    assert caught.value.code == "DAMAGED"

    objects.add_bytes(b"weights", "w")
    assert objects.read(stored.sha256) == b"weights"


def test_a_file_that_is_gone_is_told_apart_from_a_damaged_one(objects: Objects) -> None:
    with pytest.raises(RunError) as caught:
        objects.read("0" * 64)
    assert caught.value.code == "MISSING"


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n", "0" * 62 + "/x"])
def test_only_a_hash_is_a_path(objects: Objects, name: str) -> None:
    with pytest.raises(InputError):
        objects.path(name)


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_behind(objects: Objects) -> None:
    kept = objects.add_bytes(b"old", "old")
    command = [sys.executable, "-c", FULL, str(objects.folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "DISK_FULL"
    assert [path for path in objects.folder.rglob("*") if path.is_file()] == [objects.path(kept.sha256)]
    assert objects.read(kept.sha256) == b"old"


def test_a_killed_writer_leaves_no_object_and_its_leftover_can_be_removed(objects: Objects) -> None:
    code = (
        "import io, os, signal, sys; from pathlib import Path; from optimizer.runs.objects import Objects\n"
        "class Stream(io.BytesIO):\n"
        "    def read(self, size=-1):\n"
        "        content = super().read(size)\n"
        "        return content or os.kill(os.getpid(), signal.SIGKILL)\n"
        "Objects(Path(sys.argv[1])).add(Stream(b'x' * 5_000_000), 'x')\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(objects.folder)], check=False).returncode == -9

    assert list(objects.all()) == []
    objects.discard_leftovers(older_than_s=0)
    assert [path for path in objects.folder.rglob("*") if path.is_file()] == []


def test_only_old_and_unused_objects_are_discarded(objects: Objects) -> None:
    used, old, young = (objects.add_bytes(content, "x").sha256 for content in (b"used", b"old", b"young"))
    an_hour_ago = time.time() - 3600
    for sha256 in (used, old):
        os.utime(objects.path(sha256), (an_hour_ago, an_hour_ago))

    assert objects.discard_unused({used}, older_than_s=60) == [old]
    assert set(objects.all()) == {used, young}
    assert objects.discard_unused({used}, older_than_s=0, among={used}) == []
