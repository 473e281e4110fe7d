"""Which devices a question is about, and what the fleet does now."""
