"""The context block: what other files can tell the model about the cursor's place.

ignore.py     what git and `.completerignore` leave out     cutting.py  one definition without its bodies
workspace.py  the files that may be read, and no others     gather.py   all of it for one place, best first
imports.py    the files that a document imports             block.py    pieces to tokens; grows only at its end
resolvers.py  from the name of a module to its file         context.py  keeps a block for each document and lets it
skeleton.py   a file's definitions without their bodies                 grow in a thread of its own
"""
