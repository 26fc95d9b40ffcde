"""Model & Data: bring them, see what is in them, and what was refused and why."""

import streamlit as st

from optimizer.runs.requests import bring_model
from optimizer.runs.run import UNNAMED, RunKind
from optimizer.sources.summary import model_summary_from_json
from pages.components import session
from pages.components.baseline import measure_original
from pages.components.data_panel import draw_data_boxes
from pages.components.data_view import draw_data
from pages.components.frame import require_frame
from pages.components.model_view import draw_model
from pages.components.second_model import draw_second_model
from pages.components.technique_grid import draw_grid
from pages.components.upload import MODEL_TYPES, draw_inspection, draw_upload, newest_inspection

require_frame()

store = session.store()
project = session.current_project()


def project_for(file_name: str) -> str:
    """The project in view, or a new one, which gets its name when a file is accepted."""
    if project is not None:
        return project.id
    made = store.create_project(UNNAMED)
    session.show_project(made.id)
    return made.id


title, forward = st.columns([4, 1], vertical_alignment="center")
title.title("Model & Data", anchor=False)
if project is not None and project.model and project.data:
    measure_original(store, project)
    if forward.button("Experiment", type="primary", icon=":material/arrow_forward:", width="stretch"):
        session.go(session.EXPERIMENT)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Model", anchor=False)
    draw_upload("model", "Model", MODEL_TYPES, lambda file: bring_model(store, project_for(file.name), file, file.name))
    st.caption(
        "A whole Keras model, saved by model.save(): .keras or .h5, of Keras 2 or 3. A zipped SavedModel or a .tflite can be measured and quantized, "
        "but not trained. Each is read without running anything in it."
    )
    if project is not None:
        draw_inspection(newest_inspection(project.id, RunKind.INSPECT_MODEL, "model"), (project.model or {}).get("name", ""))
        if project.model is not None:
            draw_model(project)
            if model_summary_from_json(project.model).is_keras:
                draw_second_model(project)
with right:
    st.subheader("Data", anchor=False)
    newest = newest_inspection(project.id, RunKind.INSPECT_DATA) if project is not None else None
    draw_data_boxes(project, project_for, newest)
    if project is not None:
        draw_inspection(newest, (project.data or {}).get("name", ""))
        if project.data is not None:
            draw_data(project.data)
if project is not None and project.model is not None:
    st.divider()
    draw_grid(model_summary_from_json(project.model))
if project is None:
    st.info("Bring a model and data to begin a project; the order does not matter.", icon=":material/info:")
