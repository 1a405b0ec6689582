"""`completer setup EDITOR`: the configuration that an editor needs, printed, written or removed.

- `run.py`: the command
- `editors.py`: the editors, and which of them this machine has
- `guides.py`: for each editor its configuration, where that belongs, and how to check it
- `host.py`: the folders of configuration on Linux, macOS and Windows
- `installation.py`: the server command, the Neovim plugin and the VS Code extension of this installation
"""
