"""The context block: what other files, and the rest of this one, can tell the model about the cursor's place.

ignore.py     what git and `.completerignore` leave out     ring.py       windows of open documents like the cursor's
workspace.py  the files that may be read, and no others     recent.py     places of recent edits
skeleton.py   a file's definitions without their bodies     gather.py     all of it for one place, best first
imports.py    from an import to the file that it names      block.py      pieces to tokens; grows only at its end

context.py    keeps a block for each document and lets it grow in a thread of its own
"""
