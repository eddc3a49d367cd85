"""What people would pick instead, in our own words, to be measured beside Palabre by the same load generator."""
