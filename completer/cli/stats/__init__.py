"""`completer stats`: how fast answers come, what is accepted, what runs, and what left the machine.

run.py       the command            table.py        for a terminal, also live
figures.py   what all forms show    prometheus.py   text exposition format     page.py   HTML with plots
"""
