"""Next-edit suggestions: the change that follows from the user's last changes, found by rules without a model.

history.py  what the user changed     places.py  where a rule applies     offer.py  the offers, in order
rules.py    what the changes teach    gate.py    when to stay silent      state.py  all of that for one client
words.py    lines as tokens           scope.py   which uses of a name are the same name
"""
