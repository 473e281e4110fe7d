"""Price lists, who has which, and what the readings of a period cost by them."""
