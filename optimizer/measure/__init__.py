"""Measurements of an exported .tflite, one family a module. Every number is read off the file that the person downloads."""
