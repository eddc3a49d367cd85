"""What two processes must agree on: shapes, names, codes and limits.

Imports pydantic and the standard library only, opens no socket, and is imported by every service.

    shape          the base of every shape that travels, and the types its fields share
    limits         the numbers that both ends of a wire must know
    errors         error codes and close codes, each once
    message        Message: one shape, stored, broadcast, and returned by the history
    conversation   conversations and their members, as REST and events show them
    rights         who may do what in a conversation
    frames         browser <-> gateway
    commands       gateway -> persister
    fanout         persister, notifier, gateways -> every gateway
    events         facts for everyone, as CloudEvents
    words          what of a message can be found
    topology       exchanges, queues, bindings and routing keys
    collections    MongoDB collections and indexes, each with its one owner
    generate       writes schema/ from all of this
"""
