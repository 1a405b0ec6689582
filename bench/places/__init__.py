"""The answer at a new place: cases, the tools asked there, the judgement, the tables. See `command`."""
