"""Snippets that `make demo` completes; the cursor is at «|»."""
