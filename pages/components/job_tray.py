"""Running and queued runs with progress, time left and a cancel button, and the runner's heartbeat; refreshes by itself."""

from __future__ import annotations

import streamlit as st

from optimizer.runs.run import Run, RunnerStatus, RunState
from optimizer.titles import in_words
from pages.components import session
from pages.components.compared import run_label
from pages.components.downloads import refusals
from pages.components.format import counted, duration_text, literal
from pages.components.guard import guarded

REFRESH_S = 2.0
MOST_SHOWN = 5
_STALE_HEARTBEAT_S = 15.0
_ACTIVE = (RunState.RUNNING, RunState.QUEUED)


def progress_words(run: Run) -> str:
    """What a running run does right now, in a few words."""
    progress = run.progress
    if run.cancel_requested:
        return "stopping"
    if run.state is RunState.QUEUED:
        return "queued"
    stage = in_words(progress.stage) or "starting"
    place = f"{progress.stage_index + 1}/{progress.stage_count} " if progress.stage_count > 1 else ""
    left = "" if progress.seconds_left is None else f", {duration_text(progress.seconds_left)} left"
    return f"{place}{stage}{left}"


def _finished_and_total(project_id: str | None) -> tuple[int, int]:
    counts = session.store().run_counts(project_id) if project_id else {}
    return sum(number for state, number in counts.items() if state.is_final), sum(counts.values())


def remember_drawn(project_id: str | None) -> None:
    """Note what the page that is being drawn knows of the project's runs."""
    st.session_state["drawn_runs"] = _finished_and_total(project_id)


@st.fragment(run_every=REFRESH_S)
def draw_tray(project_id: str | None) -> None:
    """The tray. Where a run was added or has finished since the page was drawn, it has the whole page drawn again."""
    with guarded("the job tray"):
        session.keep_runner_alive()
        if _finished_and_total(project_id) != st.session_state.get("drawn_runs") or refusals().unseen:
            refusals().unseen = False
            st.rerun(scope="app")
        store = session.store()
        running = store.runs(states=(RunState.RUNNING,), limit=MOST_SHOWN)
        queued = store.count_runs(states=(RunState.QUEUED,))
        waiting = store.runs(states=(RunState.QUEUED,), limit=1, offset=max(0, queued - 1)) if queued else []
        st.caption("Jobs" if running or queued else "Jobs: none")
        for run in [*reversed(running), *waiting][:MOST_SHOWN]:
            _draw_job(run, project_id)
        if queued > len(waiting):
            st.caption(f"and {counted(queued - len(waiting), 'job')} more in the queue")
        _draw_heartbeat(store.runner_status())


def _draw_job(run: Run, project_id: str | None) -> None:
    name, button = st.columns([5, 1], vertical_alignment="center", gap="small")
    other = "" if run.project_id == project_id else " (another project)"
    name.progress(
        min(1.0, max(0.0, run.progress.fraction)),
        text=f"**{literal(run_label(run))}**{other}  \n{literal(progress_words(run), 120)}",
    )
    if button.button(
        "",
        icon=":material/close:",
        key=f"cancel.{run.id}",
        help="Cancel this run",
        type="tertiary",
        disabled=run.cancel_requested,
    ):
        session.store().request_cancel(run.id)
        st.rerun(scope="fragment")


def _draw_heartbeat(status: RunnerStatus) -> None:
    age = status.heartbeat_age_s
    if not status.alive:
        st.caption(":orange[●] Runner: starting. Runs wait in the queue until it is up; nothing is lost.")
    elif age is not None and age > _STALE_HEARTBEAT_S:
        st.caption(f":orange[●] Runner: not heard of for {duration_text(age)}.")
    else:
        ready = f"{counted(status.spares_ready, 'worker')} ready" if status.spares_ready else "a worker is warming up"
        st.caption(f":green[●] Runner: alive, {'busy' if status.running and not status.spares_ready else ready}")
