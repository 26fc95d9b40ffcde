"""What stands beside every page: the project, its baseline in four numbers, its budget, the job tray."""

from __future__ import annotations

from typing import Any

import streamlit as st

from optimizer.measure.direction import METRIC_WORDS
from optimizer.runs.run import Project
from pages.components import session
from pages.components.baseline import baseline_of
from pages.components.compared import quality_of, told_apart
from pages.components.format import bytes_text, count_text, literal, ms_text
from pages.components.job_tray import draw_tray, remember_drawn

_KB = 1024
_NEW = "new"


def draw_sidebar(project: Project | None) -> None:
    """Draw all of it. The tray refreshes by itself; the rest follows when a run finishes."""
    with st.sidebar:
        _draw_picker(project)
        if project is not None:
            _draw_baseline(project)
            _draw_budget(project)
        remember_drawn(project.id if project else None)
        draw_tray(project.id if project else None)


def _draw_picker(project: Project | None) -> None:
    names = told_apart({each.id: each.name for each in session.store().projects()})
    if not names:
        return
    options = [*names, _NEW]
    shown = project.id if project else _NEW
    key = f"project.{shown}"
    picker, rename = st.columns([5, 1], gap="xsmall", vertical_alignment="bottom")
    picker.selectbox(
        "Project",
        options,
        options.index(shown),
        format_func=lambda option: names.get(option, "New project…"),
        key=key,
        on_change=_pick,
        args=(key, shown),
    )
    if project is not None:
        with rename.popover("", icon=":material/edit:", help="Rename the project", type="tertiary"):
            st.text_input(
                "Name of the project",
                value=project.name,
                max_chars=80,
                key=f"rename.{project.id}",
                on_change=_rename,
                args=(project.id,),
            )


def _pick(key: str, shown: str) -> None:
    """Bring another project into view. After a rerun that the job tray asks for, Streamlit calls this without a choice."""
    picked = st.session_state[key]
    if picked == shown:
        return
    if picked == _NEW:
        session.begin_new_project()
    else:
        session.show_project(picked)
    for parameter in ("runs", "chosen", "run", "baseline"):
        st.query_params.pop(parameter, None)


def _rename(project_id: str) -> None:
    name = st.session_state.get(f"rename.{project_id}", "").strip()
    if name and name != session.store().project(project_id).name:
        session.store().rename_project(project_id, name)


def _draw_baseline(project: Project) -> None:
    came = (project.model or {}).get("format") == "tflite"
    st.caption("Baseline: the .tflite as it came" if came else "Baseline: the original as float32 .tflite")
    baseline = baseline_of(session.store(), project)
    metrics: dict[str, Any] = dict(baseline.metrics or {}) if baseline else {}
    quality = quality_of(metrics)
    left, right = st.columns(2, gap="small")
    model_macs = (project.model or {}).get("macs")
    left.metric("Size", bytes_text(metrics.get("size_bytes")))
    right.metric("Latency, p50", ms_text((metrics.get("latency_ms") or {}).get("p50")))
    left.metric(_short(quality.metric) if quality else "Accuracy", quality.text if quality else "–")
    right.metric("MACs", count_text(metrics.get("macs") or model_macs))
    if baseline is None:
        st.caption("It is measured with the first experiment." if project.model else "Bring a model to begin.")


def _short(metric: str) -> str:
    words = {"mae": "MAE", "mse": "MSE", "agreement": "Agreement", "deviation": "Deviation"}.get(metric, METRIC_WORDS[metric])
    return words[:1].upper() + words[1:]


def _draw_budget(project: Project) -> None:
    budget = project.budget
    with (
        st.expander(f"Budget: {literal(_budget_words(budget), 120)}", key=f"budget-{project.id}"),
        st.form(f"budget.{project.id}", border=False),
    ):
        device = st.text_input("Device", value=str(budget.get("device") or ""), max_chars=60, placeholder="e.g. Raspberry Pi 4")
        size = st.number_input(
            "File, at most (KB)", 0.0, value=_scaled(budget.get("max_bytes"), 1 / _KB), step=10.0, placeholder="no limit"
        )
        latency = st.number_input(
            "Latency p50, at most (ms)", 0.0, value=_scaled(budget.get("max_ms"), 1), step=0.1, placeholder="no limit"
        )
        drop = st.number_input(
            "Accuracy drop, at most (points)",
            0.0,
            100.0,
            value=_scaled(budget.get("max_accuracy_drop"), 100),
            step=0.5,
            placeholder="no limit",
        )
        if st.form_submit_button("Save the budget", width="stretch"):
            limits = {"max_bytes": _scaled(size, _KB), "max_ms": _scaled(latency, 1), "max_accuracy_drop": _scaled(drop, 0.01)}
            kept = {name: value for name, value in {"device": device.strip(), **limits}.items() if value not in (None, "")}
            session.store().set_budget(project.id, kept)
            st.rerun()


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else float(value) * factor


def _budget_words(budget: Any) -> str:
    parts = [str(budget["device"])] if budget.get("device") else []
    if budget.get("max_bytes") is not None:
        parts.append(f"≤ {bytes_text(budget['max_bytes'])}")
    if budget.get("max_ms") is not None:
        parts.append(f"≤ {ms_text(budget['max_ms'])}")
    if budget.get("max_accuracy_drop") is not None:
        drop = f"{budget['max_accuracy_drop'] * 100:g}"
        parts.append(f"≤ {drop} {'point' if drop == '1' else 'points'} lost")
    return ", ".join(parts) or "none set"
