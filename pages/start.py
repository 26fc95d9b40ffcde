"""Start: try the sample, bring a model, or go on with a project."""

import streamlit as st

from optimizer.errors import OptimizerError
from optimizer.runs.requests import try_sample
from pages.components import session
from pages.components.format import ago_text, counted, literal
from pages.components.guard import show_error
from pages.components.project_list import draw_projects

store = session.store()
projects = store.projects()

st.title("Make your model fit", anchor=False)
st.markdown(
    "Litesmith shrinks a trained Keras model for phones, single-board computers and microcontrollers. Every number it shows is measured on the "
    "`.tflite` that you download, beside the original, with its margin of error."
)

sample, own, recent = st.columns(3, border=True)
with sample:
    st.subheader("Try the sample", anchor=False)
    st.markdown("A small digits CNN and real data. You get three optimized versions beside the original, in about a minute.")
    if st.button("Try the sample", type="primary", icon=":material/play_arrow:", width="stretch"):
        try:
            project = try_sample(store)
        except OptimizerError as error:
            show_error(error)
        else:
            session.show_project(project.id)
            session.go(session.COMPARE)
with own:
    st.subheader("Bring your model", anchor=False)
    st.markdown("A trained Keras model (.keras or .h5) and data (.npz, .csv, or a .zip with one folder a class).")
    if st.button("Bring your model", icon=":material/upload_file:", width="stretch"):
        session.begin_new_project()
        session.go(session.MODEL_AND_DATA)
with recent:
    st.subheader("Continue", anchor=False)
    if projects:
        latest = projects[0]
        runs = counted(sum(store.run_counts(latest.id).values()), "run")
        st.markdown(f"Project **{literal(latest.name)}**, {runs}, {ago_text(store.last_activity(latest.id))}.")
    else:
        st.markdown("Your projects will stand here. Models, data and results stay on this machine.")
    if st.button("Continue", icon=":material/arrow_forward:", width="stretch", disabled=not projects):
        session.show_project(projects[0].id)
        session.go(session.COMPARE)

if len(projects) > 1:
    draw_projects(store, projects)
st.caption(
    "How it works: bring a model and data, put steps in order on Experiment (prune, share, distill, quantize), watch them on Runs, "
    "decide on Compare, and download the .tflite."
)
