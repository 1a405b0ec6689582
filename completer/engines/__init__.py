"""Inference engines. Imported lazily: only the registry, the factory and `folder` know their names."""
