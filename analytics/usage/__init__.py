"""What billing says that devices measured, over windows, local days and months."""
