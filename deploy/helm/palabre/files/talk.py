import json
import sys
import time
import urllib.request

from websockets.sync.client import connect

address = sys.argv[1]
deadline = time.monotonic() + 60
while True:
    try:
        urllib.request.urlopen(f"http://{address}/page.json", timeout=5)
        break
    except OSError as error:
        if time.monotonic() > deadline:
            sys.exit(f"{address} is not ready: {error}")
        time.sleep(1)
with connect(f"ws://{address}/ws/chat", open_timeout=10) as socket:
    socket.send(json.dumps({"type": "ping"}))
    answer = json.loads(socket.recv(timeout=10))
assert answer["type"] == "pong", answer
print("ready, and a WebSocket answers")
