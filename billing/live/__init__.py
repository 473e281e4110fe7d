"""What devices do now: hot documents, and Redis in front of them."""
