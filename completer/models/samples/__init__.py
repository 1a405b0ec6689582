"""Snippets that `make demo` completes; the cursor stands at «|»."""
