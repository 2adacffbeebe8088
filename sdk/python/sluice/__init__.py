"""Write a Sluice job in Python: rows in, contributions out. See `sluice.guest`."""
