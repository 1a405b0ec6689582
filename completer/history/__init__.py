"""What was suggested and accepted, as numbers without any text, in a database of the user's. Only with the setting `history`.

events.py     what is noted, as plain data             database.py   the file: its form, its age, its damage
offers.py     from answers to events, for one client   writer.py     from events to the file, off the event loop
summary.py    from the file to figures
"""
