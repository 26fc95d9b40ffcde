"""The whole product under watch: real web server, real runner with warm workers, and what must stay as it is whatever is uploaded."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from optimizer.runs.processes import ProcessIdentity, identity_of
from optimizer.runs.store import Store
from tests.browser.web_server import Server
from tests.live.page_session import PageSession

CANARY = b"untouched"
READ_TIMEOUT_S = 10.0
START_LIMIT_S = 120.0
STOP_LIMIT_S = 20.0
MAX_GROWTH_MB = 200.0
"""More than that, and memory is taken to grow without bound."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Resident memory in MiB; 0 of a process that has ended."""

    web_mb: float
    runner_mb: float

    @property
    def words(self) -> str:
        return f"web {self.web_mb:.0f} MiB, runner {self.runner_mb:.0f} MiB"


class Product:
    """A dashboard and its runner on a home of their own in `folder`; an opened page starts the runner, as it does for a person."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        token = secrets.token_hex(4)
        self.canaries = [folder / f"canary-{token}", Path.home() / f".litesmith-canary-{token}"]
        self.server = Server(self.home, {"LITESMITH_READ_TIMEOUT_S": f"{READ_TIMEOUT_S:g}"})
        self._suspects: set[Path] = set()

    def start(self) -> None:
        """Start all of it and wait for a warm training worker: importing TensorFlow must not be taken for a file's work."""
        for canary in self.canaries:
            canary.write_bytes(CANARY)
        self.server.start()
        self.store = Store(self.home)
        self.project_id = self.store.create_project("fuzz").id
        self.open_page()
        self.page.draw(self.project_id)
        wait_until(lambda: self.store.runner_status().spares_ready >= 1, START_LIMIT_S, "a warm worker")
        status, process = self.store.runner_status(), self.server.process
        assert status.pid is not None
        assert process is not None
        self.runner: ProcessIdentity = identity_of(status.pid)
        self.web: ProcessIdentity = identity_of(process.pid)
        self.memory_at_start = self.memory()

    def open_page(self) -> None:
        """Open the tab, anew where the old one does not answer any more."""
        self.page = PageSession(self.server.url)

    def memory(self) -> Memory:
        """What both processes hold now."""
        return Memory(web_mb=resident_mb(self.web.pid), runner_mb=resident_mb(self.runner.pid))

    def breaches(self) -> list[str]:
        """What is not as it must be, in words; none where all is well."""
        found = []
        for name, process in (("web", self.web), ("runner", self.runner)):
            if not process.is_alive:
                found.append(f"the {name} process {process.pid} has ended; its log ends: {self.log(name)[-2000:]}")
        if self.store.runner_status().pid != self.runner.pid:
            found.append("another runner has taken over")
        if not self.server.answers():
            found.append("the web server does not answer")
        if (integrity := self.integrity()) != "ok":
            found.append(f"the database is damaged: {integrity}")
        found += [f"{canary} was touched" for canary in self.canaries if not is_whole(canary)]
        found += [f"work folder {folder} belongs to nobody" for folder in self._left_folders()]
        if not found:
            found += self._growth()
            found += [f"the page shows: {text}" for text in self.page.draw(self.project_id).failures]
        for name in ("web", "runner"):
            if "Traceback" in (text := self.log(name)):
                found.append(f"the {name}'s log has a traceback: {text[text.index('Traceback') :][:1500]}")
        return found

    def log(self, name: str) -> str:
        """What the web server or the runner has printed."""
        return (self.home / f"{name}.log").read_text(errors="replace")

    def _growth(self) -> list[str]:
        before, now = self.memory_at_start, self.memory()
        grown = max(now.web_mb - before.web_mb, now.runner_mb - before.runner_mb)
        return [] if grown < MAX_GROWTH_MB else [f"memory has grown by {grown:.0f} MiB ({before.words}; now {now.words})"]

    def integrity(self) -> str:
        connection = sqlite3.connect(f"file:{self.home / 'litesmith.db'}?mode=ro", uri=True, timeout=30)
        try:
            return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
        finally:
            connection.close()

    def _left_folders(self) -> set[Path]:
        """Work folders that no process lived in at this look and at the last one: one look alone can meet a worker that just ends."""
        lived_in = {Path(cwd) for pid in pids() if (cwd := link(f"/proc/{pid}/cwd"))}
        before, self._suspects = self._suspects, {folder for folder in (self.home / "work").iterdir() if folder not in lived_in}
        return before & self._suspects

    def stop(self) -> list[str]:
        """Stop the runner as a person's machine does (SIGTERM), then the web server. Returns what was left behind, in words."""
        found = []
        self.page.close()
        if self.runner.is_alive:
            os.kill(self.runner.pid, signal.SIGTERM)
        end = time.monotonic() + STOP_LIMIT_S
        while self.runner.is_alive and time.monotonic() < end:
            time.sleep(0.1)
        self.server.kill()
        found += [f"process {pid} is left: {words}" for pid, words in self._workers()]
        found += [f"work folder {folder.name} is left" for folder in (self.home / "work").iterdir()]
        self.store.close()
        for canary in self.canaries:
            canary.unlink(missing_ok=True)
        return found

    def _workers(self) -> list[tuple[int, str]]:
        """Processes that have anything to do with this home."""
        found = []
        for pid in pids():
            words = command_line(pid)
            if pid != os.getpid() and (str(self.home) in words or link(f"/proc/{pid}/cwd").startswith(str(self.home))):
                found.append((pid, words[:200]))
        return found


def wait_until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit_s:g} s for {what}")
        time.sleep(0.1)


def is_whole(canary: Path) -> bool:
    return canary.is_file() and canary.read_bytes() == CANARY


def resident_mb(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()
    except FileNotFoundError:
        return 0.0
    return int(words[0]) / 1024 if words else 0.0


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def link(path: str) -> str:
    """Where a link of /proc leads; empty where its process is gone or not ours."""
    try:
        return os.readlink(path)  # noqa: PTH115 (what it names may not exist any more)
    except OSError:
        return ""


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
