"""Techniques that make weights zero."""
