"""Puts an entry of each name into the metastore, where nobody is to find the refused ones."""
import sys

from airflow.models import Connection, Variable
from airflow.utils.session import create_session

with create_session() as session:
    for name in sys.argv[1:]:
        session.add(Connection(conn_id=name, uri="http://bait"))
        session.add(Variable(key=name, val="bait"))
