"""llama.cpp's server, started and ended by us; what is asked of it is the dialect `llama-server` of `engines/remote`.

find.py     what there is to run here: the package xllamacpp, or a llama-server on the PATH
child.py    the process that runs it, and ends with ours
server.py   starting that process, and where it listens
engine.py   the StreamEngine over it, which starts it again after a crash
load.py     from a GGUF file and the settings to the engine and its tokenizer
"""
