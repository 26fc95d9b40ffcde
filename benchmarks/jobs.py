"""How soon a submitted job starts, and how long the sample takes, from a home that is empty.

    python benchmarks/jobs.py [--starts 3]

A real runner is started. Once a spare worker is warm, the sample (baseline and three presets) is submitted and timed to the last result;
then a few jobs, each when a spare is warm again, are timed from submission to their start.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def wait_until(condition, limit_s: float) -> None:  # noqa: ANN001
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("gave up waiting")
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=3)
    options = parser.parse_args()
    from optimizer.presets import presets
    from optimizer.runs.launch import ensure_runner
    from optimizer.runs.requests import run_recipe, try_sample
    from optimizer.runs.run import RunKind
    from optimizer.runs.store import Store

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        store = Store(home)
        launched = time.monotonic()
        ensure_runner(home)
        wait_until(lambda: store.runner_status().spares_ready >= 1, 120)
        print(f"runner with a warm spare worker after {time.monotonic() - launched:.1f} s")
        try:
            started = time.monotonic()
            project = try_sample(store)
            wait_until(lambda: all(run.state.is_final for run in store.runs(project.id)), 600)
            runs = [run for run in store.runs(project.id) if run.kind in (RunKind.BASELINE, RunKind.EXPERIMENT)]
            print(f"sample, {len(runs)} runs: {time.monotonic() - started:.1f} s (wanted: under 120)")
            for run in reversed(runs):
                print(f"  {run.name}: {run.state.value}, {(run.finished_at or 0) - (run.started_at or 0):.1f} s")
            delays = []
            for number in range(options.starts):
                wait_until(lambda: store.runner_status().spares_ready >= 1, 120)
                run = run_recipe(store, project.id, presets()["Safe"], name=f"start {number}")
                wait_until(lambda run=run: store.run(run.id).state.is_final, 300)
                done = store.run(run.id)
                delays.append((done.started_at or 0) - done.created_at)
            print(
                f"submission to start with a warm spare: median {statistics.median(delays):.2f} s, worst {max(delays):.2f} s (wanted: under 1)"
            )
        finally:
            os.kill(store.runner_status().pid, signal.SIGTERM)
            time.sleep(2)


if __name__ == "__main__":
    main()
