"""Inference engines. registry.py lists them, factory.py builds them; each is imported only when it is used."""
