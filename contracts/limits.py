"""Numbers that both ends of a wire must know. What an operator may change is a setting of a service instead."""

ID_LENGTH = 64  # characters of any id, requestId or tempId
NAME_LENGTH = 200  # characters of a person's or conversation's name
URL_LENGTH = 2048
CONTENT_LENGTH = 8000  # characters of a message after trimming
ATTACHMENTS = 20  # in one message
HISTORY_PAGE = 200  # messages that one page or one join may ask for
HISTORY_DEFAULT = 50
HEADS = 500  # conversations in one ping
MEMBERS_IN_CALL = 1000  # members that one REST call may name
MEMBERS_IN_VIEW = 100  # members shown in a conversation; the others are paged
READERS_SHOWN_TO = 100  # members up to whom a conversation shows each who has read
MEMBERS_IN_LIST = 10  # members shown for each conversation of a list
LIST_PAGE = 100  # items of any other list
LIST_DEFAULT = 50
WATCHED = 500  # people whose presence one connection watches
WATCHED_UNNAMED = 20  # members up to whom a joined conversation is watched by who named nobody
PRESENCE_TOGETHER = 1000  # people in one item of the fan-out
EMOJI_LENGTH = 64
BATCH_COMMANDS = 500  # commands in one AMQP message, and in one insert
BATCH_BYTES = 1024 * 1024  # of one AMQP message on the internal hops, unless a single item is larger
BODY_BYTES = 1024 * 1024  # of a REST call
UPDATE_AUDIENCE = 1000  # members in one item of the fan-out
PINS = 50  # messages pinned in one conversation
