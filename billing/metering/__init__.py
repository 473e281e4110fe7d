"""What a meter is and what its registers say: exact energy, and what cannot be."""
