"""Techniques that let weights share values."""
