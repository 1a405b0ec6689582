"""What was written in the workspace before, as evidence of what comes next in the cursor's line.

index.py    all places of some files by the bytes before them
recall.py   the places that match the text before the cursor, and what they agree on
former.py   what is no evidence: what was deleted, what follows anyway
reading.py  makes indices, in a thread
memory.py   the indices of one client: built in a thread of their own, asked at each key
"""
