"""`python -m optimizer`."""

import os
import sys

# TFMOT works on Keras 2 models only; this must be set before TensorFlow is imported anywhere.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from optimizer.cli import main

if __name__ == "__main__":
    sys.exit(main())
