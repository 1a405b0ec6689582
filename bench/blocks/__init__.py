"""Blocks at rest: bodies cut out of real files, the model's answer to each, rules for how much to show. See `command`."""
