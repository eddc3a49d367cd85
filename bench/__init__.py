"""`make bench`: measures a running system, and checks while it measures that nothing is lost, repeated or reordered."""
