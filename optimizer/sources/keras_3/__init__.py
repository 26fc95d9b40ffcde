"""Models that Keras 3 wrote, translated into what tf-keras (Keras 2) would have written. JSON in, JSON out: nothing of the file is run."""
