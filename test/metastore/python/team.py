"""Makes connections and variables of teams by the ORM of the Airflow that runs this, and prints for each team,
and for tasks of none, the host of what its Connection.get_connection_from_secrets gives, and the text of Variable.get."""

import json
import os

os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")

from airflow import settings
from airflow.models import Connection, Variable

IDS = {"of_payments": "payments", "of_bank": "bank", "of_all": None}


def asked(ask):
    try:
        return ask()
    except Exception as error:
        return {"error": type(error).__name__}


def main():
    session = settings.Session()
    for name, team in IDS.items():
        session.add(Connection(conn_id=name, conn_type="http", host=f"host-{team or 'all'}", password="n33dle", team_name=team))
        session.add(Variable(key=name, val=f"text-{team or 'all'}", team_name=team))
    session.commit()
    answers = {
        team or "": {
            "connections": {name: asked(lambda: Connection.get_connection_from_secrets(name, team_name=team).host) for name in IDS},
            "variables": {name: asked(lambda: Variable.get(name, team_name=team)) for name in IDS},
        }
        for team in ("payments", "bank", None)
    }
    print("ANSWERS" + json.dumps(answers))


main()
