"""The context block: what other files can tell the model about the cursor's place.

ignore.py     what git and `.completerignore` leave out     gather.py   all of it for one place, best first
workspace.py  the files that may be read, and no others     block.py    pieces to tokens; grows only at its end
imports.py    from an import to the file that it names      context.py  keeps a block for each document and lets it
skeleton.py   a file's definitions without their bodies                 grow in a thread of its own
"""
