"""`python -m bench next-edit`: the next edits against public scenarios and against histories of repositories."""
