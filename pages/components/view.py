"""Which runs a comparison shows: read from the URL, chosen on the page, written back to the URL."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from optimizer.runs.run import Run, RunKind, RunState
from optimizer.runs.store import Store
from pages.components import palette
from pages.components.compared import not_comparable, run_label, told_apart
from pages.components.look import Look

MOST_OFFERED = 200
SHOWN_AT_FIRST = 6


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Finished experiments that can stand beside a baseline, newest first; the others with the reason why they cannot."""

    comparable: Sequence[Run]
    others: Sequence[tuple[Run, str]]


def offer(store: Store, project_id: str, baseline: Run) -> Offer:
    """Sort the project's finished experiments into what can be compared with this baseline and what cannot."""
    runs = store.runs(project_id, kinds=(RunKind.EXPERIMENT,), states=(RunState.SUCCEEDED,), limit=MOST_OFFERED)
    runs += _older_runs_of_url(store, project_id, {run.id for run in runs})
    judged = [(run, not_comparable(run, baseline)) for run in runs]
    return Offer(comparable=[run for run, reason in judged if not reason], others=[each for each in judged if each[1]])


def _older_runs_of_url(store: Store, project_id: str, known: Container[str]) -> list[Run]:
    """Runs that the URL names and that are not among the newest."""
    found = []
    for run_id in dict.fromkeys(st.query_params.get("runs", "").split(",")[:MOST_OFFERED]):
        if run_id and run_id not in known:
            with contextlib.suppress(KeyError):
                found.append(store.run(run_id))
    return [run for run in found if run.project_id == project_id and run.state is RunState.SUCCEEDED]


def choose_baseline(baselines: Sequence[Run], preferred: Run | None) -> Run:
    """The baseline to compare with; a choice only where there are several. `baselines` must not be empty."""
    ids = {run.id: run for run in baselines}
    wanted = st.query_params.get("baseline", "")
    start = ids.get(wanted) or preferred or baselines[0]
    if len(ids) == 1:
        return start
    words = told_apart({run.id: _words(run) for run in baselines})
    chosen = st.selectbox("Compare with", list(ids), index=list(ids).index(start.id), format_func=lambda run_id: words[run_id])
    if chosen != start.id:
        st.query_params["baseline"] = chosen
        st.query_params.pop("runs", None)
    return ids[chosen]


def _words(run: Run) -> str:
    data = run.inputs.get("data") or {}
    model = (run.inputs.get("model") or {}).get("name", "model")
    return f"{model} on {data.get('name') or data.get('bundled')}, seed {run.seed}"


def choose_runs(comparable: Sequence[Run]) -> list[Run]:
    """The runs in view, in the order they were made; kept in the URL, so that the view can be sent and survives a reload."""
    by_id = {run.id: run for run in reversed(comparable)}
    labels = told_apart({run_id: run_label(run, 40) for run_id, run in by_id.items()})
    shown = [run.id for run in comparable[:SHOWN_AT_FIRST]][::-1]
    if "runs" in st.query_params:
        shown = [run_id for run_id in dict.fromkeys(st.query_params["runs"].split(",")) if run_id in by_id]
    key = _key_of_widget_that_shows(shown)
    st.multiselect(
        "Runs beside the baseline",
        list(by_id),
        default=shown,
        format_func=lambda run_id: labels[run_id],
        key=key,
        on_change=_keep_runs,
        args=(key, shown),
        placeholder="Choose runs",
        help=f"Until you choose, the newest ones are shown, and more as they finish. The newest {MOST_OFFERED} are on offer.",
    )
    return [by_id[run_id] for run_id in shown]


def _key_of_widget_that_shows(shown: Sequence[str]) -> str:
    """The key of the list on the page where it shows these runs; else of a new one, which starts with them.

    A list whose value is set from here would answer with its old value once more, which looks like a choice.
    """
    number = st.session_state.setdefault("run_list", 0)
    if st.session_state.get(f"run_list.{number}") != list(shown):
        number += 1
        st.session_state["run_list"] = number
    return f"run_list.{number}"


def _keep_runs(key: str, shown: Sequence[str]) -> None:
    """Write a choice to the URL. After a rerun that the job tray asks for, Streamlit calls this without one."""
    if st.session_state[key] == list(shown):
        return
    st.query_params["runs"] = ",".join(st.session_state[key])


def choose_accent(runs: Sequence[Run], first: str) -> str:
    """The one run that the sentence and the accent speak of: `first` unless the URL names another."""
    labels = told_apart({run.id: run_label(run, 40) for run in runs})
    wanted = st.query_params.get("chosen", "")
    chosen = wanted if wanted in labels else first
    key, ids = f"accent.{chosen}", list(labels)
    st.selectbox(
        "In focus",
        ids,
        ids.index(chosen),
        format_func=lambda run_id: labels[run_id],
        key=key,
        on_change=_keep_accent,
        args=(key, chosen),
    )
    return chosen


def _keep_accent(key: str, chosen: str) -> None:
    if st.session_state[key] == chosen:
        return
    st.query_params["chosen"] = st.session_state[key]


def look_of(runs: Sequence[Run], chosen: str, budget: Mapping[str, object]) -> Look:
    """Colours of this view; a run keeps its colour while others come and go."""
    places = palette.places_in_series([run.id for run in runs], st.session_state.get("colours", {}))
    st.session_state["colours"] = places
    return Look(chosen=chosen, places=places, dark=st.context.theme.type == "dark", budget=budget)
