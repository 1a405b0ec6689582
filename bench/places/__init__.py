"""The answer at a new place: cases cut from checkouts, the tools asked there, the judgement, the table. See `command`."""
