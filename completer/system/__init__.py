"""What completer takes from the machine around it: import path, other programs, cache files, proxies."""
