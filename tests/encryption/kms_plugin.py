"""A KMS plugin: version 2 of the interface, over gRPC on a unix socket. Its keys are derived from their names.

kms_plugin.py SOCKET FOLDER: the file FOLDER/key names the key to encrypt with; FOLDER/health says how the plugin is; names
in FOLDER/lost are of keys that it has no more. Each call is a line in FOLDER/calls.
"""

import hashlib
import hmac
import os
import sys
from concurrent import futures
from pathlib import Path

import grpc

SOCKET, FOLDER = sys.argv[1], Path(sys.argv[2])


def said(name, otherwise=""):
    path = FOLDER / name
    return path.read_text().strip() if path.exists() else otherwise


def log(line):
    with open(FOLDER / "calls", "a") as calls:
        print(line, file=calls)


def varint(number):
    out = b""
    while True:
        out += bytes([number & 0x7F | (0x80 if number > 0x7F else 0)])
        number >>= 7
        if not number:
            return out


def field(tag, value):
    return varint(tag << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message all of whose fields have a length."""
    at, found = 0, {}

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(message):
        tag, length = number() >> 3, number()
        found.setdefault(tag, []).append(message[at:at + length])
        at += length
    return found


def stream(key, nonce, length):
    blocks = (hmac.digest(key, nonce + bytes([at]), "sha256") for at in range(length // 32 + 1))
    return b"".join(blocks)[:length]


def xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other))


def key_of(name):
    return hashlib.sha256(b"master of " + name.encode()).digest()


def status(_, __):
    log("status")
    return field(1, b"v2") + field(2, said("health", "ok").encode()) + field(3, said("key").encode())


def encrypt(request, _):
    name = said("key")
    log(f"encrypt {name}")
    nonce, key, plain = os.urandom(16), key_of(name), fields(request)[1][0]
    sealed = nonce + xor(plain, stream(key, nonce, len(plain)))
    sealed += hmac.digest(key, sealed, "sha256")
    note = field(1, b"made-by.example.com") + field(2, b"the test")
    return field(1, sealed) + field(2, name.encode()) + field(3, note)


def decrypt(request, context):
    request = fields(request)
    name = request[3][0].decode()
    log(f"decrypt {name}")
    note = fields(request[4][0])
    if name in said("lost").split():
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the key is lost")
    if note != {1: [b"made-by.example.com"], 2: [b"the test"]}:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the annotations are not those of the encryption")
    sealed, tag = request[1][0][:-32], request[1][0][-32:]
    key = key_of(name)
    if not hmac.compare_digest(tag, hmac.digest(key, sealed, "sha256")):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not sealed with this key")
    return field(1, xor(sealed[16:], stream(key, sealed[:16], len(sealed) - 16)))


methods = {
    name: grpc.unary_unary_rpc_method_handler(handler)
    for name, handler in {"Status": status, "Encrypt": encrypt, "Decrypt": decrypt}.items()
}
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("v2.KeyManagementService", methods)])
server.add_insecure_port(f"unix://{SOCKET}")
server.start()
server.wait_for_termination()
