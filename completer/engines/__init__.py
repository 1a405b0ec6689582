"""Inference engines. Imported lazily: only the factory in `completer.engines.base` knows their names."""
