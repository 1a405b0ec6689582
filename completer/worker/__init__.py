"""The engine in a process of its own, one per user, shared by all editors. docs/explanation/worker.md explains it.

wire.py        the messages, and their form            generator.py   the front's `Generator`
channel.py     a socket that never blocks a sender     session.py     the front's end of one connection
held.py        what the slots hold, in every front     front.py       a completer whose model the worker holds
start.py       where it listens; starting it, once

server.py      the worker's event loop                 connection.py  its end of one front
models.py      models, shared, loaded, unloaded       control.py     `completer worker status | stop | restart`
"""
