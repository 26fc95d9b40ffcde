"""The dashboard's screens. A page reads the store, draws, and submits; it holds no logic."""
