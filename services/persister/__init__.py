"""The only writer of chat data: takes commands, stores, tells everyone, acknowledges."""
