"""Litesmith's headless package: every rule of the product, and no user interface.

Importing it costs no TensorFlow; the modules that need TensorFlow import it inside the functions that use it.
"""

__version__ = "0.1.0"
