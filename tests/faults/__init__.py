"""Nothing is lost: people who talk while everything breaks, and a checker that reads what they saw.

history        what a client writes down, and what is true in the end
checker        what of it must not be
people         clients that come back, resume and try again
replica_set    a MongoDB of three members
stage          every process, its servers, and the people
kinds          what goes wrong, by name
processes, broker, database, clients    the kinds
mortal         a service that dies at its awaits, one after the other
performance    a run: its faults, its figures, its end
__main__       `make faults` and `make soak`
"""
