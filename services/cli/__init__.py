"""`palabre`, the command: what people do from a terminal. It talks to a gateway as any other client does."""
