"""The services of Palabre. What two of them need lies directly here; they never import each other."""
