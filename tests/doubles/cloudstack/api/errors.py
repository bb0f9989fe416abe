"""Errors as CloudStack answers them: the HTTP status is the error code, the text is for humans."""

from __future__ import annotations


class ApiError(Exception):
    """An error answer.

    code: HTTP status and `errorcode`; text: `errortext`; cscode: `cserrorcode`, CloudStack's own number.
    """

    def __init__(self, code: int, text: str, cscode: int = 9999) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.cscode = cscode

    def body(self) -> dict[str, object]:
        """The answer below the top-level key."""
        return {"uuidList": [], "errorcode": self.code, "cserrorcode": self.cscode, "errortext": self.text}


def credentials() -> ApiError:
    """Unknown key, wrong signature and expired request are not told apart."""
    return ApiError(401, "unable to verify user credentials and/or request signature")


def missing(command: str, parameter: str) -> ApiError:
    """A required parameter is not there."""
    return ApiError(431, f"Unable to execute API command {command.lower()} due to missing parameter {parameter}")


def unknown_entity(command: str, parameter: str, value: str) -> ApiError:
    """A parameter names something that does not exist (any more)."""
    return ApiError(
        431,
        f"Unable to execute API command {command.lower()} due to invalid value. Invalid parameter {parameter} "
        f"value={value} due to incorrect long value format, or entity does not exist or due to incorrect parameter "
        "annotation for the field in api cmd class.",
    )


def invalid(text: str) -> ApiError:
    """The parameters contradict the state of the cloud."""
    return ApiError(431, text, cscode=4350)


def quota(kind: str, limit: int, used: int, requested: int) -> ApiError:
    """A limit of the account is reached."""
    return ApiError(
        535,
        f"Maximum amount of resources of Type = '{kind}' for Account Name = titanium in Domain Id = 1 is exceeded: "
        f"Account Resource Limit = {limit}, Current Account Resource Amount = {used}, Current Account Resource "
        f"Reservation = 0, Requested Resource Amount = {requested}.",
        cscode=4370,
    )
