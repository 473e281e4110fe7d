"""What is let go of, once it was seen that nothing needs it any more."""
