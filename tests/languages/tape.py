"""The tape reader of the Python SDK against the vectors: python tape.py SDK-FOLDER VECTORS"""

import importlib.util
import sys

sdk, vectors = sys.argv[1:]
spec = importlib.util.spec_from_file_location("portcullis_tape", f"{sdk}/tape.py")
tape = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tape)


def show(value) -> str:
    if value.is_absent:
        return "absent"
    plain = value.py
    if isinstance(plain, list):
        return f"[{','.join(map(show, value))}]"
    if isinstance(plain, dict):
        # Every member is found by its key, too.
        assert all(value.get(key).py == member.py for key, member in value.items())
        return "{" + ",".join(f'"{key}":{show(member)}' for key, member in value.items()) + "}"
    words = {None: "null", True: "true", False: "false"}
    return f'"{plain}"' if isinstance(plain, str) else words[plain] if plain is None or isinstance(plain, bool) else str(plain)


count = 0
for line in open(vectors, encoding="utf-8").read().splitlines():
    data, expected = line.split("\t")
    found = show(tape.Value.of(bytes.fromhex(data)))
    assert found == expected, f"expected {expected}, got {found}"
    count += 1
print(f"{count} tapes")
