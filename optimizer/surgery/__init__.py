"""Changes to a Keras model's graph that keep what it computes, or that keep its shape."""
