"""Which technique takes which architecture: Litesmith's matrix beside bare TFMOT's.

    python benchmarks/coverage.py [--resume FILE] [--only REGEX] [--fast] [--eager] [--part 1/2] [--side ours] [--seconds-a-cell 1800] [--print]

Rows are every architecture of keras.applications and tf_keras.applications (weights=None, 10 classes, the smallest input that it takes)
and the layer families of tests/zoo.py; columns are all registered techniques. A cell of ours runs the technique for one epoch on random
data, converts, and compares the .tflite with the optimized Keras model: "agrees", with the relative difference, and how many notes named
something that was left as it is. A cell of TFMOT's only asks whether its wrapper takes the same model ("file not read" where Keras 3 wrote it,
and tf-keras makes nothing of it); TFMOT trains no students, and its post-training quantization is TensorFlow's converter.

Finished cells are kept in the resume file (docs/coverage.jsonl), one JSON line each, and are not run again: the whole takes hours on two cores.
`--fast` takes the smallest architecture of each family. `--eager` trains without compiling the few steps first, in a third of the time,
and converts as ever; tests/test_architectures.py has the compiled steps of each family's first blocks. `--print` only prints what the
file holds. Exit status 1 where a cell of ours failed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
import agreement  # noqa: E402

CELLS = Path(__file__).with_name("coverage_cells.py")
SIDES = ("ours", "bare")
LARGE_BYTES = 300_000_000
WRAPPED_BY_TFMOT = ("quantization_aware_training", "magnitude_pruning", "weight_clustering")


def rows_of_matrix() -> list[tuple[str, str]]:
    """(maker, architecture): one a family, then the others, then the layer families."""
    import architectures
    import zoo

    found = [(maker, name) for maker in ("keras", "tf_keras") for name in architectures.names(maker)]
    return sorted(found, key=lambda row: not architectures.SMALL.fullmatch(row[1])) + [("zoo", name) for name in zoo.MODELS]


class Results:
    """The resume file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.records: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        for record in map(json.loads, lines):
            if record["side"] == "bare" or record.get("judging") == agreement.JUDGING:
                self._keep(record)

    def _keep(self, record: dict[str, Any]) -> None:
        self.records[record["maker"], record["architecture"], record["side"], record["technique"]] = record

    def add(self, record: dict[str, Any]) -> None:
        """Keep a cell, in memory and in the file."""
        self._keep(record)
        with self._path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def missing(self, maker: str, architecture: str, side: str, techniques: Iterable[str]) -> list[str]:
        """Cells of a row that have no result yet."""
        return [name for name in techniques if (maker, architecture, side, name) not in self.records]


def run_row(
    maker: str,
    architecture: str,
    results: Results,
    techniques: list[str],
    sides: Iterable[str],
    seconds_a_cell: float,
    flags: list[str],
) -> None:
    """Build one architecture and fill what is missing of its row."""
    compared = [name for name in techniques if name in WRAPPED_BY_TFMOT]
    wanted = {"ours": results.missing(maker, architecture, "ours", techniques)}
    wanted["bare"] = results.missing(maker, architecture, "bare", compared)
    wanted = {side: cells if side in sides else [] for side, cells in wanted.items()}
    if not any(wanted.values()):
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if wanted["ours"] or maker != "tf_keras":
            command = _command("build", maker, architecture, folder, *(["--for-ours"] if wanted["ours"] else []))
            built = subprocess.run(command, capture_output=True, text=True, check=False)
            if built.returncode != 0:
                raise SystemExit(f"{maker} {architecture} could not be built:\n{built.stderr[-2000:]}")
        for side in SIDES:
            missing = wanted[side]
            while missing:
                # What one technique leaves in memory is as large as the model: large ones get a process a cell.
                large = side == "ours" and agreement.model_of(folder).stat().st_size > LARGE_BYTES
                now = missing[:1] if large else missing
                for record in _cells(_command(side, maker, architecture, folder, *now, *flags), seconds_a_cell, now):
                    results.add({"maker": maker, "architecture": architecture, "side": side, **record})
                    print(f"{maker} {architecture} {side} {json.dumps(record)[:300]}", flush=True)
                before, missing = missing, results.missing(maker, architecture, side, missing)
                if missing == before:
                    raise SystemExit(f"{maker} {architecture}: nothing came of {missing}")


