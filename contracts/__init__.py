"""What two processes must agree on: shapes, names, codes and limits.

Imports pydantic and the standard library only, opens no socket, and is imported by every service.

    shape          the base of every shape that travels, and the types its fields share
    limits         the numbers that both ends of a wire must know
    errors         error codes and close codes, each once
    message        Message: one shape, stored, broadcast, and returned by the history
    conversation   conversations and their members, as REST and events show them
    rights         who may do what in a conversation
    scopes         what a service account may do
    frames         browser <-> gateway
    commands       gateway -> persister
    push           what a browser gives to be told by, while no page is open
    email          the mail digest, and the links that end it
    notifying      gateway -> notifier, and what the notifier hands to its channels
    fanout         persister, notifier, gateways -> every gateway
    events         facts for everyone, as CloudEvents
    tracing        how the context of a trace travels
    words          what of a message can be found
    topology       exchanges, queues, bindings and routing keys
    collections    MongoDB collections and indexes, each with its one owner
    examples       one event of each kind
    reference      an AsyncAPI document as a page to read
    generate       writes schema/ from all of this
"""
