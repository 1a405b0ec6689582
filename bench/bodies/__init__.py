"""Whole bodies: a function with name and docstring, an empty body, and another function after it. See `command`."""
