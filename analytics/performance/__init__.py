"""How well vehicles, batteries and sites did, and how periods compare."""
