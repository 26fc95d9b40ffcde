"""Techniques that train a student on a teacher's answers."""
