"""How much a model file may ask for. Real models that people shrink for devices stay far below."""

MAX_FILE_BYTES = 2 * 1024**3
MAX_CONFIG_BYTES = 32 * 1024**2
MAX_TEXTS_BYTES = 8 * MAX_CONFIG_BYTES
"""All texts of the attributes of an HDF5 file that are read, and the heaps that they lie in."""
MAX_METADATA_BYTES = 64 * 1024
MAX_JSON_VALUES = 2_000_000
MAX_JSON_DEPTH = 64
MAX_LAYERS = 5_000
MAX_NAME_LENGTH = 1_000
MAX_PARAMETERS = 500_000_000
MAX_ZIP_MEMBERS = 16
MAX_ZIP_RATIO = 100
MIN_RATIO_BYTES = 16 * 1024**2
"""Members that unpack to less than this may have any ratio."""
MAX_HDF5_OBJECTS = 50_000
MAX_FILL_BYTES = 1024**2
"""A data set may claim at most this much more than the file stores of it, beyond MAX_ZIP_RATIO."""
MAX_CALLS = 200_000
"""Layer calls that are followed; models nested in models could multiply them without end."""
MAX_ACTIVATION = 2**28
"""Values of one sample that one layer may give out (1 GB in float32)."""
MAX_GRAPH_NODES = 500_000
"""Nodes of all graphs and functions of a SavedModel."""
MAX_GRAPH_BYTES = 256 * 1024**2
"""Largest saved_model.pb."""
MAX_SAVED_MODEL_MEMBERS = 2_000
