"""What a function of the host is to generated code before it is called: a name, a help text, and how to ask for it."""

from __future__ import annotations

from typing import Any

from rlm_module.sandbox.codec import MAX_FRAME, CodecError, encode_as_text


class HostFunction:
    """A function that runs on the host.

    Args:
        name: Its name.
        signature: Its parameters, for `help()`.
        doc: What it does, for `help()`.
        ahead: Whether a call of it may be started before the program asks for it.
    """

    ahead = False  # also where a class that a cell derives begins without this one's `__init__`

    def __init__(self, name: str, signature: str, doc: str, ahead: bool = False) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = f"{name}{signature}\n\n{doc}"
        self._signature = signature
        self.ahead = ahead

    def request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """The encoded request of a call; equal calls have equal requests, and making one has no effects."""
        return encoded(self.__name__, args, kwargs)

    def __repr__(self) -> str:
        return f"<host function {self.__name__}{self._signature}>"


def encoded(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], shown: str = "") -> str:
    """The request of a call; errors name the function as `shown`, where that is not its name.

    Raises:
        TypeError: If an argument cannot cross.
        ValueError: If the arguments are too long.
    """
    try:
        request = encode_as_text([name, list(args), kwargs])
    except CodecError as error:
        raise TypeError(f"{shown or name}(): {error}") from None
    if len(request) > MAX_FRAME:
        raise ValueError(f"{shown or name}(): the arguments take {len(request):,} bytes; pass at most {MAX_FRAME:,}")
    return request
