"""Ask a name server for an A record over UDP. usage: resolve.py SERVER NAME; prints the address, or the error's name."""

from __future__ import annotations

import secrets
import socket
import struct
import sys

CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def main() -> None:
    server, name = sys.argv[1:]
    number = secrets.randbelow(2**16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack("!HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question, (server, 53))
        answer = client.recv(4096)
    found, flags, _, answers = struct.unpack("!HHHH", answer[:8])
    code = flags & 0xF
    if found != number or code != 0 or answers == 0:
        print(CODES.get(code, code))
        return
    # Nothing follows the address of the last answer: no authority or additional records were asked for.
    print(socket.inet_ntoa(answer[-4:]))


if __name__ == "__main__":
    main()
