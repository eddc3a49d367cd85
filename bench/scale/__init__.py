"""What Palabre would take for many more people than a machine of ours can hold: measured costs, multiplied.

    costs      what was measured, by the names of `make bench`; `costs.json` is a report of it
    sizes      bytes of what travels, of the contracts' own shapes
    people     what people do, and a sample of the conversations that they write into
    model      from these to processes, cores, bytes and what is full first, with each switch that could be thrown
    tables     the tables of docs/scale.md

Nothing here measures, and nothing is drawn from a clock: the same figures give the same tables.
"""
