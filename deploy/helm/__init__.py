"""The chart `palabre`, and the one description of its values: `values.py`."""
