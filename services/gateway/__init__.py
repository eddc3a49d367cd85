"""The one door for browsers and bots: WebSocket and REST in front, the broker behind. It only reads MongoDB."""
