"""The clouds' own clients, made of a delivered connection.

    from leoflow_runtime.cloud.gcp import gcs_client
    gcs_client("lake").bucket("x").blob("y").upload_from_string("...")

A client has the identity that Airflow's hook has of the same connection: the driver has left one
credential in it, and both read that one. Nothing here falls back to another: a field that looks like
a credential and is not known is refused, and so is a reference that nobody resolved.
"""
