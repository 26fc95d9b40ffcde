"""How soon the dashboard answers, how fast pages switch, how much memory it holds, in one run.

    python benchmarks/dashboard.py [--runs 1000] [--rounds 5]

Start: time from launching the server to the first drawn heading in a headless Chromium, beside a one-line Streamlit app started in turn.
Switching: with that many runs in the store, time from a click in the menu to the other page's heading, in the same browser tab.
Memory: resident size of the web process after that. Needs requirements-dev.txt and a Chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGES = {
    "Model & Data": "Model & Data",
    "Experiment": "Experiment",
    "Runs": "Runs",
    "Compare": "Compare",
    "Start": "Make your model fit",
}
ONE_LINE = 'import streamlit as st; st.title("one line")\n'


@contextmanager
def server(script: Path, home: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    """A Streamlit server of `script` on a free port: (process, address, time of launch)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), "--server.headless", "true"]
    environment = {**os.environ, "LITESMITH_HOME": str(home)}
    launched = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process, f"http://127.0.0.1:{port}", launched
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_port(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)


def start_seconds(browser, script: Path, home: Path) -> float:  # noqa: ANN001
    """From launch to the first heading on the screen."""
    with server(script, home) as (_, address, launched):
        wait_for_port(address)
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("h1, h2")
        seconds = time.monotonic() - launched
        page.close()
    return seconds


def switch_milliseconds(page, rounds: int) -> dict[str, list[float]]:  # noqa: ANN001
    """From a click in the menu to the other page's heading, by page."""
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for link, heading in PAGES.items():
            target = page.get_by_test_id("stSidebarNav").get_by_role("link", name=link, exact=True)
            started = time.monotonic()
            target.click()
            page.get_by_role("heading", name=heading, exact=True).first.wait_for()
            times.setdefault(link, []).append((time.monotonic() - started) * 1000)
            page.wait_for_timeout(400)
    return times


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from tests.pages.seed import seed

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home, one_line = Path(folder) / "home", Path(folder) / "one_line.py"
        one_line.write_text(ONE_LINE)
        seed(home, many=options.runs)
        browser = playwright.chromium.launch(executable_path=chromium)
        starts = [
            (start_seconds(browser, ROOT / "app.py", home), start_seconds(browser, one_line, home)) for _ in range(options.rounds)
        ]
        ratio = statistics.median(ours / theirs for ours, theirs in starts)
        print(f"start: Litesmith {statistics.median(s[0] for s in starts):.2f} s, one line {statistics.median(s[1] for s in starts):.2f} s, "
              f"median ratio {ratio:.2f} (wanted: at most 1.5)")  # fmt: skip
        with server(ROOT / "app.py", home) as (process, address, _):
            wait_for_port(address)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            page.wait_for_selector("h1, h2")
            switch_milliseconds(page, 1)
            times = switch_milliseconds(page, max(options.rounds, 8))
            every = sorted(t for each in times.values() for t in each)
            for name, each in times.items():
                print(f"switch to {name}: median {statistics.median(each):.0f} ms, worst {max(each):.0f} ms")
            p95 = every[min(len(every) - 1, round(0.95 * len(every)))]
            print(f"switching with {options.runs} runs stored: p95 {p95:.0f} ms over {len(every)} switches (wanted: under 300)")
            print(f"memory of the web process: {resident_bytes(process.pid) / 1e6:.0f} MB (wanted: under 400)")
        browser.close()


if __name__ == "__main__":
    main()
