"""Techniques that do harm on request, for the tests of faults. Workers find them by LITESMITH_TECHNIQUE_PACKAGES."""

HOSTILE_PACKAGE = __name__
