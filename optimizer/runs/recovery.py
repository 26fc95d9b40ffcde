"""After a runner that died: its runs are marked, its processes, folders and half-stored results are removed."""

from __future__ import annotations

import shutil
import time

from optimizer.errors import RunError
from optimizer.runs.claims import Claims, LostRun
from optimizer.runs.processes import ProcessIdentity, kill_group
from optimizer.runs.retention import GRACE_S, discard_unused, hashes_in
from optimizer.runs.run import Run
from optimizer.runs.store import Store
from optimizer.runs.workspace import OUT

WORKER_END_S = 5.0
# A runner may have stored a file this long after its last heartbeat: another writer can hold the database.
SLACK_S = 30.0


def recover(store: Store, claims: Claims) -> list[Run]:
    """Mark the runs of dead runners INTERRUPTED and clean up. The caller holds the home's runner lock.

    Returns:
        The runs that were marked.
    """
    lost = claims.lost_runs()
    for each in lost:
        if each.worker is not None and each.worker.is_alive:
            _end(each.worker)
    interrupted = [_interrupt(store, claims, each) for each in lost]
    for folder in store.files.work.iterdir():
        shutil.rmtree(folder, ignore_errors=True)
    for path in store.files.logs.iterdir():
        path.unlink()
    store.objects.discard_leftovers(older_than_s=GRACE_S)
    discard_unused(store.database, store.objects)
    return interrupted


def _end(worker: ProcessIdentity) -> None:
    """Kill a worker that outlived its runner. Its identity was checked: a pid that was given to another process is left alone."""
    kill_group(worker.pid)
    deadline = time.monotonic() + WORKER_END_S
    while worker.is_alive and time.monotonic() < deadline:
        time.sleep(0.02)


def _interrupt(store: Store, claims: Claims, lost: LostRun) -> Run:
    """Mark one run, keep its log, and remove what its runner had stored but not committed."""
    folder = store.files.work / lost.work_folder.rpartition("/")[2] if lost.work_folder else None
    stored = set() if folder is None else hashes_in(folder / OUT)
    run = claims.interrupt(lost.run.id, artifacts=keep_log(store, lost.run.id))
    age_s = max(0.0, time.time() - lost.heartbeat_at - SLACK_S)
    discard_unused(store.database, store.objects, older_than_s=age_s, among=stored)
    return run


def keep_log(store: Store, run_id: str) -> dict[str, str]:
    """Move a run's log into the object store; empty where there is none, or no space for it."""
    path = store.files.logs / f"{run_id}.txt"
    try:
        with path.open("rb") as stream:
            return {"log.txt": store.add_file(stream, "log.txt").sha256}
    except FileNotFoundError:
        return {}
    except RunError as error:
        if error.code != "DISK_FULL":
            raise
        return {}
