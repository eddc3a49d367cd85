"""Reaches members who are not looking. Each way to reach them is a module with a queue of the same name."""
