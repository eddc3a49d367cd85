"""What can be typed in the terminal chat beside messages: the table of it, and the modules that do it."""
