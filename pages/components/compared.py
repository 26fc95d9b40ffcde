"""Stored runs arranged for comparison: rows, deltas, Pareto front, the one sentence. Plain functions; nothing is drawn here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.errors import printable
from optimizer.measure.direction import FRACTIONS, HIGHER_IS_BETTER, METRIC_WORDS
from optimizer.runs.run import Run
from optimizer.titles import in_words
from pages.components.format import bytes_text, count_text, ms_text, percent_text, significant

QUALITY_ORDER = ("accuracy", "agreement", "auc", "mae", "mse", "f1", "deviation")
"""Which metric stands for a run's quality where it has several: what the task is judged by comes first."""
QUALITY_QUESTIONS = {
    "accuracy": "How accurate?",
    "agreement": "How alike?",
    "auc": "How good?",
    "f1": "How good?",
    "mae": "How wrong?",
    "mse": "How wrong?",
    "deviation": "How far off?",
}
QUALITY_SHORT = {"accuracy": "", "agreement": "", "auc": "AUC ", "f1": "F1 ", "mae": "MAE ", "mse": "MSE ", "deviation": ""}
_DATA_KEYS = ("bundled", "sha256", "label", "scaling", "task")


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A quality metric with its 95 % interval; `n` samples. `per` says what it counts where that is not the sample ("label", "step")."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    per: str = ""

    @property
    def words(self) -> str:
        """The metric in words: "accuracy per label"."""
        return METRIC_WORDS[self.metric] + (f" per {self.per}" if self.per else "")

    @property
    def higher_is_better(self) -> bool:
        """The metric's direction."""
        return HIGHER_IS_BETTER.get(self.metric, True)

    @property
    def text(self) -> str:
        """The value with its unit."""
        return quality_text(self.metric, self.value)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run in a comparison. `label` is short and unique in the view; all measurements are of the exported .tflite."""

    run: Run
    label: str
    is_baseline: bool
    size_bytes: float | None
    gzip_bytes: float | None
    p50_ms: float | None
    p95_ms: float | None
    arena_bytes: float | None
    macs: float | None
    parameters: float | None
    quality: Quality | None
    comparison: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Something that runs can be compared by."""

    title: str
    value: Callable[[Row], float | None]
    text: Callable[[float | None], str]
    budget: str = ""


AXES = {
    "size": Axis(title="file size", value=lambda row: row.size_bytes, text=bytes_text, budget="max_bytes"),
    "gzip": Axis(title="compressed size (gzip)", value=lambda row: row.gzip_bytes, text=bytes_text),
    "latency": Axis(title="latency, p50", value=lambda row: row.p50_ms, text=ms_text, budget="max_ms"),
    "memory": Axis(title="working memory", value=lambda row: row.arena_bytes, text=bytes_text),
    "macs": Axis(title="MACs", value=lambda row: row.macs, text=count_text),
}


def quality_of(metrics: Mapping[str, Any] | None) -> Quality | None:
    """The metric that a run's quality is judged by, or None where it has none."""
    return next(iter(qualities_of(metrics)), None)


def qualities_of(metrics: Mapping[str, Any] | None) -> list[Quality]:
    """Every quality metric of a run, what it is judged by first."""
    found = []
    for metric in QUALITY_ORDER:
        record = (metrics or {}).get(metric)
        if isinstance(record, Mapping) and record.get("value") is not None:
            low, high, n = (record.get(name) for name in ("low", "high", "n"))
            per = printable(record.get("per") or "", 20)
            found.append(Quality(metric=metric, value=record["value"], low=low, high=high, n=n, per=per))
    return found


def quality_text(metric: str, value: float | None) -> str:
    """A quality value with its unit: per cent for fractions, three digits otherwise."""
    if value is None:
        return "–"
    return percent_text(value) if metric in FRACTIONS else significant(value)


def run_label(run: Run, limit: int = 26) -> str:
    """A run's name, short enough for a chart."""
    return printable(run.name or run.recipe_in_words or run.id[:6], limit)


def rows_of(runs: Sequence[Run], baseline: Run | None) -> list[Row]:
    """The baseline and the runs as rows; equal names are told apart by the beginning of the run's id."""
    chosen = [*([baseline] if baseline else []), *runs]
    labels = told_apart({run.id: run_label(run) for run in chosen})
    return [_row(run, labels[run.id], is_baseline=baseline is not None and run.id == baseline.id) for run in chosen]


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Names by id, with the beginning of the id where two are equal: Streamlit's lists tell options apart by their text alone."""
    counts = Counter(names.values())
    return {each: f"{name} {each[:6]}" if counts[name] > 1 else name for each, name in names.items()}


