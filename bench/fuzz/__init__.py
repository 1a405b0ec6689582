"""Hostile input, by the million messages: to a language server over LSP, and to its worker over the wire between them.

hostile.py     what is sent        lsp.py         one connection, on which each request must have one answer
scenes.py      large inputs        worker_side.py  the same for the worker        command.py  `python -m bench fuzz`
"""
