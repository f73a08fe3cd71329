"""The tape: values that the host packed, read in place. The format is on one page, wit/tape.md."""

from struct import unpack_from


class Value:
    """A value inside a tape, or *absent*, which is not ``None``'s JSON null. Nothing is copied until it is asked for."""

    __slots__ = ("_bytes", "_at", "_tag", "_count")

    def __init__(self, data: bytes, at: int):
        head = unpack_from("<I", data, at)[0] if at else 0
        self._bytes, self._at, self._tag, self._count = data, at, head & 15, head >> 4

    @staticmethod
    def of(data: bytes) -> "Value":
        """The value of a whole tape."""
        return Value(data, unpack_from("<I", data, 12)[0])

    def _child(self, index: int) -> "Value":
        return Value(self._bytes, self._at - unpack_from("<I", self._bytes, self._at + 4 * index)[0])

    def _text(self) -> bytes:
        return self._bytes[self._at + 4 : self._at + 4 + self._count]

    def __len__(self) -> int:
        return self._count if self._tag in (8, 9) else 0

    def __bool__(self) -> bool:
        """Whether there is something: neither absent nor null nor false nor empty."""
        return bool(self.py)

    @property
    def is_absent(self) -> bool:
        return self._tag == 0

    @property
    def string(self) -> str:
        """The text, or the empty one if this is no string."""
        return self._text().decode() if self._tag == 7 else ""

    def get(self, key: "str | int") -> "Value":
        """Item ``key`` of an array, or the member ``key`` of an object, or absent."""
        if self._tag == 8 and isinstance(key, int) and 0 <= key < self._count:
            return self._child(1 + key)
        if self._tag == 9 and isinstance(key, str):
            wanted, low, high = key.encode(), 0, self._count  # Keys are in the order of their bytes.
            while low < high:
                middle = (low + high) // 2
                found = self._child(1 + 2 * middle)._text()
                if found == wanted:
                    return self._child(2 + 2 * middle)
                low, high = (middle + 1, high) if found < wanted else (low, middle)
        return Value(self._bytes, 0)

    def __iter__(self):
        """The items of an array."""
        return (self._child(1 + index) for index in range(self._count if self._tag == 8 else 0))

    def items(self):
        """The members of an object, as pairs of key and value."""
        for index in range(self._count if self._tag == 9 else 0):
            yield self._child(1 + 2 * index)._text().decode(), self._child(2 + 2 * index)

    @property
    def py(self):
        """The whole value as Python has it; absent and null are both ``None``."""
        match self._tag:
            case 2 | 3:
                return self._tag == 3
            case 4 | 5 | 6:
                return unpack_from(("<q", "<Q", "<d")[self._tag - 4], self._bytes, self._at + 4)[0]
            case 7:
                return self.string
            case 8:
                return [item.py for item in self]
            case 9:
                return {key: value.py for key, value in self.items()}
        return None
