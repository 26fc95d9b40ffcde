"""Start: try the sample, bring a model, or go on with a project."""

import streamlit as st

from optimizer.errors import OptimizerError
from optimizer.runs.requests import try_sample
from optimizer.runs.run import RUN_KINDS
from pages.components import session
from pages.components.format import ago_text, counted, literal
from pages.components.frame import require_frame
from pages.components.guard import show_error
from pages.components.project_list import draw_projects
from pages.components.start_card import card, draw_how_it_works

require_frame()

store = session.store()
projects = store.projects()

st.title("Make your model fit", anchor=False)
st.markdown(
    "Litesmith shrinks a trained Keras model for phones, single-board computers and microcontrollers. Every number it shows is "
    "measured on the .tflite that you download, beside the original, with its margin of error."
)

latest = projects[0] if projects else None
places = st.columns(3 if latest else 2, gap="medium")
sample = card(
    places[0],
    "Try the sample",
    "A small digits CNN and real data. You get three optimized versions beside the original, in about a minute.",
    icon=":material/play_arrow:",
    primary=latest is None,
)
own = card(
    places[1],
    "Bring your model",
    "A trained model (.keras, .h5, zipped SavedModel or .tflite) and data (.npz, .csv, or a .zip with one folder of images a class).",
    icon=":material/upload_file:",
)
if latest is not None:
    runs = counted(sum(store.run_counts(latest.id, kinds=RUN_KINDS).values()), "run")
    told = f"Project **{literal(latest.name)}**: {runs}, last used {ago_text(store.last_activity(latest.id))}."
    if card(places[2], "Continue", told, icon=":material/arrow_forward:", primary=True):
        session.show_project(latest.id)
        session.go(session.COMPARE)
if sample:
    try:
        project = try_sample(store)
    except OptimizerError as error:
        show_error(error)
    else:
        session.show_project(project.id)
        session.go(session.COMPARE)
if own:
    session.begin_new_project()
    session.go(session.MODEL_AND_DATA)

draw_how_it_works()
if len(projects) > 1:
    draw_projects(store, projects)
