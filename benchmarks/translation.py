"""How long the translation of ResNet50 (Keras 3, weights=None) takes, and how much memory it adds.

    python benchmarks/translation.py [--architecture ResNet50] [--compare] [--of-tf-keras]

Keras 3 makes the file in another process. Printed are the time of the preflight and of loading, and the growth of the process's peak memory, in
seconds and as a multiple of the file's size; imports are not counted. Wanted: under 10 s, under 3 times the file. --compare also asks the original.
--of-tf-keras takes a .keras of tf-keras instead, which is not translated, and prints how long tf_keras.models.load_model takes beside ours.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from optimizer.sources.keras_3 import agreement, rebuilding  # noqa: E402, F401
from optimizer.sources.keras_model import load_keras_model  # noqa: E402
from optimizer.sources.preflight import read_model_summary  # noqa: E402

MAKE = "import sys, keras; getattr(keras.applications, sys.argv[1])(weights=None).save(sys.argv[2])"
STATUS = Path("/proc/self/status")


class Peak:
    """Largest resident memory of this process while it is watched, in bytes."""

    def __enter__(self) -> Peak:
        self.start = self.highest = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            self.highest = max(self.highest, _resident())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        """Bytes above the start."""
        return self.highest - self.start


def _resident() -> int:
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def beside_tf_keras(architecture: str) -> None:
    """Both load the same file, in turn, three times."""
    import tf_keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        getattr(tf_keras.applications, architecture)(weights=None).save(path)
        summary = read_model_summary(path, name=path.name)
        seconds: dict[str, list[float]] = {"ours": [], "tf-keras": []}
        for _ in range(3):
            for name in seconds:
                started = time.perf_counter()
                if name == "ours":
                    load_keras_model(path, summary)
                else:
                    tf_keras.models.load_model(path, compile=False)
                seconds[name].append(time.perf_counter() - started)
        ours, theirs = min(seconds["ours"]), min(seconds["tf-keras"])
        print(f"{architecture}: {path.stat().st_size / 1024**2:.0f} MB .keras of tf-keras")
        print(f"load {ours:.1f} s, tf-keras {theirs:.1f} s, ours / tf-keras {ours / theirs:.2f} (checksum and copy counted)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", default="ResNet50")
    parser.add_argument("--compare", action="store_true", help="also load the original with Keras 3, and compare the outputs")
    parser.add_argument("--of-tf-keras", action="store_true", help="load a .keras of tf-keras, beside tf-keras itself")
    options = parser.parse_args()
    if options.of_tf_keras:
        beside_tf_keras(options.architecture)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}
        subprocess.run([sys.executable, "-c", MAKE, options.architecture, str(path)], check=True, env=environment)
        size = path.stat().st_size
        import tf_keras

        # The first layer that is ever built pays for what TensorFlow sets up once.
        tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(1,))])
        started, cpu = time.perf_counter(), time.process_time()
        with Peak() as peak:
            summary = read_model_summary(path, name=path.name)
            checked = time.perf_counter()
            model = load_keras_model(path, summary)
            loaded, cpu = time.perf_counter(), time.process_time() - cpu
        megabyte = 1024**2
        print(f"{options.architecture}: {size / megabyte:.0f} MB .keras, {model.count_params():,} parameters")
        print(
            f"preflight {checked - started:.1f} s, load {loaded - checked:.1f} s, together {loaded - started:.1f} s (wanted < 10)"
        )
        print(f"peak memory +{peak.growth / megabyte:.0f} MB, {peak.growth / size:.1f} times the file (wanted < 3)")
        if options.compare:
            import keras

            with Peak() as peak:
                found = agreement.compare_with_original(path, summary, model)
            print(
                f"compared in {time.perf_counter() - loaded:.1f} s, +{peak.growth / megabyte:.0f} MB (Keras {keras.__version__})"
            )
            print(found.in_words(summary.keras_version))


if __name__ == "__main__":
    main()
