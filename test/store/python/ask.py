"""Asks Airflow's own secrets backends, and prints what they give.

Standard input is a list of cases: the class, its backend_kwargs, and the ids to ask for. The answer to an id is
{"none": true}, {"error": the class of an exception}, {"value": a variable's}, or {"connection": its fields}.
"""
import importlib
import json
import logging
import sys
import warnings

FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")


def connection_class():
    try:
        from airflow.sdk import Connection
    except ImportError:
        return None
    return Connection


def asked(ask, dump, name):
    try:
        got = ask(name)
        return {"none": True} if got is None else dump(got)
    except Exception as error:
        return {"error": type(error).__name__}


class Held:
    """Stands for the client of a cloud, of which there is no server to be had. It has secrets by their names."""

    def __init__(self, held):
        self.held = held

    def get_secret(self, name=None, secret_id=None, **_):
        if secret_id is not None:  # Google's, which returns nothing for what is not there
            return self.held.get(secret_id)
        if name not in self.held:
            from azure.core.exceptions import ResourceNotFoundError

            raise ResourceNotFoundError("none")
        return type("Secret", (), {"value": self.held[name]})


def kubernetes_client(api):
    from kubernetes.client import ApiClient, Configuration, CoreV1Api

    configuration = Configuration(host=api["host"], api_key={"authorization": "Bearer " + api["token"]})
    configuration.ssl_ca_cert = api["ca"]
    return CoreV1Api(ApiClient(configuration))


def opened(case):
    module, name = case["class"].rsplit(".", 1)
    module = importlib.import_module(module)
    kind = getattr(module, name)
    if case.get("api") is not None:
        kind.client = kubernetes_client(case["api"])
        return kind(**case["kwargs"])
    if case.get("held") is None:
        return kind(**case["kwargs"])
    if hasattr(module, "get_credentials_and_project_id"):
        module.get_credentials_and_project_id = lambda **_: (None, None)
    kind.client = property(lambda self: Held(case["held"]))
    return kind(**case["kwargs"])


def answers(case):
    backend = opened(case)
    sdk = connection_class()
    if sdk is not None and not case.get("server"):  # as a worker's
        backend._set_connection_class(sdk)
    team = {"team_name": case["team"] or None} if case.get("team") is not None else {}
    return {
        "connections": {
            each: asked(lambda name: backend.get_connection(name, **team), lambda got: {"connection": {field: getattr(got, field) for field in FIELDS}}, each)
            for each in case["connections"]
        },
        "variables": {each: asked(lambda name: backend.get_variable(name, **team), lambda got: {"value": got}, each) for each in case["variables"]},
    }


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    cases = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr
    json.dump([answers(case) for case in cases], out)
