"""Models that others serve, over HTTP.

dialect.py    what a server is asked and what it answers, as data
dialects/     one file for each family of servers
link.py       endpoints: connections, fail-over, TLS, bearer token
probe.py      what the server is: dialect, model, context length, vocabulary, costs
engine.py     the StreamEngine over these
"""
