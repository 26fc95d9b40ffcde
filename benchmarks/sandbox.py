"""What the sandbox costs: the time of one job in a confined process over that of the same job in a free one.

    python benchmarks/sandbox.py [--rounds 3] [--preset Balanced]

Each job runs the sample in a fresh process; confined and free ones take turns, in changing order. TensorFlow's import is part of the time.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def job(folder: Path, preset: str, confined: bool) -> None:
    """The child: one job of the sample in `folder`."""
    os.chdir(folder)
    os.environ.update(
        HOME=str(folder), TMPDIR=str(folder), TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3", JOBLIB_MULTIPROCESSING="0"
    )
    began = time.perf_counter()
    if confined:
        from optimizer.runs.sandbox.confinement import confine
        from optimizer.runs.sandbox.limits import limits_from_environment

        missing = confine(folder, readable=[ROOT / "assets"], limits=limits_from_environment(os.environ))
        if missing:
            raise SystemExit(f"this kernel has no {' and no '.join(missing)}")
    from optimizer.job import DataSource, Job
    from optimizer.pipeline import perform
    from optimizer.presets import presets
    from optimizer.runs.requests import SAMPLE_MODEL, SAMPLE_TRAIN_SAMPLES

    recipe = presets(SAMPLE_TRAIN_SAMPLES)[preset]
    order = Job(
        model=SAMPLE_MODEL,
        model_name=SAMPLE_MODEL.name,
        data=DataSource(name="digits"),
        recipe=recipe,
        out=folder / "out",
        work=folder / "tmp",
    )
    perform(order, lambda event: None, lambda: False)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"seconds {time.perf_counter() - began} {used.ru_utime + used.ru_stime}", flush=True)
    os._exit(0)


def timed(preset: str, confined: bool) -> tuple[float, float]:
    """Seconds on the clock and of processor time."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--job", folder, "--preset", preset, *(["--confined"] if confined else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    wall_s, processor_s = done.stdout.split("seconds ")[1].split()
    return float(wall_s), float(processor_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="Balanced")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--confined", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job is not None:
        job(options.job, options.preset, options.confined)
    times: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for number in range(options.rounds):
        for confined in (True, False) if number % 2 else (False, True):
            times[confined].append(timed(options.preset, confined))
    for column, name in enumerate(("clock", "processor")):
        inside, outside = ([entry[column] for entry in times[confined]] for confined in (True, False))
        ratio = statistics.median(one / other for one, other in zip(inside, outside, strict=True))
        print(f"{name:<10} confined {', '.join(f'{s:.1f}' for s in inside)} s; free {', '.join(f'{s:.1f}' for s in outside)} s; "
              f"confined over free: median {ratio:.3f}, of the best {min(inside) / min(outside):.3f} (wanted: under 1.03)")  # fmt: skip


if __name__ == "__main__":
    main()
