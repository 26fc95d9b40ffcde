"""Damaged files against the product as it runs: each goes the way of an upload, and each must end as a typed error or a good result."""

from __future__ import annotations

import io
import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from websockets.exceptions import WebSocketException

from optimizer.errors import printable
from optimizer.runs.requests import bring_data, bring_model
from optimizer.runs.run import Run, RunState
from tests.live.product import READ_TIMEOUT_S, Memory, Product
from tests.sources.corpus.good_files import GOOD
from tests.sources.corpus.mutation import mutated
from tests.sources.corpus.reader_process import ReaderProcess

IN_FLIGHT = 4
"""Twice the runner's places for inspections, so that none of them waits for us."""
CHECK_EVERY_S = 5.0
SLACK_S = 5.0
STUCK_S = 90.0
QUICK_PAUSE = 3.0
"""The quick reader rests so many times as long as it worked: most of the two processors stays with the live path."""
BOXES = {"model": "Model", "data": "Data"}
"""The labels of the page's upload boxes."""
STEMS = (
    "good",
    "../../x",
    "<img src=x onerror=alert(1)>",
    "a" * 230,
    "two\nlines",
    "\N{RIGHT-TO-LEFT OVERRIDE}cod",
    "*b* [l](u)",
)
# A file can be at fault in many ways, but none of these is the file's fault.
OURS = (
    *("BAD_RESULT", "BUSY", "DAMAGED", "DATABASE_ERROR", "DISK_FULL", "FILE_GONE", "INTERRUPTED", "MISSING", "NO_SANDBOX"),
    *("NO_WORKSPACE", "SANDBOX", "UNKNOWN", "WORKER_START"),
)
CODE = re.compile(r"[A-Z][A-Z0-9_]+")


@dataclass
class Report:
    """What a run of the fuzzer has seen: outcomes of the live files and of those of the quick reader, and every breach."""

    live: Counter[str] = field(default_factory=Counter)
    quick: Counter[str] = field(default_factory=Counter)
    by_page: int = 0
    checks: int = 0
    slowest_s: float = 0.0
    breaches: list[str] = field(default_factory=list)
    before: Memory | None = None
    after: Memory | None = None

    def lines(self, name: str) -> list[str]:
        """The report in words."""
        total = self.live.total() + self.quick.total()
        share = self.live.total() / max(1, total)
        memory = "" if self.before is None or self.after is None else f"; {self.before.words} at start, {self.after.words} at end"
        return [
            f"{name}: {self.live.total():,} files live ({self.by_page:,} of them by the page), {share:.2%} of {total:,}; "
            f"slowest {self.slowest_s:.1f} s; {self.checks} checks{memory}; {len(self.breaches)} breaches",
            f"  live: {in_words(self.live)}",
            f"  quick: {in_words(self.quick)}",
            *(f"  BREACH {breach}" for breach in self.breaches),
        ]


def in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{code} {count:,}" for code, count in counts.most_common()) or "none"