def _row(run: Run, label: str, *, is_baseline: bool) -> Row:
    metrics = run.metrics or {}
    latency = metrics.get("latency_ms") or {}
    return Row(
        run=run,
        label=label,
        is_baseline=is_baseline,
        p50_ms=latency.get("p50"),
        p95_ms=latency.get("p95"),
        quality=quality_of(metrics),
        comparison=run.comparison or {},
        **{name: metrics.get(name) for name in ("size_bytes", "gzip_bytes", "arena_bytes", "macs", "parameters")},
    )


def not_comparable(run: Run, baseline: Run) -> str:
    """Why a run cannot stand beside a baseline; empty where it can."""
    if data_identity(run.inputs.get("data")) != data_identity(baseline.inputs.get("data")):
        return f"measured on other data ({_name_of(run, 'data')}, not {_name_of(baseline, 'data')})"
    if (run.inputs.get("model") or {}).get("sha256") != (baseline.inputs.get("model") or {}).get("sha256"):
        return f"made from another model ({_name_of(run, 'model')}, not {_name_of(baseline, 'model')})"
    if run.seed != baseline.seed:
        return f"seed {run.seed} splits the data in another way than seed {baseline.seed}, so the test samples differ"
    return ""


def data_identity(source: Mapping[str, Any] | None) -> dict[str, Any]:
    """What makes two data sources the same measurements' ground: file or bundled set, label column, scaling, test file."""
    source = source or {}
    return {**{key: source.get(key) or None for key in _DATA_KEYS}, "test": (source.get("test") or {}).get("sha256")}


def _name_of(run: Run, part: str) -> str:
    source = run.inputs.get(part) or {}
    return printable(source.get("name") or source.get("bundled") or "unnamed", 60)


def dominated(rows: Sequence[Row], axis: str) -> set[str]:
    """Ids of runs that another one beats: at least as good in quality and on the axis, and better in one of them."""
    points = [(row.id, AXES[axis].value(row), _goodness(row)) for row in rows]
    known = [(run_id, cost, goodness) for run_id, cost, goodness in points if cost is not None and goodness is not None]
    return {
        run_id
        for run_id, cost, goodness in known
        if any(c <= cost and g >= goodness and (c < cost or g > goodness) for other, c, g in known if other != run_id)
    }


def _goodness(row: Row) -> float | None:
    if row.quality is None:
        return None
    return row.quality.value if row.quality.higher_is_better else -row.quality.value


def least_quality(baseline: Row, budget: Mapping[str, Any]) -> float | None:
    """The worst quality that the budget allows, None where it sets no limit. `max_accuracy_drop` is a fraction."""
    drop = budget.get("max_accuracy_drop")
    if drop is None or baseline.quality is None or baseline.quality.metric not in FRACTIONS:
        return None
    return baseline.quality.value - float(drop)


def budget_misses(row: Row, baseline: Row, budget: Mapping[str, Any]) -> list[str]:
    """Which limits of the budget a run misses, in words."""
    misses = []
    for axis in AXES.values():
        limit, value = budget.get(axis.budget) if axis.budget else None, axis.value(row)
        if limit is not None and value is not None and value > limit:
            misses.append(f"{axis.title} {axis.text(value)} is above {axis.text(float(limit))}")
    least = least_quality(baseline, budget)
    if least is not None and row.quality is not None and row.quality.value < least:
        misses.append(f"{row.quality.words} {row.quality.text} is below {quality_text(row.quality.metric, least)}")
    return misses


def differing_settings(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The settings that differ between runs: column names, and a line of texts for each row (empty where a run has no such step).

    A setting that only one of the runs has is told by its recipe in words already; it is a column where two runs have it and disagree.
    """
    flat = [_flat_recipe(row.run.recipe or {}) for row in rows]
    names = list(dict.fromkeys(name for settings in flat for name in settings))
    columns = [name for name in names if len({settings[name] for settings in flat if name in settings}) > 1]
    short = Counter(name.rsplit(": ", 1)[-1] for name in columns)
    titles = [name.rsplit(": ", 1)[-1] if short[name.rsplit(": ", 1)[-1]] == 1 else name for name in columns]
    return titles, [[settings.get(name, "") for name in columns] for settings in flat]


def _flat_recipe(recipe: Mapping[str, Any]) -> dict[str, str]:
    result = {"seed": str(recipe.get("seed", 0))}
    seen: Counter[str] = Counter()
    for step in recipe.get("steps", []):
        name = in_words(str(step.get("technique", "")))
        seen[name] += 1
        place = name if seen[name] == 1 else f"{name} {seen[name]}"
        for setting, value in step.items():
            if setting != "technique":
                text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
                result[f"{place}: {in_words(str(setting))}"] = printable(text, 60)
    return result
