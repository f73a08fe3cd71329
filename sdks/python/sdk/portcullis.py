"""Write Portcullis policies in Python: one function for a stage.

    import portcullis

    def check(config, labels): ...

    Validator = portcullis.validator(["/object/metadata/labels"], check)

A policy gets its configuration (``spec.config`` of the Plugin, as a dict) and then one ``Value`` for each path that it
declares. The name on the left is the stage's: ``Validator``, ``Mutator``, ``ObjectValidator``, ``Authorizer``,
``Authenticator``, ``Converter``, ``Scheduler``.
"""

import json

from componentize_py_types import Err
from tape import Value
from wit_world.imports import types

__all__ = ["Value", "allow", "deny", "field_error", "validator", "mutator", "object_validator", "authorizer",
           "authenticator", "converter", "scheduler"]


def _stage(paths, check_config):
    """The part that all stages share: the configuration, and the values of a call."""

    class Stage:
        config: dict = {}

        def configure(self, config: str):
            try:
                found = json.loads(config or "{}")
                if check_config:
                    check_config(found)
            except (ValueError, KeyError, TypeError) as error:
                raise Err(f"config: {error}") from None
            # The host may make a new object for each call: what was configured is the class's.
            type(self).config = found
            return self._declaration()

        def _declaration(self):
            return types.Declaration(paths=list(paths), form=types.InputForm.TAPE)

        def _values(self, data: bytes):
            root = Value.of(data)
            return [root.get(index) for index in range(len(paths))]

    return Stage


def _denial(denied):
    if denied is None:
        return None
    causes = [types.Cause(c.get("field", ""), c.get("reason", ""), c.get("message", "")) for c in denied.get("causes", ())]
    return types.Denial(denied.get("code", 0), denied.get("reason", ""), denied["message"], causes)


def _audit(facts):
    return [types.AuditAnnotation(key, str(value)) for key, value in (facts or {}).items()]


def allow(warnings=(), audit=None) -> dict:
    """No objection; ``audit`` are facts for the audit log, ``warnings`` are shown to the caller."""
    return {"warnings": list(warnings), "audit": audit}


def deny(message: str, code: int = 0, reason: str = "", causes=(), warnings=(), audit=None) -> dict:
    """A refusal with a sentence that tells the caller what to change."""
    denied = {"message": message, "code": code, "reason": reason, "causes": causes}
    return {"denied": denied, "warnings": list(warnings), "audit": audit}


def validator(paths, check, check_config=None):
    """A validator: ``check(config, *values)`` returns ``allow()`` or ``deny(...)``."""
    from wit_world.exports import validator as wit

    class Validator(_stage(paths, check_config)):
        def validate(self, input: bytes):
            said = check(self.config, *self._values(input)) or {}
            return wit.Verdict(_denial(said.get("denied")), said.get("warnings", []), _audit(said.get("audit")))

    return Validator


def mutator(paths, mutate, check_config=None):
    """A mutator: ``mutate(config, *values)`` returns a list of ``{"op", "path", "value"}``, or ``deny(...)``."""
    from wit_world.exports import mutator as wit

    def operation(one):
        value = json.dumps(one["value"]) if "value" in one else ""
        return wit.PatchOperation(wit.Operation[one["op"].upper()], one["path"], value)

    class Mutator(_stage(paths, check_config)):
        def mutate(self, input: bytes):
            said = mutate(self.config, *self._values(input)) or {}
            said = {"patch": said} if isinstance(said, list) else said
            patch = [operation(one) for one in said.get("patch", ())]
            return wit.Mutation(_denial(said.get("denied")), patch, said.get("warnings", []), _audit(said.get("audit")))

    return Mutator


def field_error(type: str, field: str, value=None, detail: str = "") -> dict:
    """What is wrong with a field; ``type`` is ``invalid``, ``required``, ``not-supported``, ..."""
    return {"type": type, "field": field, "value": value, "detail": detail}


def object_validator(paths, check, check_config=None):
    """An object validator: ``check(config, *values)`` returns a list of ``field_error(...)``."""
    from wit_world.exports import object_validator as wit

    def error(one):
        value = "" if one["value"] is None else json.dumps(one["value"])
        return wit.FieldError(wit.ErrorType[one["type"].upper().replace("-", "_")], one["field"], value, one["detail"])

    class ObjectValidator(_stage(paths, check_config)):
        def validate_object(self, input: bytes):
            return wit.Findings([error(one) for one in check(self.config, *self._values(input)) or ()], [])

    return ObjectValidator


def authorizer(paths, authorize, check_config=None):
    """An authorizer: ``authorize(config, *values)`` returns ``"allow"``, ``("deny", why)`` or ``None`` for no opinion."""
    from wit_world.exports import authorizer as wit

    class Authorizer(_stage(paths, check_config)):
        def authorize(self, input: bytes):
            match authorize(self.config, *self._values(input)):
                case None:
                    return wit.Decision_NoOpinion("")
                case "allow":
                    return wit.Decision_Allow()
                case ("deny", why):
                    return wit.Decision_Deny(why)
                case ("no-opinion", why):
                    return wit.Decision_NoOpinion(why)
                case other:
                    raise ValueError(f"{other!r} is no decision")

    return Authorizer


def authenticator(paths, authenticate, check_config=None):
    """An authenticator: ``authenticate(config, *values)`` returns ``{"username", "groups"}``, ``("rejected", why)``, or
    ``None`` for no opinion."""
    from wit_world.exports import authenticator as wit

    class Authenticator(_stage(paths, check_config)):
        def authenticate(self, input: bytes):
            match authenticate(self.config, *self._values(input)):
                case None:
                    return wit.Outcome_NoOpinion()
                case ("rejected", why):
                    return wit.Outcome_Rejected(why)
                case user:
                    extra = list(user.get("extra", {}).items())
                    groups = list(user.get("groups", ()))
                    return wit.Outcome_Authenticated(types.UserInfo(user["username"], user.get("uid", ""), groups, extra))

    return Authenticator


def converter(convert, check_config=None):
    """A converter: ``convert(config, object, wanted)`` returns the object in the version ``wanted``, which is set for it.
    To raise ``ValueError`` is to refuse."""

    class Converter(_stage(["/request/desiredAPIVersion", "/objects"], check_config)):
        def convert(self, input: bytes):
            wanted, objects = self._values(input)
            answer = []
            for found in objects:
                found = found.py
                try:
                    answer.append(json.dumps({**convert(self.config, found, wanted.string), "apiVersion": wanted.string}))
                except ValueError as error:
                    raise Err(f"{found.get('metadata', {}).get('name', '')}: {error}") from None
            return answer

    return Converter


def scheduler(paths, node_paths, place, check_config=None):
    """A scheduler: ``place(config, batch, nodes, *values)`` returns ``(scores, reasons)``; ``batch`` is ``node-batch`` of the
    interfaces, and ``nodes`` an array with the values of each node's paths."""
    from wit_world.exports import scheduler as wit

    class Scheduler(_stage(paths, check_config)):
        def _declaration(self):
            return wit.SchedulerDeclaration(list(paths), list(node_paths), types.InputForm.TAPE)

        def place(self, input: bytes, batch):
            scores, reasons = place(self.config, batch, Value.of(batch.node_values), *self._values(input))
            return wit.Placement(list(scores), list(reasons))

    return Scheduler
