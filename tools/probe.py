"""Ask a service's private port on this machine: `probe.py PORT [PATH]`. Exit code 0 for an answer 200.

Owns the health check of containers, which have no curl, and shows operators /metrics. Refuses other machines.
"""

from __future__ import annotations

import http.client
import sys

TIMEOUT = 5
OK = 200


def main(arguments: list[str]) -> int:
    """The answer on standard output; 1 for another status or none."""
    port, path = int(arguments[0]), arguments[1] if len(arguments) > 1 else "/health"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        sys.stdout.write(answer.read().decode("utf-8", "replace"))
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"no answer: {type(error).__name__}\n")
        return 1
    finally:
        connection.close()
    return int(answer.status != OK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
