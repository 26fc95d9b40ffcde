"""How long preparing a model for quantization-aware training takes, a layer: ours on EfficientNetB0 beside TFMOT's quantize_model on MobileNetV2.

Ours includes folding, the layout, the wrappers and the calibration on 16 samples; TFMOT's has no calibration. TFMOT raises on EfficientNetB0.
Prints CPU time a layer and the ratios; below 1 ours is faster: `python benchmarks/preparation.py [rounds]`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SIZE = 96
SAMPLES = 16
ROUNDS = 3


def ours(model: Any) -> None:
    import tensorflow as tf

    from optimizer.surgery.batch_normalization import FOLDABLE, fold_batch_normalization
    from optimizer.surgery.describing import wiring_of_keras
    from optimizer.surgery.fake_quantization import calibrate, with_fake_quantization
    from optimizer.surgery.integer_layout import TRAINED_WITH_NORMALIZATION, integer_layout
    from optimizer.surgery.wrapping import without_activity_penalties

    plain = without_activity_penalties(fold_batch_normalization(model, FOLDABLE - TRAINED_WITH_NORMALIZATION)[0])
    prepared = with_fake_quantization(plain, integer_layout(wiring_of_keras(plain)), per_tensor=False)
    calibrate(prepared, [tf.random.uniform((SAMPLES, SIZE, SIZE, 3))], steps=10)


def bare(model: Any) -> None:
    import tensorflow_model_optimization as tfmot

    tfmot.quantization.keras.quantize_model(model)


def cpu_seconds_a_layer(work: Callable[[Any], None], model: Any) -> float:
    started = time.process_time()
    work(model)
    return (time.process_time() - started) / len(model.layers)


def main() -> None:
    import tensorflow as tf

    applications = tf.keras.applications
    efficient = applications.EfficientNetB0(weights=None, input_shape=(SIZE, SIZE, 3), classes=10)
    mobile = applications.MobileNetV2(weights=None, input_shape=(SIZE, SIZE, 3), classes=10)
    cases = {"ours, EfficientNetB0": (ours, efficient), "ours, MobileNetV2": (ours, mobile), "TFMOT, MobileNetV2": (bare, mobile)}
    fastest: dict[str, float] = {}
    # Interleaved, CPU time, and the fastest of each: what else the machine does then counts least.
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS):
        for name, (work, model) in cases.items():
            fastest[name] = min(fastest.get(name, float("inf")), cpu_seconds_a_layer(work, model))
    for name, (_, model) in cases.items():
        print(f"{name:22} {len(model.layers):4} layers  {fastest[name] * 1000:6.1f} ms a layer")
    reference = fastest["TFMOT, MobileNetV2"]
    print(f"EfficientNetB0 / TFMOT's MobileNetV2, a layer: {fastest['ours, EfficientNetB0'] / reference:.2f}")
    print(f"MobileNetV2    / TFMOT's MobileNetV2, a layer: {fastest['ours, MobileNetV2'] / reference:.2f}")


if __name__ == "__main__":
    main()