class Fuzzer:
    """Pushes damaged copies of one format's good file through a product for a time.

    Args:
        product: Web server and runner, started.
        name: A format of GOOD.
        folder: For the files of the quick reader.
        seed: Chooses the damage.
        keep: Folder for files that caused a breach, a crash or a time-out.
    """

    def __init__(self, product: Product, name: str, folder: Path, *, seed: int = 0, keep: Path | None = None) -> None:
        self.product = product
        # Inspections of one project go one after the other; those of several fill the runner's places.
        self._projects = [product.store.create_project(f"fuzz of {name}, {n}").id for n in range(IN_FLIGHT)]
        product.project_id = self._projects[0]
        self.report = Report(before=product.memory())
        self._kind, self._file_name, make = GOOD[name]
        self._name, self._keep, self._folder = name, keep, folder
        self._good = make(folder / self._file_name).read_bytes()
        self._chance = random.Random(seed)
        self._waiting: dict[str, tuple[bytes, float]] = {}
        self._quick_seed = seed + 1

    def run(self, seconds: float, *, quick: bool = True) -> Report:
        """Fuzz for so long, let what is in flight end, look at everything once more."""
        stop = threading.Event()
        reader = threading.Thread(target=self._read_quickly, args=(stop,), name="quick reader")
        if quick:
            reader.start()
        until, next_check = time.monotonic() + seconds, 0.0
        try:
            while time.monotonic() < until and self.product.runner.is_alive and self.product.web.is_alive:
                if time.monotonic() >= next_check:
                    self._check()
                    self._by_page()
                    next_check = time.monotonic() + CHECK_EVERY_S
                while len(self._waiting) < IN_FLIGHT:
                    self._submit()
                self._collect()
                time.sleep(0.05)
            while self._waiting and self.product.runner.is_alive:
                self._collect()
                time.sleep(0.05)
        finally:
            stop.set()
            if quick:
                reader.join()
        self._check()
        self.report.after = self.product.memory() if self.product.web.is_alive and self.product.runner.is_alive else None
        return self.report

    def _damaged(self) -> tuple[bytes, str]:
        """A damaged copy and what its stranger calls it."""
        stem = self._chance.choice(STEMS) if self._chance.random() < 0.2 else "good"
        return mutated(self._good, self._chance, self._file_name), stem + PurePath(self._file_name).suffix

    def _submit(self) -> None:
        content, name = self._damaged()
        store, project_id = self.product.store, self._chance.choice(self._projects)
        if self._kind == "model":
            run = bring_model(store, project_id, io.BytesIO(content), name)
        else:
            run = bring_data(store, project_id, io.BytesIO(content), name)
        self._waiting[run.id] = (content, time.monotonic())

    def _by_page(self) -> None:
        """Hand one file to the page itself."""
        content, name = self._damaged()
        try:
            self._upload(content, name)
        except (OSError, AssertionError, WebSocketException) as error:
            self._breach(f"the page does not answer: {type(error).__name__} {error}", content)
            self.product.open_page()

    def _upload(self, content: bytes, name: str) -> None:
        before = {run.id for run in self.product.store.runs(self.product.project_id, limit=20)}
        drawn = self.product.page.upload(self.product.project_id, BOXES[self._kind], name.replace("\n", " "), content)
        self.report.breaches += [f"the page shows: {text}" for text in drawn.failures]
        new = [run for run in self.product.store.runs(self.product.project_id, limit=20) if run.id not in before]
        if not new:
            self._breach(f"an upload by the page did not reach the store: {drawn.alerts}", content)
        for run in new:
            self._waiting[run.id] = (content, time.monotonic())
            self.report.by_page += 1

    def _collect(self) -> None:
        for run_id, (content, since) in list(self._waiting.items()):
            run = self.product.store.run(run_id)
            if run.state.is_final:
                del self._waiting[run_id]
                self._judge(run, content)
            elif time.monotonic() - since > STUCK_S:
                del self._waiting[run_id]
                self._breach(f"run {run_id} is {run.state.value} after {STUCK_S:g} s", content)

    def _judge(self, run: Run, content: bytes) -> None:
        code = str((run.error or {}).get("code", run.state.value)) if run.state is not RunState.SUCCEEDED else "read"
        self.report.live[code] += 1
        seconds = (run.finished_at or 0.0) - (run.started_at or 0.0)
        self.report.slowest_s = max(self.report.slowest_s, seconds)
        if why := self._fault(run, code, seconds):
            self._breach(f"{why}: {(run.error or {}).get('line', '')} {self.product.store.log(run.id)[-1500:]}", content)
        elif run.state in (RunState.CRASHED, RunState.TIMED_OUT):
            self._save(code, content)

    def _fault(self, run: Run, code: str, seconds: float) -> str:
        """Why a run's end is not what was promised; empty where it is."""
        if seconds > READ_TIMEOUT_S + SLACK_S:
            return f"it took {seconds:.1f} s"
        if run.state is RunState.SUCCEEDED:
            return "" if self.product.store.report(run.id) else "a good result without a report"
        line = str((run.error or {}).get("line", ""))
        if not line or line != printable(line, 10_000) or not CODE.fullmatch(code):
            return f"no typed error of one line: {line!r}"
        if code in OURS or run.state in (RunState.INTERRUPTED, RunState.CANCELLED):
            return f"{code} is not the file's fault"
        return "an exception escaped" if "error id" in line else ""

    def _breach(self, words: str, content: bytes) -> None:
        self.report.breaches.append(f"{words} (file {self._save('breach', content)})")

    def _save(self, code: str, content: bytes) -> str:
        if self._keep is None:
            return "not kept"
        number = len(list(self._keep.glob(f"{self._name}-{code}-*")))
        path = self._keep / f"{self._name}-{code}-{number}{PurePath(self._file_name).suffix}"
        path.write_bytes(content)
        return str(path)

    def _check(self) -> None:
        self.report.checks += 1
        self.report.breaches += [words for words in self.product.breaches() if words not in self.report.breaches]

    def _read_quickly(self, stop: threading.Event) -> None:
        """The same damage, read in a plain child process: a hundred times as many files, without the sandbox around them."""
        chance, path = random.Random(self._quick_seed), self._folder / f"quick{PurePath(self._file_name).suffix}"
        reader = ReaderProcess(self._folder)
        while not stop.is_set():
            content = mutated(self._good, chance, self._file_name)
            path.write_bytes(content)
            answer = reader.read(path, self._kind, timeout=READ_TIMEOUT_S)
            self.report.quick[answer.code] += 1
            if answer.outcome == "escaped":
                self._breach(f"an exception escaped in the quick reader: {answer.detail}", content)
            elif answer.outcome in ("crashed", "timed out"):
                self._save(f"quick-{answer.code}", content)
            stop.wait(min(1.0, QUICK_PAUSE * answer.seconds))
        reader.close()
