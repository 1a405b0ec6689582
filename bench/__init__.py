"""The latency replay harness: types into a language server as a person does and says what came back, when.

Speaks LSP only (and HTTP to the peers); it imports nothing from the server that it measures. The commands `engine`,
`weights` and `shortcut` are the exception: they measure the engine side from inside (see `bench.inside`).
"""
