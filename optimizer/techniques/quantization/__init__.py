"""Techniques that lower the number of bits."""