def _command(work: str, maker: str, architecture: str, folder: Path, *more: str) -> list[str]:
    return [sys.executable, str(CELLS), work, maker, architecture, str(folder), *more]


def _cells(command: list[str], seconds_a_cell: float, techniques: list[str]) -> Iterator[dict[str, Any]]:
    """Records of one child; a child that dies or hangs gives a record for the cell that it was at."""
    done = 0
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert child.stdout is not None
        limit = _Alarm(child, seconds_a_cell)
        for line in child.stdout:
            if line.startswith("CELL "):
                limit.restart()
                done += 1
                yield json.loads(line.removeprefix("CELL "))
        limit.stop()
        if child.wait() != 0 and done < len(techniques):
            errors.seek(0)
            outcome = "TIMED_OUT" if limit.rang else "CRASHED"
            yield {
                "technique": techniques[done],
                "outcome": outcome,
                "detail": errors.read()[-400:],
                "judging": agreement.JUDGING,
            }


class _Alarm:
    """Kills a child that says nothing for a while."""

    def __init__(self, child: subprocess.Popen[str], seconds: float) -> None:
        import threading

        self.rang, self._child, self._seconds = False, child, seconds
        self._until, self._stopped = time.monotonic() + seconds, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def restart(self) -> None:
        self._until = time.monotonic() + self._seconds

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(1.0):
            if time.monotonic() > self._until:
                self.rang = True
                self._child.kill()
                return


def print_matrix(results: Results, rows: list[tuple[str, str]], techniques: list[str]) -> int:
    """The matrix, and its sums; returns how many cells of ours failed."""
    print("\n| model | " + " | ".join(techniques) + " |\n|---|" + "---|" * len(techniques))
    counts = {(side, name): [0, 0] for side in SIDES for name in techniques}
    for maker, architecture in rows:
        texts = []
        for name in techniques:
            cells = {side: results.records.get((maker, architecture, side, name)) for side in SIDES}
            for side, cell in cells.items():
                # A cell that has not run is no success: a part of the matrix must not look like the whole.
                asked = side == "ours" or name in WRAPPED_BY_TFMOT
                counts[side, name][0] += cell is not None and cell["outcome"] in ("agrees", "works")
                counts[side, name][1] += asked
            texts.append(f"{_words(cells['ours'])}; TFMOT {_words(cells['bare'])}")
        print(f"| {maker} {architecture} | " + " | ".join(texts) + " |")
    for side in SIDES:
        print(f"| **{side}** | " + " | ".join("{} of {}".format(*counts[side, name]) for name in techniques) + " |")
    return sum(total - good for (side, _), (good, total) in counts.items() if side == "ours")


def _words(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "–"
    if cell["outcome"] == "agrees":
        return f"{cell['difference']:.1g}" + (f", {cell['left']} notes" if cell["left"] else "")
    return str(cell["outcome"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", type=Path, default=ROOT / "docs" / "coverage.jsonl")
    parser.add_argument("--only", default="", help="regular expression over 'maker architecture'")
    parser.add_argument("--techniques", default="", help="comma-separated; all without it")
    parser.add_argument("--fast", action="store_true", help="the smallest architecture of each family only")
    parser.add_argument("--eager", action="store_true", help="train without compiling the steps first")
    parser.add_argument(
        "--part", default="1/1", help="k/n takes every n-th row from the k-th on; parts may run at once with one file"
    )
    parser.add_argument("--side", choices=SIDES, action="append", help="fill cells of this side only")
    parser.add_argument("--seconds-a-cell", type=float, default=1800.0)
    parser.add_argument("--print", action="store_true", dest="only_print")
    options = parser.parse_args()
    from optimizer.technique import registry

    techniques = options.techniques.split(",") if options.techniques else list(registry())
    rows = [row for row in rows_of_matrix() if re.search(options.only, " ".join(row))]
    if options.fast:
        from architectures import SMALL

        rows = [row for row in rows if row[0] == "zoo" or SMALL.fullmatch(row[1])]
    results = Results(options.resume)
    if not options.only_print:
        part, parts = map(int, options.part.split("/"))
        for maker, architecture in rows[part - 1 :: parts]:
            flags = ["--eager"] if options.eager else []
            run_row(maker, architecture, results, techniques, options.side or SIDES, options.seconds_a_cell, flags)
    return int(print_matrix(results, rows, techniques) > 0)


if __name__ == "__main__":
    sys.exit(main())
