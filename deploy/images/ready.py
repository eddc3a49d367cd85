"""The health check of an image: ends with 0 when the service in it is ready, and says what is missing otherwise."""

import http.client
import os
import sys

PORT = int(os.environ.get("HTTP_PORT") or os.environ["PORT"])
TIMEOUT = 4.0

connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=TIMEOUT)
try:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    print(answer.read().decode())
except OSError as error:
    sys.exit(str(error))
sys.exit(answer.status != 200)
