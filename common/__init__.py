"""What at least two services need; imports no service."""
